"""``prove promote``: how soon an equal challenger has all traffic."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec
import numpy as np
from numpy.typing import NDArray

from serinus.delivery.types import DeploymentSpec, Plan, Step
from serinus.delivery.verdicts import tally, watch
from serinus.delivery.verdicts.evidence import EMPTY, Evidence, Tables
from serinus.delivery.verdicts.watch import Watch
from serinus.proof import bars, intervals, judging, streams
from serinus.proof.types import Claim, Measured, Trials

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

HALVES_BY, HALVES_LIMIT = 22_000, 0.90
SHADOW_BY, SHADOW_LIMIT = 20_000, 0.95
_MOST = 60_000
_BLOCK = 2_000


def claim() -> Claim:
    """The claim, as it is published."""
    return Claim(
        "promote",
        "An equal challenger is promoted by 22,000 requests nine times in ten with the defaults "
        "at half the traffic, and by 20,000 live ones nineteen times in twenty by the default "
        "steps, after mirrored pairs that nobody sees (with the pairs counted too: told, without a "
        "limit).",
        1_500,
        prove,
    )


def prove(trials: Trials, runs: int) -> Measured:
    """The share of equal challengers promoted in time, by either plan."""
    plans = {
        "defaults at half the traffic": (
            judging.make_plan(_spec(shares=(0.5,), shadow=False)),
            HALVES_BY,
            HALVES_LIMIT,
        ),
        "default steps, pairs first": (judging.default_plan(), SHADOW_BY, SHADOW_LIMIT),
    }
    found = []
    notes = {}
    for name, (plan, by, limit) in plans.items():
        times = trials.run(partial(one_run, plan), runs, name=f"promote, {name}")
        found.append(
            bars.rate_at_least(f"promoted by {by:,} requests, {name}", times[:, 2] <= by, limit)
        )
        if plan.steps[0].shadow:
            # Pairs are answered as well, if unseen: how soon with them is told, not promised.
            found.append(
                bars.rate_at_least(
                    f"promoted by {by:,} requests and pairs together", times[:, 0] <= by, None
                )
            )
        notes[f"until promoted, {name}"] = {
            "requests (median)": intervals.quantile(times[:, 2], 0.5),
            "requests (90 %)": intervals.quantile(times[:, 2], 0.9),
            "and pairs (median)": intervals.quantile(times[:, 0], 0.5),
            "and pairs (90 %)": intervals.quantile(times[:, 0], 0.9),
            "rolled back": float((times[:, 1] > 0).mean()),
        }
    return Measured(tuple(found), runs * len(plans), notes)


def one_run(plan: Plan, rng: np.random.Generator) -> Floats:
    """Requests and pairs until all traffic, whether it was harmed, and the requests alone.

    Infinity is never.
    """
    known, follow, spent, unseen = EMPTY, watch.UNSEEN, 0, 0
    for step in plan.steps:
        draw = partial(_mirror, rng) if step.shadow else partial(_live, rng, plan, step)
        known, follow, added = walk(plan, step, known, follow, draw)
        spent += added
        unseen += added if step.shadow else 0
        if added == 0:
            return np.array([np.inf, float(_harmed(plan, known.tables)), np.inf])
    return np.array([float(spent), 0.0, float(spent - unseen)])


_Draw = Callable[[Watch, Counts], tuple[Tables, Watch]]


def walk(
    plan: Plan, step: Step, known: Evidence, follow: Watch, draw: _Draw
) -> tuple[Evidence, Watch, int]:
    """Stay at a step until its gate has passed.

    Args:
        plan: of the rollout.
        step: where it is.
        known: the evidence before it.
        follow: the champion's latencies before it.
        draw: the next block of requests, with its looks.

    Returns:
        Both as they are when the gate has passed, and the requests of the step; 0 of them if
        the gate did not pass in time or harm was found.
    """
    ends = judging.looks(_BLOCK)
    for done in range(0, _MOST, _BLOCK):
        fresh, after = draw(follow, ends)
        tables = judging.plus(fresh, known)
        passed = judging.gate_passed(plan, step, tables) & (done + ends >= step.min_requests)
        harmed = judging.first(_harmed_at(plan, tables, ends), ends)
        time = judging.first(passed, ends)
        place = -1 if np.isinf(time) else int(np.searchsorted(ends, time))
        known = judging.at(tables, place)
        follow = after
        if harmed <= time and np.isfinite(harmed):
            return known, follow, 0
        if np.isfinite(time):
            return known, follow, done + int(time)
    return known, follow, 0


def _mirror(rng: np.random.Generator, follow: Watch, ends: Counts) -> tuple[Tables, Watch]:
    pairs = streams.mirrored(rng, streams.flat(rng, _BLOCK))
    return judging.pair_tables(pairs, ends), follow


def _live(
    rng: np.random.Generator, plan: Plan, step: Step, follow: Watch, ends: Counts
) -> tuple[Tables, Watch]:
    share = np.full(_BLOCK, step.share)
    stream = streams.live(rng, share, streams.flat(rng, _BLOCK))
    levels, after = tally.levels(plan, stream.requests, follow)
    found = {**levels, **judging.outcomes(plan, stream)}
    return tally.running(found, stream.requests, ends), after


def _harmed_at(plan: Plan, tables: Tables, ends: Counts) -> NDArray[np.bool_]:
    proven: NDArray[np.bool_] = np.logical_or.reduce(
        [np.broadcast_to(judging.harm(plan, rail, tables), ends.shape) for rail in plan.guardrails]
    )
    return proven


def _harmed(plan: Plan, tables: Tables) -> bool:
    return any(bool(judging.harm(plan, rail, tables)) for rail in plan.guardrails)


def _spec(**asked: object) -> DeploymentSpec:
    return msgspec.convert({"model": "model", "challenger": "2", **asked}, DeploymentSpec)
