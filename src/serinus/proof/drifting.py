"""``prove drifting``: two equal models while everything drifts."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from serinus.delivery.types import Plan
from serinus.proof import bars, judging, rules, streams
from serinus.proof.types import Claim, Measured, Trials

Floats = NDArray[np.float64]

REQUESTS = 20_000
PAIRS = 5_000
LIMIT = 0.05
RULES = (rules.FOUR, *rules.OTHERS)


def claim() -> Claim:
    """The claim, as it is published."""
    return Claim(
        "drifting",
        "Two equal models during a ramp in which everything drifts, jumps, bursts into errors, "
        "breaks down in both arms or has latencies without bounds: at most 5 % are rolled back.",
        750,
        prove,
    )


def prove(trials: Trials, runs: int) -> Measured:
    """False rollbacks along the ramp, ours and others', for each kind of drift."""
    plan = judging.sharp_plan()
    found = []
    notes = {}
    for course in streams.DRIFTING_COURSES:
        times = trials.run(partial(one_run, plan, course), runs, name=f"drifting, {course}")
        count = len(plan.guardrails)
        found.append(
            bars.rate_at_most(
                f"false rollbacks, {course}",
                np.isfinite(times[:, :count].min(axis=1)),
                LIMIT,
                {name: np.isfinite(times[:, count + place]) for place, name in enumerate(RULES)},
            )
        )
        notes[f"false rollbacks by guardrail, {course}"] = {
            str(rail.kind): float(np.isfinite(times[:, place]).mean())
            for place, rail in enumerate(plan.guardrails)
        }
    return Measured(tuple(found), runs * len(streams.DRIFTING_COURSES), notes)


def one_run(plan: Plan, course: str, rng: np.random.Generator) -> Floats:
    """One rollout along the ramp."""
    drift = streams.DRIFTING_COURSES[course]
    stream = streams.live(rng, streams.shares(REQUESTS, streams.RAMP), drift(rng, REQUESTS))
    harms = judging.rollout_harm(plan, streams.mirrored(rng, drift(rng, PAIRS)), stream)
    theirs = rules.times(stream.requests, judging.looks(REQUESTS))
    return np.array([*harms.values(), *(theirs[name] for name in RULES)])
