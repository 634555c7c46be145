"""The sample of an A/B test where nobody says one: enough to find what would matter. Pure.

As planned tests are sized everywhere (Fleiss, Levin & Paik 2003, ch. 4; Cohen 1988, ch. 2): for
the smallest difference that is worth a decision, the level of the test, and four of five tests
that find it. What asks about a class is sized by :mod:`serinus.delivery.planning.positives`.
"""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING

import msgspec

from serinus.deferred import Deferred
from serinus.delivery.planning import positives
from serinus.delivery.types import Experiment, Positives
from serinus.errors import InvalidInput
from serinus.stats.class_tallies import Tally

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


def units(test: Experiment, *, points: float, loss: float) -> int:
    """Units of all versions together, in full hundreds: those that count (labelled, if need be).

    Args:
        test: what is compared, in which shares, how surely.
        points: the smallest difference of a rate worth finding (0.02 is two points).
        loss: the champion's share of wrong classes.

    Raises:
        InvalidInput: no reachable number finds so small a difference.
    """
    # The comparison that sees least: the champion with its smallest challenger.
    champion, challenger = 1.0 - sum(test.split), min(test.split)
    both = champion + challenger
    share, alpha = challenger / both, level(test)
    if not is_rate(test.metric, None):
        needed = power.means_units(DEVIATIONS, 1.0, power=POWER, share=share, alpha=alpha)
        return _ROUND * ceil(needed / both / _ROUND)
    here = rate(test, loss)
    there = away(here, points)
    if test.positives is None:
        needed = power.proportions_units(here, there, power=POWER, share=share, alpha=alpha)
    else:
        spread = deviation(test, test.positives, there, share)
        needed = power.means_units(here - there, spread, power=POWER, share=share, alpha=alpha)
    return _ROUND * ceil(needed / both / _ROUND)


def refusal(test: Experiment, unseen: Tally, *, points: float) -> InvalidInput:
    """That nobody can size a test of a class that never came.

    Any number would be made up: one from the share that is likeliest after so many rows is in the
    thousands of millions, and nobody waits for that.

    Args:
        test: what is compared.
        unseen: the class, among rows that say nothing of the metric.
        points: the smallest difference worth finding.

    Raises:
        InvalidInput: instead of returning it, where no reachable number would do at all.
    """
    highest = positives.at_most(plain(test.metric), unseen)
    most = msgspec.structs.replace(test, positives=highest)
    never = "was never claimed" if plain(test.metric) == "precision" else "never came"
    return InvalidInput(
        f"no sample can be planned: {unseen.name} {never} in the {unseen.rows:,} rows that the "
        "champion did not learn from",
        where="metric",
        remedy=f"Say min_requests. Even if it is as frequent as these rows allow "
        f"({positives.RULE_OF_THREE:g} in {unseen.rows:,}), finding "
        f"{difference(test, points)} takes {units(most, points=points, loss=0.0):,} units.",
    )


def deviation(test: Experiment, found: Positives, there: float, share: float) -> float:
    """Between units, of a metric that asks about a class.

    The one deviation at which two arms' difference varies as much as with their own
    (var / (1 - share) of the champion and var / share of the challenger).

    Args:
        test: what is compared.
        found: the class, and the champion's rate.
        there: the challenger's rate.
        share: the challenger's part of both arms' units.
    """
    name = plain(test.metric)
    champion, challenger = (positives.variance(name, at, found) for at in (found.rate, there))
    return sqrt(share * champion + (1.0 - share) * challenger)


def difference(test: Experiment, points: float) -> str:
    """In words what :func:`units` finds: ``2 points of accuracy``."""
    if is_rate(test.metric, None):
        return f"{100 * points:g} points of {test.metric}"
    return f"{DEVIATIONS:g} standard deviations of {test.metric}"


def reason(test: Experiment) -> str:
    """In words why so many are needed, where the metric asks about a class; else nothing."""
    if test.positives is None:
        return ""
    return positives.words(plain(test.metric), test.positives)


def level(test: Experiment) -> float:
    """Of each comparison: every one may err, so they share the test's own (Bonferroni)."""
    return (1.0 - test.confidence) / len(test.challengers)


def is_rate(metric: str, task: str | None) -> bool:
    """Whether a metric is told in points; that of nobody's choice is its task's."""
    return plain(metric) in _RATES if metric else task != "regression"


def plain(metric: str) -> str:
    """A metric without the class that it asks about."""
    return metric.partition(":")[0]


def needs_labels(metric: str) -> bool:
    """Whether a metric can be told of labelled answers alone."""
    return metric not in _UNLABELLED


def rate(test: Experiment, loss: float) -> float:
    """What the champion's rate is thought to be; of all classes from its share of wrong ones."""
    if test.positives is not None:
        return test.positives.rate
    return _UNKNOWN_RATE if test.metric == "conversion" else min(max(1.0 - loss, 0.01), 0.99)


def away(here: float, points: float) -> float:
    """A rate apart by so many points, towards the middle, where there is room."""
    if here <= 0.5:
        return here + min(points, (1.0 - here) * (1 - 1e-6))
    return here - min(points, here * (1 - 1e-6))
