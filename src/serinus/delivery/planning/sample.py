"""The sample of an A/B test where nobody says one: enough to find what would matter. Pure.

As planned tests are sized everywhere (Fleiss, Levin & Paik 2003, ch. 4; Cohen 1988, ch. 2): for
the smallest difference that is worth a decision, the level of the test, and four of five tests
that find it.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from serinus.deferred import Deferred
from serinus.delivery.types import Experiment

if TYPE_CHECKING:
    from serinus.stats import power
else:
    power = Deferred("serinus.stats.power")

POWER = 0.8
"""The chance that a test finds the difference that it was planned for."""

DEVIATIONS = 0.1
"""The smallest difference of means worth finding, in standard deviations between units: half of
what Cohen (1988) calls a small effect."""

_RATES = ("accuracy", "precision", "recall", "f1", "conversion")
_UNLABELLED = ("latency", "conversion", "revenue")
# A rate of which nothing is known varies most in the middle: no other would need more units.
_UNKNOWN_RATE = 0.5
_ROUND = 100


def units(test: Experiment, *, points: float, loss: float, labelled: float | None = None) -> int:
    """Units of all versions together, in full hundreds.

    Args:
        test: what is compared, in which shares, how surely.
        points: the smallest difference of a rate worth finding (0.02 is two points).
        loss: the champion's share of wrong classes.
        labelled: of its answers lately, the share that got a label; None if unknown.

    Raises:
        InvalidInput: no reachable number finds so small a difference.
    """
    # The comparison that sees least: the champion with its smallest challenger.
    champion, challenger = 1.0 - sum(test.split), min(test.split)
    both = champion + challenger
    share, alpha = challenger / both, level(test)
    if is_rate(test.metric, None):
        here = rate(test.metric, loss)
        there = _away(here, points)
        needed = power.proportions_units(here, there, power=POWER, share=share, alpha=alpha)
    else:
        needed = power.means_units(DEVIATIONS, 1.0, power=POWER, share=share, alpha=alpha)
    told = labelled if labelled and needs_labels(test.metric) else 1.0
    return _ROUND * ceil(needed / both / told / _ROUND)


def difference(test: Experiment, points: float) -> str:
    """In words what :func:`units` finds: ``2 points of accuracy``."""
    if is_rate(test.metric, None):
        return f"{100 * points:g} points of {test.metric}"
    return f"{DEVIATIONS:g} standard deviations of {test.metric}"


def level(test: Experiment) -> float:
    """Of each comparison: every one may err, so they share the test's own (Bonferroni)."""
    return (1.0 - test.confidence) / len(test.challengers)


def is_rate(metric: str, task: str | None) -> bool:
    """Whether a metric is told in points; that of nobody's choice is its task's."""
    return metric.partition(":")[0] in _RATES if metric else task != "regression"


def needs_labels(metric: str) -> bool:
    """Whether a metric can be told of labelled answers alone."""
    return metric not in _UNLABELLED


def rate(metric: str, loss: float) -> float:
    """What the champion's rate is thought to be, from its share of wrong classes."""
    return _UNKNOWN_RATE if metric == "conversion" else min(max(1.0 - loss, 0.01), 0.99)


def _away(here: float, points: float) -> float:
    """A rate apart by so many points, towards the middle, where there is room."""
    if here <= 0.5:
        return here + min(points, (1.0 - here) * (1 - 1e-6))
    return here - min(points, here * (1 - 1e-6))
