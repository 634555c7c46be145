"""Whole distributions from counts: Mann-Whitney's U and Kolmogorov-Smirnov's D. Pure.

Values are kept in bins a tenth of a decade wide, of either sign, so that neither memory nor a test
grows with traffic. Both tests are asked of the binned values: Mann-Whitney counts a tie half and
corrects its variance for ties, and Smirnov's D of binned values is never larger than of the raw
ones, so that its p-value errs on the safe side.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from serinus.deferred import Deferred
from serinus.stats.fixed_horizon import VALIDITY, Effect, Report
from serinus.stats.intervals import Estimate

stats = Deferred("scipy.stats")

_PER_DECADE = 10
_LEAST, _MOST = -6, 10
_POSITIVE = 10.0 ** (np.arange(_LEAST * _PER_DECADE, _MOST * _PER_DECADE + 1) / _PER_DECADE)
_EDGES = np.concatenate([-_POSITIVE[::-1], [-1e-300, 1e-300], _POSITIVE])
BINS = _EDGES.size + 1
Bins = Counter[int]
"""How many units are in each bin; bins of none are left out."""


def places(values: ArrayLike) -> NDArray[np.int64]:
    """The bin of each value: by sign and tenth of a decade, nothing by itself."""
    found: NDArray[np.int64] = np.searchsorted(_EDGES, np.asarray(values, np.float64), "right")
    return found


def dense(counts: Mapping[int, int]) -> NDArray[np.int64]:
    """Counts by bin as an array of all bins."""
    found = np.zeros(BINS, np.int64)
    for place, count in counts.items():
        found[place] = count
    return found


def mann_whitney(champion: ArrayLike, challenger: ArrayLike, level: float) -> Report:
    """Mann and Whitney's U (1947), normal with ties and continuity corrected.

    The effect is the *common language* probability that a challenger's unit exceeds a champion's,
    with Brunner and Munzel's (2000) variance.

    Args:
        champion: counts by ascending bin.
        challenger: counts over the same bins.
        level: of the interval.
    """
    one, other = np.asarray(champion, np.float64), np.asarray(challenger, np.float64)
    few, many = float(one.sum()), float(other.sum())
    below = np.cumsum(one) - one / 2.0
    statistic = float((other * below).sum())
    both, units = one + other, few + many
    ties = float((both**3 - both).sum())
    variance = few * many / 12.0 * (units + 1 - ties / (units * (units - 1)))
    away = max(0.0, abs(statistic - few * many / 2.0) - 0.5)
    p_value = 1.0 if variance <= 0 else 2.0 * float(special.ndtr(-away / math.sqrt(variance)))
    probability = statistic / (few * many)
    half = float(special.ndtri(0.5 + level / 2)) * _error(one, other, probability)
    estimate = Estimate(probability, max(0.0, probability - half), min(1.0, probability + half))
    effects = (Effect("common language", estimate),)
    return Report("Mann-Whitney U", statistic, min(1.0, p_value), int(units), effects, VALIDITY)


def _error(one: NDArray[np.float64], other: NDArray[np.float64], probability: float) -> float:
    """The standard error of the common language probability, from placements in the other arm."""
    few, many = one.sum(), other.sum()
    above = (other.sum() - np.cumsum(other) + other / 2.0) / many
    below = (np.cumsum(one) - one / 2.0) / few
    spread = [
        float((counts * (placed - probability) ** 2).sum() / max(1.0, size - 1) / size)
        for counts, placed, size in ((one, above, few), (other, below, many))
    ]
    return math.sqrt(sum(spread))


def kolmogorov_smirnov(champion: ArrayLike, challenger: ArrayLike, level: float) -> Report:
    """Smirnov's largest distance of two distribution functions, with his limit law (1939).

    The effect is the distance, with the interval of two Dvoretzky-Kiefer-Wolfowitz bands
    (Massart 1990).

    Args:
        champion: counts by ascending bin.
        challenger: counts over the same bins.
        level: of the interval.
    """
    one, other = np.asarray(champion, np.float64), np.asarray(challenger, np.float64)
    few, many = one.sum(), other.sum()
    distance = float(np.abs(np.cumsum(one) / few - np.cumsum(other) / many).max())
    p_value = float(stats.kstwobign.sf(distance * math.sqrt(few * many / (few + many))))
    half = sum(math.sqrt(math.log(4 / (1 - level)) / (2 * size)) for size in (few, many))
    estimate = Estimate(distance, max(0.0, distance - half), min(1.0, distance + half))
    effects = (Effect("largest distance", estimate),)
    return Report("Kolmogorov-Smirnov", distance, p_value, int(few + many), effects, VALIDITY)
