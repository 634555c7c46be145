"""What is known of the class that precision, recall or F1 asks about. Pure.

Of a rare class most units say nothing: recall is told of the units that are of it, precision of
those that were claimed to be, F1 of both. All three are ratios of sums over units, y / n, so one
delta method gives the variance of a unit's share in each (Deng, Knoblich & Lu, KDD 2018): that of
z = (y - R n) / E[n], as :mod:`serinus.delivery.experiments.contrast` estimates it in the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, nextafter
from typing import Any, NamedTuple

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

LOOSE = 2.0
"""A share that is known no better than to such a factor is not known: a sample follows it."""

RULE_OF_THREE = 3.0
"""What never came in n rows is, surely to 95 %, no more frequent than 3 / n (Hanley & Lippman-Hand
1983)."""

_TENTH, _ALL = 0.1, 0.995
# By metric, the rate at which it varies most: R (1 - R), and for F1 that by (2 - R).
_WIDEST = {"precision": 0.5, "recall": 0.5, "f1": 1 - 3**-0.5}


class Share(NamedTuple):
    """A share of which no more is known than that it lies between two."""

    least: float
    most: float

    @property
    def is_known(self) -> bool:
        """Whether both are near enough to plan with."""
        return 0.0 < self.most <= LOOSE * self.least

    @property
    def rest(self) -> Share:
        """The share of all others."""
        return Share(1.0 - self.most, 1.0 - self.least)


def of(
    metric: Metric, tallies: Sequence[Tally], classes: Sequence[Answer], second: Share | None
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
    found = _tally(metric, tallies)
    if found is not None and (_telling(metric, found) or _is_rarer(found)):
        return Positives(
            _share(found.true, found.rows),
            _share(found.claimed, found.rows),
            _rate(metric.name, found),
            "test",
        )
    widest = _WIDEST[metric.name]
    if second is None or len(classes) != 2:
        return Positives(RARE, RARE, widest, "nothing")
    claimed = second if ev.same(classes[1], name) else second.rest
    if not claimed.is_known:
        return Positives(RARE, RARE, widest, "nothing")
    share = (claimed.least + claimed.most) / 2.0
    return Positives(share, share, widest, "answers")


def unseen(metric: Metric, tallies: Sequence[Tally]) -> Tally | None:
    """The tally of the class that a metric asks about, where none of many rows says anything of it.

    Many are those among which a class as rare as :data:`RARE` would have come; fewer say nothing.
    """
    found = _tally(metric, tallies)
    if found is None or _telling(metric, found) or not _is_rarer(found):
        return None
    return found


def second_claimed(reference: Mapping[str, Any]) -> Share | None:
    """Of two classes, the share of answers that claimed the second, from a reference profile.

    What lies in the same bin as a half may have claimed either, and of a rare class that bin is
    wide: most of it would be claims of nobody. None where the answers are no probabilities.
    """
    output = reference.get("output", {})
    found = bins.from_dict(output["bins"]) if output else None
    if not isinstance(found, NumericBins) or not (found.lowest >= 0.0 and found.highest <= 1.0):
        return None
    ends = np.array([found.lowest, *found.edges, nextafter(found.highest, inf)])
    inner = np.asarray(output["counts"], float)[1 : len(ends)]
    if inner.sum() <= 0:
        return None
    # At a half itself the first class is claimed.
    claim = nextafter(0.5, inf)
    surely = inner[np.searchsorted(ends, claim, side="left") :]
    perhaps = inner[max(0, np.searchsorted(ends, claim, side="right") - 1) :]
    return Share(*(float(part.sum() / inner.sum()) for part in (surely, perhaps)))


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


def at_most(metric: str, found: Tally) -> Positives:
    """A class that never came, as frequent as its rows allow."""
    share = RULE_OF_THREE / found.rows
    return Positives(share, share, _WIDEST[metric], "test")


def _tally(metric: Metric, tallies: Sequence[Tally]) -> Tally | None:
    name = metric.positive
    if name is None:
        return None
    return next((found for found in tallies if ev.same(found.name, name)), None)


def _telling(metric: Metric, found: Tally) -> int:
    """How many rows say anything of the metric."""
    return {"recall": found.true, "precision": found.claimed}.get(
        metric.name, found.true + found.claimed
    )


def _is_rarer(found: Tally) -> bool:
    """Whether a class that never came must be rarer than one of which nothing is known."""
    return found.rows * RARE > RULE_OF_THREE


def _share(part: int, whole: int) -> float:
    """Jeffreys' estimate, never 0 or 1 (Brown, Cai & DasGupta 2001)."""
    return (part + 0.5) / (whole + 1.0)


def _rate(metric: str, found: Tally) -> float:
    if metric == "f1":
        return _share(2 * found.hits, found.true + found.claimed)
    return _share(found.hits, found.true if metric == "recall" else found.claimed)
