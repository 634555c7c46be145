"""``prove latency``: how soon a slower challenger is found at a tenth of the traffic."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from serinus.delivery.types import Plan
from serinus.proof import bars, judging, rules, streams
from serinus.proof.rules import Seen
from serinus.proof.streams import Difference, Stream
from serinus.proof.types import Bar, Claim, Measured, Trials

Floats = NDArray[np.float64]

SHARE = 0.10
HARMS = {
    "50 % slower": (Difference(latency_ratio=1.5), (520.0, 1_100.0)),
    "20 % slower": (Difference(latency_ratio=1.2), (3_000.0, 6_500.0)),
    "20 % slower beyond p95 only": (Difference(tail_ratio=1.2), (10_500.0, 22_000.0)),
}
BY_DEFAULT = {
    "50 % slower": (Difference(latency_ratio=1.5), 12_000),
    "20 % slower": (Difference(latency_ratio=1.2), 70_000),
}
"""What the defaults find, though they forgive a tenth and a millisecond; in how many requests."""
_PATIENCE = 3
# Others measure once a minute; they are given some.
_LEAST_REQUESTS = 12_000
_RULES = ("Welch, latency", "Mann-Whitney, latency", "GrowthBook", "Flagger", "Kayenta")


def claim() -> Claim:
    """The claim, as it is published."""
    return Claim(
        "latency",
        "With a tenth of the traffic, and nothing forgiven, a challenger that is 50 % slower is "
        "found within 520 requests (median), 20 % within 3,000, 20 % in the tail alone within "
        "10,500. The defaults forgive a tenth and a millisecond; their pace is told.",
        300,
        prove,
    )


def prove(trials: Trials, runs: int) -> Measured:
    """Requests until slowness is proven where nothing is forgiven; the defaults beside it."""
    sharp, default = (
        judging.only(plan, "latency") for plan in (judging.sharp_plan(), judging.default_plan())
    )
    found: list[Bar] = []
    for harm, (difference, limits) in HARMS.items():
        requests = max(_LEAST_REQUESTS, int(_PATIENCE * limits[1]))
        times = trials.run(
            partial(one_run, sharp, difference, requests), runs, name=f"latency, {harm}"
        )
        theirs = {rule: times[:, 1 + place] for place, rule in enumerate(_RULES)}
        found += bars.times_at_most(harm, times[:, 0], limits, theirs)
    for harm, (difference, requests) in BY_DEFAULT.items():
        name = f"{harm}, by the defaults"
        trial = partial(ours, default, difference, requests)
        times = trials.run(trial, runs, name=f"latency, {name}")
        found += bars.times_at_most(name, times[:, 0])
    return Measured(tuple(found), runs * len(HARMS | BY_DEFAULT))


def ours(plan: Plan, difference: Difference, requests: int, rng: np.random.Generator) -> Floats:
    """After how many requests a plan finds the challenger slower."""
    return np.array([_found(plan, _stream(difference, requests, rng))])


def one_run(plan: Plan, difference: Difference, requests: int, rng: np.random.Generator) -> Floats:
    """After how many requests a plan, and each other rule, finds the challenger slower."""
    stream = _stream(difference, requests, rng)
    drawn, ends = stream.requests, judging.looks(requests)
    seen = Seen(drawn, ends)
    return np.array(
        [
            _found(plan, stream),
            judging.first(rules.welch(seen) & seen.ready, ends),
            judging.first(rules.mann_whitney(seen) & seen.ready, ends),
            rules.growthbook(seen),
            rules.flagger(drawn),
            rules.kayenta(drawn),
        ]
    )


def _stream(difference: Difference, requests: int, rng: np.random.Generator) -> Stream:
    share = streams.shares(requests, (SHARE,))
    return streams.live(rng, share, streams.flat(rng, requests), difference)


def _found(plan: Plan, stream: Stream) -> float:
    ends = judging.looks(len(stream.requests))
    return judging.harm_time(plan, "latency", judging.live_tables(plan, stream, ends), ends)
