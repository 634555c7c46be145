"""What is known of the class that precision, recall or F1 asks about. Pure.

Of a rare class most units say nothing: recall is told of the units that are of it, precision of
those that were claimed to be, F1 of both. All three are ratios of sums over units, y / n, so one
delta method gives the variance of a unit's share in each (Deng, Knoblich & Lu, KDD 2018): that of
z = (y - R n) / E[n], as :mod:`serinus.delivery.experiments.contrast` estimates it in the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from serinus.delivery.experiments.metrics import Metric
from serinus.delivery.types import Positives
from serinus.delivery.verdicts import evidence as ev
from serinus.stats import bins
from serinus.stats.bins import NumericBins
from serinus.stats.class_tallies import Tally
from serinus.wire import Answer

RARE = 0.01
"""The share of a class of which nothing is known: as few as frauds are. Of a more frequent one the
test then merely takes longer, at most its longest time."""

_TENTH, _ALL = 0.1, 0.995
# By metric, the rate at which it varies most: R (1 - R), and for F1 that by (2 - R).
_WIDEST = {"precision": 0.5, "recall": 0.5, "f1": 1 - 3**-0.5}


def of(
    metric: Metric, tallies: Sequence[Tally], classes: Sequence[Answer], second: float | None
) -> Positives | None:
    """What the class of a metric is thought to be; None if the metric asks about none.

    Args:
        metric: what success is judged by.
        tallies: of the champion's classes, on rows it did not learn from.
        classes: that it predicts.
        second: of two classes, the share of its answers that claimed the second; None if unknown.
    """
    if metric.positive is None:
        return None
    name = metric.positive
    for found in tallies:
        if ev.same(found.name, name):
            return Positives(
                _share(found.true, found.rows),
                _share(found.claimed, found.rows),
                _rate(metric.name, found),
                "test",
            )
    widest = _WIDEST[metric.name]
    if second is None or len(classes) != 2:
        return Positives(RARE, RARE, widest, "nothing")
    share = second if ev.same(classes[1], name) else 1.0 - second
    if not share:
        return Positives(RARE, RARE, widest, "nothing")
    return Positives(share, share, widest, "answers")


def second_claimed(reference: Mapping[str, Any]) -> float | None:
    """Of two classes, the share of answers that claimed the second, from a reference profile.

    None where its answers are no probabilities.
    """
    output = reference.get("output", {})
    found = bins.from_dict(output["bins"]) if output else None
    if not isinstance(found, NumericBins) or not (found.lowest >= 0.0 and found.highest <= 1.0):
        return None
    ends = np.array([found.lowest, *found.edges, found.highest])
    inner = np.asarray(output["counts"], float)[1 : len(ends)]
    if inner.sum() <= 0:
        return None
    below = np.concatenate([[0.0], np.cumsum(inner)]) / inner.sum()
    return 1.0 - float(np.interp(0.5, ends, below))


def variance(metric: str, rate: float, positives: Positives) -> float:
    """Of a unit's part in the metric, at such a rate.

    Recall R is a mean over the units of the class, whose share is s: R (1 - R) / s. Precision is
    one over those claimed. F1 is 2 TP / (2 TP + FP + FN), whose denominator is on average the sum m
    of both shares: with E[TP] = F m / 2 and E[FP + FN] = (1 - F) m, the variance of
    (2 TP (1 - F) - F (FP + FN)) / m is F (1 - F) (2 - F) / m.
    """
    spread = rate * (1.0 - rate)
    if metric == "f1":
        return spread * (2.0 - rate) / (positives.true + positives.claimed)
    return spread / informative(metric, positives)


def informative(metric: str, positives: Positives) -> float:
    """The share of labelled units that say anything of the metric."""
    if metric == "recall":
        return positives.true
    if metric == "precision":
        return positives.claimed
    # Those of the class or claimed to be: what is both counts once.
    return min(1.0, (positives.true + positives.claimed) * (1.0 - positives.rate / 2.0))


def words(metric: str, positives: Positives) -> str:
    """Why so many units are needed: which of them say anything; "" if all of them do."""
    which = {
        "recall": "are of this class",
        "precision": "are claimed to be of this class",
        "f1": "are of this class or claimed to be",
    }[metric]
    telling = informative(metric, positives)
    if telling >= _ALL:
        return ""
    share = f"{100 * telling:{'.0f' if telling >= _TENTH else '.2g'}} %"
    if positives.known == "nothing":
        return f"taking it that {share} {which}, as nobody knows how many are"
    return f"as only {share} {which} and the others say nothing of it"


def _share(part: int, whole: int) -> float:
    """Jeffreys' estimate, never 0 or 1 (Brown, Cai & DasGupta 2001)."""
    return (part + 0.5) / (whole + 1.0)


def _rate(metric: str, found: Tally) -> float:
    if metric == "f1":
        return _share(2 * found.hits, found.true + found.claimed)
    return _share(found.hits, found.true if metric == "recall" else found.claimed)
