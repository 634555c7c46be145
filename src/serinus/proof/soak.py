"""``prove soak``: pairs go on at full load, with their roles turned round.

The same requests are answered by both versions from the first mirrored one to the end of the soak.
Whatever the shadow has shown, a version that begins to fail when it has all traffic is seen at
once; a twin of the champion is not, nor one that goes down with it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from serinus.delivery.types import Plan
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts.evidence import SOAK, Measure, Tables
from serinus.delivery.verdicts.pairs import BEFORE
from serinus.proof import bars, judging, streams
from serinus.proof.streams import Course, Difference, Pairs
from serinus.proof.types import Bar, Claim, Measured, Trials

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Drift: TypeAlias = Callable[[np.random.Generator, int], Course]

SHADOW, REQUESTS = 5_000, 3_000
EVERY = 5
# How often either version gives another answer when it is asked again.
NOISE = 0.04
DOWN = 0.6
FEWER = 15
"""Of the runs, for harms: they differ little from one another."""
HARMS: dict[str, tuple[Difference, float, tuple[float, float]]] = {
    "each request fails": (Difference(error_points=1.0), 0.0, (20, 20)),
    "one in ten fails": (Difference(error_points=0.1), 0.0, (220, 350)),
    "ten points less accurate": (Difference(wrong_points=0.1), 0.0, (250, 350)),
    "half of the answers are others": (streams.EQUAL, 0.5, (200, 320)),
}
"""What begins in the soak: how it differs, how often beyond noise, and when it must be found."""


def claim() -> Claim:
    """The claim, as it is published."""
    return Claim(
        "soak",
        "Over 5,000 mirrored requests and 3,000 of the soak, pairs take an equal version back in "
        "at most 1.5 % of rollouts, though both go down in the soak; one that was better in the "
        "shadow and fails each request at full load is found within 20 of them.",
        3_000,
        prove,
    )


def prove(trials: Trials, runs: int) -> Measured:
    """False rollbacks by pairs, and how soon what begins in the soak is found."""
    plan = judging.full_plan()
    budget = sum(judging.rail_of(plan, kind).alpha for kind in judging.SHADOW)
    found: list[Bar] = []
    for name, drift in _COURSES.items():
        times = trials.run(partial(one_twin, plan, drift), runs, name=f"soak, {name}")
        found.append(bars.rate_at_most(f"false rollbacks, {name}", np.isfinite(times), budget))
    few = max(1, runs // FEWER)
    for name, (harm, flips, limits) in HARMS.items():
        times = trials.run(partial(one_harm, plan, harm, flips), few, name=f"soak, {name}")
        found += bars.times_at_most(name, times[:, 0], limits)
    return Measured(tuple(found), runs * len(_COURSES) + few * len(HARMS))


def one_twin(plan: Plan, drift: Drift, rng: np.random.Generator) -> Floats:
    """After how many pairs a version that is just as good is taken back, by any guardrail.

    It answers otherwise just as much more often than the champion itself as is tolerated.
    """
    n = SHADOW + REQUESTS
    ends = judging.looks(n, EVERY)
    excess = np.full(n, judging.rail_of(plan, "disagreement").tolerance)
    pairs = streams.mirrored(rng, drift(rng, n))
    return np.array([_taken_back(plan, _tables(pairs, _floor(rng, excess), ends), ends)])


def one_harm(plan: Plan, harm: Difference, flips: float, rng: np.random.Generator) -> Floats:
    """After how many requests of the soak a version is found that was better in the shadow."""
    good = streams.mirrored(rng, streams.flat(rng, SHADOW), Difference(error_ratio=0.5))
    bad = streams.mirrored(rng, streams.flat(rng, REQUESTS), harm)
    both = Pairs(
        error=np.concatenate([good.error, bad.error]),
        loss=np.concatenate([good.loss, bad.loss]),
        flip=np.concatenate([good.flip, bad.flip]),
    )
    floor = _floor(rng, np.repeat([0.0, flips], [SHADOW, REQUESTS]))
    ends = SHADOW + np.arange(0, REQUESTS + 1, EVERY)
    return np.array([_taken_back(plan, _tables(both, floor, ends), ends) - SHADOW])


def _floor(rng: np.random.Generator, excess: Floats) -> Counts:
    """The levels of requests that are answered three times, where so many more flips are real."""
    clone = rng.random(len(excess)) < NOISE
    challenger = rng.random(len(excess)) < NOISE + excess
    return 2 * challenger + clone.astype(np.int64)


def _tables(pairs: Pairs, floor: Counts, ends: Counts) -> Tables:
    """What is known at each look: in all, and of that what the soak has shown."""
    levels = {
        Measure.PAIR_ERROR: (pairs.error, 3),
        Measure.PAIR_LOSS: (pairs.loss, len(ev.LOSS_DIFFERENCES)),
        Measure.PAIR_FLOOR: (floor, len(ev.FLIP_DIFFERENCES)),
    }
    soaking = np.arange(len(floor)) >= SHADOW
    return {
        measure: {
            share: judging.running_pairs(
                np.where(soaking == (share == SOAK), level, -1), wide, ends
            )
            for share in (BEFORE, SOAK)
        }
        for measure, (level, wide) in levels.items()
    }


def _taken_back(plan: Plan, tables: Tables, ends: Counts) -> float:
    return min(judging.harm_time(plan, kind, tables, ends) for kind in judging.SHADOW)


def _down(rng: np.random.Generator, n: int) -> Course:
    """In the soak more than half of all requests fail in both, for 1,000 requests."""
    errors = np.full(n, streams.ERROR_RATE)
    errors[SHADOW + 500 : SHADOW + 1_500] = DOWN
    return streams.with_errors(streams.flat(rng, n), errors)


_COURSES: dict[str, Drift] = {"all metrics swing": streams.all_swing, "an outage of both": _down}
