"""``prove power``: how soon more errors are found at a tenth of the traffic."""

from __future__ import annotations

from functools import partial
from math import log

import numpy as np
from numpy.typing import NDArray

from serinus.delivery.types import Plan
from serinus.proof import bars, judging, rules, streams
from serinus.proof.rules import Seen
from serinus.proof.streams import Difference
from serinus.proof.types import Bar, Claim, Measured, Trials

Floats = NDArray[np.float64]

SHARE = 0.10
LIMITS = {50.0: (100.0, 180.0), 5.0: (1_800.0, 4_000.0), 2.0: (18_000.0, 39_000.0)}
SLOW_LIMITS = {1.5: (65_000.0, 140_000.0)}
# A run lasts this many times the limit of the 90 % quantile; nearly all are done long before.
_PATIENCE = 2.5
# Others measure once a minute; they are given some.
_LEAST_REQUESTS = 4_000
WALD_LIMIT = 1.35
WALD_UP_TO = 5.0
_RULES = ("two-proportion, errors", "GrowthBook", "Flagger", "Argo Rollouts", "Kayenta")


def claim() -> Claim:
    """The claim, as it is published."""
    return Claim(
        "power",
        "With a tenth of the traffic, a challenger that fails 50 times as often is found within "
        "100 requests (median), 5 times within 1,800, twice within 18,000, half more within "
        "65,000; for up to 5 times within 1.35 of the least that any test needs.",
        400,
        prove,
    )


def prove(trials: Trials, runs: int) -> Measured:
    """Requests until more errors are proven, and against Wald's bound."""
    plan = judging.default_plan()
    alpha = judging.rail_of(plan, "errors").alpha
    found: list[Bar] = []
    for ratio, limits in (LIMITS | SLOW_LIMITS).items():
        requests = max(_LEAST_REQUESTS, int(_PATIENCE * limits[1]))
        times = trials.run(
            partial(one_run, plan, ratio, requests), runs, name=f"power, {ratio:g} times"
        )
        theirs = {rule: times[:, 1 + place] for place, rule in enumerate(_RULES)}
        pair = bars.times_at_most(f"{ratio:g} times the errors", times[:, 0], limits, theirs)
        found += pair
        if ratio <= WALD_UP_TO:
            least = wald_bound(ratio, alpha)
            found.append(
                Bar(
                    f"{ratio:g} times the errors, median over Wald's bound",
                    f"times {least:,.0f} requests",
                    pair[0].figure / least,
                    (pair[0].confidence_limit or 0.0) / least,
                    "<=",
                    WALD_LIMIT,
                )
            )
    return Measured(tuple(found), runs * len(LIMITS | SLOW_LIMITS))


def wald_bound(ratio: float, alpha: float) -> float:
    """Requests that even a test told ``ratio`` beforehand needs on average.

    Wald (1947): the log of the likelihood ratio must reach log(1/alpha), and each failure brings
    on average its Kullback-Leibler divergence.
    """
    harmed = ratio * SHARE / (ratio * SHARE + 1 - SHARE)
    gain = harmed * log(harmed / SHARE) + (1 - harmed) * log((1 - harmed) / (1 - SHARE))
    failures = log(1 / alpha) / gain
    return failures / (streams.ERROR_RATE * (ratio * SHARE + 1 - SHARE))


def one_run(plan: Plan, ratio: float, requests: int, rng: np.random.Generator) -> Floats:
    """After how many requests each rule takes a challenger with so many errors back."""
    course = streams.flat(rng, requests)
    drawn = streams.failing(
        rng, streams.shares(requests, (SHARE,)), course, Difference(error_ratio=ratio)
    )
    # Gross harm is found between two looks of the usual distance.
    ends = judging.looks(requests, 1 if ratio > WALD_UP_TO else judging.EVERY)
    ours = judging.harm_time(plan, "errors", judging.error_tables(drawn, ends), ends)
    seen = Seen(drawn, ends)
    naive = judging.first(rules.two_proportions(seen) & seen.ready, ends)
    return np.array(
        [
            ours,
            naive,
            rules.growthbook(seen),
            rules.flagger(drawn),
            rules.argo(drawn),
            rules.kayenta(drawn, every=max(rules.INTERVAL, requests // 200)),
        ]
    )
