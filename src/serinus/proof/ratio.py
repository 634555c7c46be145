"""``prove ratio``: a router that does not deliver the share it was told."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from serinus.delivery.types import Plan
from serinus.delivery.verdicts.evidence import Measure
from serinus.proof import intervals, judging
from serinus.proof.types import Bar, Claim, Measured, Trials

Floats = NDArray[np.float64]

CONFIGURED = 0.10
# A weighted rendezvous hash with scores of weight times hash delivers w / (1 - w) / 2.
DELIVERED = CONFIGURED / (1 - CONFIGURED) / 2
KEYS_LIMIT = 1_300.0
CLEAN_KEYS = 100_000
ALARMS_PER_THOUSAND = 3.0
_CHI_SQUARE_999 = 10.827566


def claim() -> Claim:
    """The claim, as it is published."""
    return Claim(
        "ratio",
        "A router told 10 % that delivers 5.6 % is caught within 1,300 keys nine times in ten, "
        "and of 1,000 sound streams of 100,000 keys at most 3 raise an alarm.",
        1_000,
        prove,
    )


def prove(trials: Trials, runs: int) -> Measured:
    """Keys until the wrong share is noticed, and alarms about right ones."""
    plan = judging.default_plan()
    caught = trials.run(partial(one_run, plan, DELIVERED, 4_000), runs, name="ratio, wrong")
    clean = trials.run(partial(one_run, plan, CONFIGURED, CLEAN_KEYS), runs, name="ratio, sound")
    alarms = np.isfinite(clean)
    found = (
        Bar(
            "10 % configured, 5.6 % delivered, 90 %",
            "keys",
            intervals.quantile(caught[:, 0], 0.9),
            intervals.quantile_upper(caught[:, 0], 0.9),
            "<=",
            KEYS_LIMIT,
            others={"chi-square 0.001 re-run": intervals.quantile(caught[:, 1], 0.9)},
        ),
        Bar(
            "alarms about a sound router",
            "in 1,000 streams",
            1_000 * float(alarms[:, 0].mean()),
            1_000 * intervals.rate_upper(int(alarms[:, 0].sum()), runs),
            "<=",
            ALARMS_PER_THOUSAND,
            others={"chi-square 0.001 re-run": 1_000 * float(alarms[:, 1].mean())},
        ),
    )
    return Measured(found, 2 * runs)


def one_run(plan: Plan, delivered: float, keys: int, rng: np.random.Generator) -> Floats:
    """After how many keys ours, and Pearson's chi-square at 0.001 re-run, raises an alarm."""
    ends = judging.looks(keys)
    challenger = rng.binomial(judging.EVERY, delivered, len(ends)).cumsum()
    tables = np.zeros((len(ends), 2, 2), np.int64)
    tables[:, 1, 0] = challenger
    tables[:, 0, 0] = ends - challenger
    ours = judging.harm_time(plan, "sample_ratio", {Measure.ERROR: {CONFIGURED: tables}}, ends)
    off = (challenger - CONFIGURED * ends) ** 2 / (ends * CONFIGURED * (1 - CONFIGURED))
    return np.array([ours, judging.first(off > _CHI_SQUARE_999, ends)])
