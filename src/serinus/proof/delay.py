"""``prove delay``: labels that come late, later for one arm, sooner for mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from serinus.delivery.planning import plan as plans
from serinus.delivery.types import Gate, Plan
from serinus.delivery.verdicts.evidence import Measure, Tables
from serinus.proof import bars, judging, rules, streams
from serinus.proof.rules import Seen
from serinus.proof.streams import Difference, Stream
from serinus.proof.types import Bar, Claim, Measured, Trials

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

REQUESTS = 20_000
WINDOW = 9_500
"""In requests: how long a label is waited for, so that 99.8 % of the slower arm's come."""
DELAY, SLOWER = 500.0, 3.0
"""Mean delay of the champion's labels in requests, and how much longer the challenger's take."""
OURS, NAIVE = 0.02, 0.80
PROMOTED, NAIVELY_PROMOTED = 0.05, 0.30
MARGIN = 0.02
SO_FAR = "accuracy so far re-run"
ARRIVAL = "our bets in arrival order"


@dataclass(frozen=True)
class Scenario:
    """How labels come: along which steps, and how much sooner if the answer was wrong."""

    steps: tuple[float, ...]
    sooner_if_wrong: float


SCENARIOS = {
    "ramp and trend": Scenario(streams.RAMP, 1.0),
    "mistakes are told sooner": Scenario(streams.HALVES, 5.0),
}
AGEING = Scenario(streams.HALVES, 1.0)
"""Accuracy falls while labels come: those of the slower arm are older, and so look better."""


@dataclass(frozen=True)
class Matured:
    """What is known of labels at each look, when they count in the order of their requests.

    Attributes:
        looks: shape (looks,), when somebody looks, in requests.
        tables: at each look.
        covered: shape (looks,), where labels enough of both arms' matured requests came.
    """

    looks: Counts
    tables: Tables
    covered: Flags


def claim() -> Claim:
    """The claim, as it is published."""
    return Claim(
        "delay",
        "Where the challenger's labels come three times later, at most 2 % of equal challengers "
        "are taken back for their quality, and at most 5 % of those two points worse are passed "
        "while accuracy falls; accuracy of the labels so far errs in 80 % and 30 %.",
        1_000,
        prove,
    )


def prove(trials: Trials, runs: int) -> Measured:
    """Wrong verdicts on quality, ours in request order and the usual ones in arrival order."""
    plan = judging.default_plan()
    found: list[Bar] = []
    notes = {}
    for name, scenario in SCENARIOS.items():
        times = trials.run(partial(one_run, plan, scenario), runs, name=f"delay, {name}")
        errs = np.isfinite(times)
        others = {SO_FAR: errs[:, 1], ARRIVAL: errs[:, 2]}
        found.append(bars.rate_at_most(f"false rollbacks, {name}", errs[:, 0], OURS, others))
        found.append(
            bars.rate_at_least(f"false rollbacks, {name}", errs[:, 1], NAIVE, whose=SO_FAR)
        )
        notes[f"labels, {name}"] = {"share that came within the window": float(times[:, 3].mean())}
    name = "wrongly passed, accuracy falls"
    passed = np.isfinite(trials.run(partial(one_passing, plan), runs, name=f"delay, {name}"))
    others = {SO_FAR: passed[:, 1], ARRIVAL: passed[:, 2]}
    found.append(bars.rate_at_most(name, passed[:, 0], PROMOTED, others))
    found.append(bars.rate_at_least(name, passed[:, 1], NAIVELY_PROMOTED, whose=SO_FAR))
    return Measured(tuple(found), runs * (len(SCENARIOS) + 1), notes)


def one_run(plan: Plan, scenario: Scenario, rng: np.random.Generator) -> Floats:
    """When each rule takes an equal challenger back, and the coverage of the slower arm."""
    share = streams.shares(REQUESTS, scenario.steps)
    stream = streams.live(rng, share, streams.trend(rng, REQUESTS))
    arrival = arrivals(stream, scenario, rng)
    ours = taken_back(plan, in_request_order(stream, arrival))
    order, ends = np.argsort(arrival), judging.looks(REQUESTS)
    naive = rules.proportion_time(stream.loss[order] > 0, stream.requests.challenger[order], ends)
    careless = judging.harm_time(plan, "quality", _in_arrival_order(stream, order, ends), ends)
    came = (arrival <= np.arange(REQUESTS) + WINDOW)[stream.requests.challenger].mean()
    return np.array([ours, naive, careless, came])


def one_passing(plan: Plan, rng: np.random.Generator) -> Floats:
    """When each rule lets a challenger through that is exactly as bad as the margin."""
    # Failures count as wrong in both arms and would leave less than the margin between them.
    course = streams.with_errors(streams.trend(rng, REQUESTS), np.zeros(REQUESTS))
    share = streams.shares(REQUESTS, AGEING.steps)
    stream = streams.live(rng, share, course, Difference(wrong_points=MARGIN))
    arrival = arrivals(stream, AGEING, rng)
    known = in_request_order(stream, arrival)
    gate = Gate(quality_points=MARGIN)
    passed = judging.safe(plan, gate, "quality", known.tables) & known.covered
    order, ends = np.argsort(arrival), judging.looks(REQUESTS)
    wrong = (stream.loss[order] > 0).astype(np.float64)
    seen = Seen(judging.reordered(stream.requests, order), ends)
    tables = _in_arrival_order(stream, order, ends)
    return np.array(
        [
            judging.first(passed, known.looks),
            rules.margin_excluded(seen, wrong, 1.0, MARGIN),
            judging.margin_time(plan, gate, "quality", tables, ends),
        ]
    )


def arrivals(stream: Stream, scenario: Scenario, rng: np.random.Generator) -> Floats:
    """Shape (n,): when each request's label comes, in requests."""
    delay = rng.exponential(DELAY, len(stream.loss))
    delay *= np.where(stream.requests.challenger, SLOWER, 1.0)
    delay *= np.where(stream.loss > 0, 1.0 / scenario.sooner_if_wrong, 1.0)
    arrival: Floats = np.arange(len(delay)) + delay
    return arrival


def in_request_order(stream: Stream, arrival: Floats) -> Matured:
    """What the controller knows at each look.

    A request matures when its label has come or is given up, and all before it have. It is given
    up at the first look past the window.
    """
    n, every = len(arrival), judging.EVERY
    given_up = -(-(np.arange(n) + WINDOW) // every) * every
    matured = np.maximum.accumulate(np.minimum(arrival, given_up))
    looks = judging.looks(n + WINDOW + every)
    ends = np.searchsorted(matured, looks, side="right")
    came = arrival <= given_up
    losses = np.where(came, stream.loss, -1)
    tables = judging.counted(Measure.LOSS, losses, stream.requests, ends)
    return Matured(looks, tables, _covered(stream, came, ends))


def taken_back(plan: Plan, known: Matured) -> float:
    """The look at which worse quality is proven; infinity is never."""
    proven = judging.harm(plan, judging.rail_of(plan, "quality"), known.tables)
    return judging.first(proven & known.covered, known.looks)


def _in_arrival_order(stream: Stream, order: Counts, ends: Counts) -> Tables:
    arrived = judging.reordered(stream.requests, order)
    return judging.counted(Measure.LOSS, stream.loss[order], arrived, ends)


def _covered(stream: Stream, came: Flags, ends: Counts) -> Flags:
    enough = np.ones(len(ends), np.bool_)
    for arm in (stream.requests.challenger, ~stream.requests.challenger):
        matured = np.concatenate(([0], np.cumsum(arm)))[ends]
        labelled = np.concatenate(([0], np.cumsum(arm & came)))[ends]
        enough &= (matured > 0) & (labelled >= plans.LABEL_COVERAGE * matured)
    return enough
