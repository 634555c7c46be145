"""``prove paired``: how many labels a loss of two points of accuracy costs, mirrored and live."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from serinus.delivery.types import Plan
from serinus.delivery.verdicts.evidence import Measure
from serinus.proof import bars, intervals, judging, rules, streams
from serinus.proof.streams import Difference
from serinus.proof.types import Bar, Claim, Measured, Trials

Floats = NDArray[np.float64]

POINTS = Difference(wrong_points=0.02)
LIMITS = (1_500.0, 3_000.0)
FEWER = 6.0
PAIRS = 12_000
LIVE = 50_000


def claim() -> Claim:
    """The claim, as it is published."""
    return Claim(
        "paired",
        "Mirrored before it goes live, a challenger that is two points less accurate is found "
        "within 1,500 labels (median), with at least six times fewer than a live split in halves.",
        400,
        prove,
    )


def prove(trials: Trials, runs: int) -> Measured:
    """Labels until the loss is proven in pairs, and how many more a live split takes."""
    plan = judging.default_plan()
    pairs = trials.run(partial(one_mirror, plan), runs, name="paired, mirrored")[:, 0]
    live = trials.run(partial(one_split, plan), runs, name="paired, live halves")
    split, naive = live[:, 0], live[:, 1]
    found = bars.times_at_most(
        "two points less accurate",
        pairs,
        LIMITS,
        {"live halves": split, "two-proportion, live halves": naive},
        unit="labels",
    )
    fewer = Bar(
        "live halves over mirrored, medians",
        "times",
        intervals.quantile(split, 0.5) / intervals.quantile(pairs, 0.5),
        None,
        ">=",
        FEWER,
    )
    return Measured((*found, fewer), 2 * runs)


def one_mirror(plan: Plan, rng: np.random.Generator) -> Floats:
    """Labels of pairs until the challenger is taken back."""
    pairs = streams.mirrored(rng, streams.flat(rng, PAIRS), POINTS)
    labelled = pairs.loss >= 0
    ends = judging.looks(PAIRS, 5)
    time = judging.harm_time(plan, "shadow_quality", judging.pair_tables(pairs, ends), ends)
    return np.array([float(labelled[: int(time)].sum()) if np.isfinite(time) else time])


def one_split(plan: Plan, rng: np.random.Generator) -> Floats:
    """Labels of live requests until the challenger is taken back, by us and by two proportions."""
    stream = streams.live(rng, streams.shares(LIVE, (0.5,)), streams.flat(rng, LIVE), POINTS)
    ends = judging.looks(LIVE)
    tables = judging.counted(Measure.LOSS, stream.loss, stream.requests, ends)
    ours = judging.harm_time(plan, "quality", tables, ends)
    naive = rules.proportion_time(stream.loss > 0, stream.requests.challenger, ends)
    return np.array([ours, naive])
