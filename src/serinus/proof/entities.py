"""``prove entities``: users who stay with their arm and come again and again."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from serinus.delivery.evidence import Measure
from serinus.delivery.types import DeploymentSpec, Plan
from serinus.proof import bars, judging, rules, streams
from serinus.proof.rules import Seen
from serinus.proof.types import Bar, Claim, Measured, Trials

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

REQUESTS = 20_000
ENTITIES = 1_000
OURS, REQUEST_LEVEL = 0.02, 0.08
SPLITS = {"10 %": (0.10,), "50 %": (0.50,), "ramp": streams.RAMP}
BY_REQUEST = "the same test by request"


def claim() -> Claim:
    """The claim, as it is published."""
    return Claim(
        "entities",
        "With 1,000 users who keep their arm and come as often as words in a text, at most 2 % "
        "of equal challengers are taken back for errors, where counting requests errs in 8 %.",
        1_500,
        prove,
    )


def prove(trials: Trials, runs: int) -> Measured:
    """False rollbacks by entity, and by the same test on requests."""
    by_entity = judging.make_plan(DeploymentSpec(model="model", challenger="2", unit="entity"))
    by_request = judging.default_plan()
    found: list[Bar] = []
    for name, steps in SPLITS.items():
        times = trials.run(
            partial(one_run, (by_entity, by_request), steps), runs, name=f"entities, {name}"
        )
        errs = np.isfinite(times)
        others = {BY_REQUEST: errs[:, 1], rules.NAIVE[0]: errs[:, 2], "GrowthBook": errs[:, 3]}
        found.append(bars.rate_at_most(f"false rollbacks, {name}", errs[:, 0], OURS, others))
        if name == "50 %":
            found.append(
                bars.rate_at_least(
                    f"false rollbacks, {name}", errs[:, 1], REQUEST_LEVEL, whose=BY_REQUEST
                )
            )
    return Measured(tuple(found), runs * len(SPLITS))


def one_run(plans: tuple[Plan, Plan], steps: tuple[float, ...], rng: np.random.Generator) -> Floats:
    """When each rule takes an equal challenger back; infinity is never."""
    by_entity, by_request = plans
    share = streams.shares(REQUESTS, steps)
    entity = visits(rng, REQUESTS)
    # Sticky: an entity's draw stays as shares grow, and some entities are worse off than others.
    draws, luck = rng.random(ENTITIES), rng.gamma(2.0, 0.5, ENTITIES)
    course = streams.flat(rng, REQUESTS)
    course = streams.with_errors(course, np.minimum(course.errors * luck[entity], 1.0))
    drawn = streams.failing(rng, share, course, challenger=draws[entity] < share)
    ends = judging.looks(REQUESTS)
    failures = first_failures(entity, drawn.failed)
    tables = judging.counted(Measure.FIRST_FAILURE, failures, drawn, ends)
    ours = judging.harm_time(by_entity, "errors", tables, ends)
    request_level = judging.harm_time(by_request, "errors", judging.error_tables(drawn, ends), ends)
    seen = Seen(drawn, ends)
    naive = judging.first(rules.two_proportions(seen) & seen.ready, ends)
    return np.array([ours, request_level, naive, rules.growthbook(seen)])


def visits(rng: np.random.Generator, requests: int) -> Counts:
    """Whose each request is: the k-th entity comes proportionally to 1/k (Zipf)."""
    often = 1.0 / np.arange(1, ENTITIES + 1)
    found: Counts = np.searchsorted(np.cumsum(often / often.sum()), rng.random(requests))
    return np.minimum(found, ENTITIES - 1)


def first_failures(entity: Counts, failed: NDArray[np.bool_]) -> Counts:
    """The level of each request's first failure: 1 where its entity fails for the first time."""
    found = np.full(len(entity), -1)
    failing = np.flatnonzero(failed)
    found[failing[np.unique(entity[failing], return_index=True)[1]]] = 1
    return found
