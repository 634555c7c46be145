"""``prove delay``: labels that come late, later for one arm, sooner for mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from serinus.delivery.evidence import Measure
from serinus.delivery.types import Plan
from serinus.proof import bars, judging, rules, streams
from serinus.proof.streams import Stream
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
SO_FAR = "accuracy so far re-run"


@dataclass(frozen=True)
class Scenario:
    """How labels come: along which steps, and how much sooner if the answer was wrong."""

    steps: tuple[float, ...]
    sooner_if_wrong: float


SCENARIOS = {
    "ramp and trend": Scenario(streams.RAMP, 1.0),
    "mistakes are told sooner": Scenario(streams.HALVES, 5.0),
}


def claim() -> Claim:
    """The claim, as it is published."""
    return Claim(
        "delay",
        "Where the challenger's labels come three times later, at most 2 % of equal challengers "
        "are taken back for their quality; accuracy of the labels so far errs in 80 %.",
        1_000,
        prove,
    )


def prove(trials: Trials, runs: int) -> Measured:
    """False rollbacks for quality, ours in request order and two proportions in arrival order."""
    plan = judging.default_plan()
    found: list[Bar] = []
    notes = {}
    for name, scenario in SCENARIOS.items():
        times = trials.run(partial(one_run, plan, scenario), runs, name=f"delay, {name}")
        errs = np.isfinite(times)
        others = {SO_FAR: errs[:, 1], "our bets in arrival order": errs[:, 2]}
        found.append(bars.rate_at_most(f"false rollbacks, {name}", errs[:, 0], OURS, others))
        found.append(
            bars.rate_at_least(f"false rollbacks, {name}", errs[:, 1], NAIVE, whose=SO_FAR)
        )
        notes[f"labels, {name}"] = {"share that came within the window": float(times[:, 3].mean())}
    return Measured(tuple(found), runs * len(SCENARIOS), notes)


def one_run(plan: Plan, scenario: Scenario, rng: np.random.Generator) -> Floats:
    """When each rule takes an equal challenger back, and the coverage of the slower arm."""
    share = streams.shares(REQUESTS, scenario.steps)
    stream = streams.live(rng, share, streams.trend(rng, REQUESTS))
    delay = rng.exponential(DELAY, REQUESTS)
    delay *= np.where(stream.requests.challenger, SLOWER, 1.0)
    delay *= np.where(stream.loss > 0, 1.0 / scenario.sooner_if_wrong, 1.0)
    arrival = np.arange(REQUESTS) + delay
    ours = in_request_order(plan, stream, arrival)
    order = np.argsort(arrival)
    ends = judging.looks(REQUESTS)
    naive = rules.proportion_time(stream.loss[order] > 0, stream.requests.challenger[order], ends)
    arrived = judging.reordered(stream.requests, order)
    tables = judging.counted(Measure.LOSS, stream.loss[order], arrived, ends)
    careless = judging.harm_time(plan, "quality", tables, ends)
    came = (delay <= WINDOW)[stream.requests.challenger].mean()
    return np.array([ours, naive, careless, came])


def in_request_order(plan: Plan, stream: Stream, arrival: Floats) -> float:
    """When ours does: labels mature in the order of their requests, and only well covered.

    A request matures when its label has come or its window is over, and all before it have.
    """
    came = arrival <= np.arange(REQUESTS) + WINDOW
    matured = np.maximum.accumulate(np.minimum(arrival, np.arange(REQUESTS) + WINDOW))
    moments = judging.looks(REQUESTS + WINDOW)
    ends = np.searchsorted(matured, moments, side="right")
    tables = judging.counted(Measure.LOSS, np.where(came, stream.loss, -1), stream.requests, ends)
    proven = judging.harm(plan, judging.rail_of(plan, "quality"), tables)
    return judging.first(proven & _covered(plan, stream, came, ends), moments)


def _covered(plan: Plan, stream: Stream, came: Flags, ends: Counts) -> Flags:
    """At which looks both arms' matured requests have labels enough."""
    enough = np.ones(len(ends), np.bool_)
    for arm in (stream.requests.challenger, ~stream.requests.challenger):
        matured = np.concatenate(([0], np.cumsum(arm)))[ends]
        labelled = np.concatenate(([0], np.cumsum(arm & came)))[ends]
        enough &= (matured > 0) & (labelled >= plan.label_coverage * matured)
    return enough
