"""``prove aa``: two copies of one model; whoever takes the challenger back errs."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from serinus.delivery.types import Plan
from serinus.proof import bars, judging, rules, streams
from serinus.proof.types import Bar, Claim, Measured, Trials

Floats = NDArray[np.float64]

REQUESTS = 20_000
PAIRS = 5_000
"""Mirrored before the live requests: the shadow step."""
LIMIT = 0.05
NAIVE_LIMITS = {"flat": 0.60, "errors swing": 0.75, "all metrics swing": 0.75}
_RULES = (rules.FOUR, *rules.NAIVE, *rules.OTHERS)


def claim() -> Claim:
    """The claim, as it is published."""
    return Claim(
        "aa",
        "Of two copies of one model, all guardrails on and watched after every 20 requests, at "
        "most 5 % are ever rolled back, however traffic swings.",
        1_000,
        prove,
    )


def prove(trials: Trials, runs: int) -> Measured:
    """False rollbacks of the sharpest full plan, and of others, in each scenario."""
    plan = judging.sharp_plan()
    found: list[Bar] = []
    notes = {}
    for scenario in streams.AA_COURSES:
        harms, theirs = errors(trials, plan, scenario, runs)
        found.append(
            bars.rate_at_most(
                f"false rollbacks, {scenario}",
                np.isfinite(harms.min(axis=1)),
                LIMIT,
                {name: np.isfinite(theirs[:, place]) for place, name in enumerate(_RULES)},
            )
        )
        if scenario in NAIVE_LIMITS:
            found.append(
                bars.rate_at_least(
                    f"false rollbacks, {scenario}",
                    np.isfinite(theirs[:, 0]),
                    NAIVE_LIMITS[scenario],
                    whose=rules.FOUR,
                )
            )
        notes[f"false rollbacks by guardrail, {scenario}"] = {
            str(rail.kind): float(np.isfinite(harms[:, place]).mean())
            for place, rail in enumerate(plan.guardrails)
        }
    return Measured(tuple(found), runs * len(streams.AA_COURSES), notes)


def errors(trials: Trials, plan: Plan, scenario: str, runs: int) -> tuple[Floats, Floats]:
    """When each guardrail of ours, and each other rule, took an equal challenger back.

    Returns:
        Shapes (runs, guardrails) and (runs, rules); infinity is never.
    """
    times = trials.run(partial(one_run, plan, scenario), runs, name=f"aa, {scenario}")
    return times[:, : len(plan.guardrails)], times[:, len(plan.guardrails) :]


def one_run(plan: Plan, scenario: str, rng: np.random.Generator) -> Floats:
    """One rollout: pairs, then live requests, at half the traffic or along the ramp."""
    course = streams.AA_COURSES[scenario]
    steps = streams.HALVES if scenario == "flat" else streams.RAMP
    stream = streams.live(rng, streams.shares(REQUESTS, steps), course(rng, REQUESTS))
    harms = judging.rollout_harm(plan, streams.mirrored(rng, course(rng, PAIRS)), stream)
    theirs = rules.times(stream.requests, judging.looks(REQUESTS))
    return np.array([*harms.values(), *(theirs[name] for name in _RULES)])
