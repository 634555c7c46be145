"""``prove entities``: users who stay with their arm and come again and again."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from serinus.delivery.types import DeploymentSpec, Gate, Plan
from serinus.delivery.verdicts.evidence import Measure
from serinus.delivery.verdicts.tally import Requests
from serinus.proof import bars, judging, rules, streams
from serinus.proof.rules import Seen
from serinus.proof.streams import Course, Difference
from serinus.proof.types import Bar, Claim, Measured, Trials

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

REQUESTS = 20_000
ENTITIES = 1_000
OURS, REQUEST_LEVEL = 0.02, 0.08
SPLITS = {"10 %": (0.10,), "50 %": (0.50,), "ramp": streams.RAMP}
ERRS_AT = ("10 %", "50 %")
"""Where counting requests must err so often; on the ramp it errs in 8 % too, too near to ask."""
BY_REQUEST = "the same test by request"

# Promotion takes more entities than there can be in the above: each counts once.
MARGIN_REQUESTS = 40_000
MARGIN_ENTITIES = 20_000
MARGIN_LIMIT = 0.04
RARE, MARGIN = 0.005, Gate(error_odds=2.0, error_points=0.005)
"""At this base rate twice as many and half a point more are one and the same margin."""


def claim() -> Claim:
    """The claim, as it is published."""
    return Claim(
        "entities",
        "With users who keep their arm and come as often as words in a text: of 1,000 users' equal "
        "challengers at most 2 % are taken back for errors, where counting requests errs in 8 %; "
        "of 20,000 users' challengers on the margin at most 4 % are passed.",
        1_500,
        prove,
    )


def prove(trials: Trials, runs: int) -> Measured:
    """False rollbacks and wrong passes by entity, and by the same tests on requests."""
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
        if name in ERRS_AT:
            found.append(
                bars.rate_at_least(
                    f"false rollbacks, {name}", errs[:, 1], REQUEST_LEVEL, whose=BY_REQUEST
                )
            )
    for name in ("50 %", "ramp"):
        case = f"wrongly passed, {name}"
        times = trials.run(partial(one_passing, by_entity, SPLITS[name]), runs, name=case)
        passed = np.isfinite(times)
        others = {BY_REQUEST: passed[:, 1]}
        found.append(bars.rate_at_most(case, passed[:, 0], MARGIN_LIMIT, others))
    return Measured(tuple(found), runs * (len(SPLITS) + 2))


def one_run(plans: tuple[Plan, Plan], steps: tuple[float, ...], rng: np.random.Generator) -> Floats:
    """When each rule takes an equal challenger back; infinity is never."""
    by_entity, by_request = plans
    share = streams.shares(REQUESTS, steps)
    entity, drawn = sticky(rng, share, ENTITIES, streams.flat(rng, REQUESTS))
    ends = judging.looks(REQUESTS)
    failures = first_failures(entity, drawn.failed)
    tables = judging.counted(Measure.FIRST_FAILURE, failures, drawn, ends)
    ours = judging.harm_time(by_entity, "errors", tables, ends)
    request_level = judging.harm_time(by_request, "errors", judging.error_tables(drawn, ends), ends)
    seen = Seen(drawn, ends)
    naive = judging.first(rules.two_proportions(seen) & seen.ready, ends)
    return np.array([ours, request_level, naive, rules.growthbook(seen)])


def one_passing(plan: Plan, steps: tuple[float, ...], rng: np.random.Generator) -> Floats:
    """When a challenger on the margin is passed, by first requests and by all of them."""
    share = streams.shares(MARGIN_REQUESTS, steps)
    course = streams.failing_at(RARE, rng, MARGIN_REQUESTS)
    worse = Difference(error_ratio=MARGIN.error_odds or 1.0)
    entity, drawn = sticky(rng, share, MARGIN_ENTITIES, course, worse)
    ends = judging.looks(MARGIN_REQUESTS)
    failed = np.full(MARGIN_REQUESTS, -1)
    first = np.unique(entity, return_index=True)[1]
    failed[first] = drawn.failed[first]
    tables = judging.counted(Measure.ERROR, failed, drawn, ends)
    return np.array(
        [
            judging.margin_time(plan, MARGIN, "errors", tables, ends),
            judging.margin_time(plan, MARGIN, "errors", judging.error_tables(drawn, ends), ends),
        ]
    )


def sticky(
    rng: np.random.Generator,
    share: Floats,
    entities: int,
    course: Course,
    difference: Difference = streams.EQUAL,
) -> tuple[Counts, Requests]:
    """Requests of entities that keep their draw as shares grow, with whose each is.

    Some entities fail more often than others.
    """
    entity = visits(rng, len(share), entities)
    draws, luck = rng.random(entities), rng.gamma(2.0, 0.5, entities)
    unlucky = streams.with_errors(course, np.minimum(course.errors * luck[entity], 1.0))
    challenger = draws[entity] < share
    return entity, streams.failing(rng, share, unlucky, difference, challenger=challenger)


def visits(rng: np.random.Generator, requests: int, entities: int) -> Counts:
    """Whose each request is: the k-th entity comes proportionally to 1/k (Zipf)."""
    often = 1.0 / np.arange(1, entities + 1)
    found: Counts = np.searchsorted(np.cumsum(often / often.sum()), rng.random(requests))
    return np.minimum(found, entities - 1)


def first_failures(entity: Counts, failed: NDArray[np.bool_]) -> Counts:
    """The level of each request's first failure: 1 where its entity fails for the first time."""
    found = np.full(len(entity), -1)
    failing = np.flatnonzero(failed)
    found[failing[np.unique(entity[failing], return_index=True)[1]]] = 1
    return found
