"""Intervals of a mean that hold at every look: read one as often as you like.

Source: Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting" (JRSS-B
2024, arXiv 2010.09686) for bounded values: a mean is in the interval until bets against it have
won. Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, "Time-uniform central limit theory and
asymptotic confidence sequences" (Annals of Statistics 2024, arXiv 2103.06476, theorem 2.2) for
values without known bounds: right for many values, not exactly for few.
"""

from __future__ import annotations

from math import inf, log, sqrt

import numpy as np
from numpy.typing import ArrayLike

from serinus.stats import mixing
from serinus.stats.intervals import Estimate
from serinus.stats.mixing import Floats

# Small stakes serve many values and a small spread, large ones few and plain ones.
_BETS = np.geomspace(0.001, 0.95, 24)
_LOG_WEIGHTS = mixing.uniform(len(_BETS))
_HALVINGS = 30
# The asymptotic interval is narrowest at about so many values.
_NARROWEST = 5_000.0


def bounded(counts: ArrayLike, values: Floats, level: float = 0.95) -> Estimate:
    """The mean of values in [-1, 1] from how often each was seen; without any, 0 in [-1, 1].

    Args:
        counts: shape (k,), how often each value was seen.
        values: shape (k,), in [-1, 1].
        level: with which probability it holds the mean at all looks together.
    """
    seen = np.asarray(counts, np.float64)
    total = float(seen.sum())
    if not total:
        return Estimate(0.0, -1.0, 1.0)
    mean = float(seen @ values / total)
    bound = log(2.0 / (1.0 - level))
    low = -_highest(seen, -values, -mean, bound)
    return Estimate(mean, low, _highest(seen, values, mean, bound))


def asymptotic(total: float, squares: float, count: int, level: float = 0.95) -> Estimate:
    """The mean of any values from their sum and sum of squares; everything for fewer than two."""
    if count < 2:
        return Estimate(total, -inf, inf)
    mean = total / count
    variance = max(0.0, squares / count - mean * mean)
    alpha = 1.0 - level
    tuned = (-2.0 * log(alpha) + log(-2.0 * log(alpha) + 1.0)) / _NARROWEST
    grown = count * tuned + 1.0
    half = sqrt(variance * 2.0 * grown / (count * count * tuned) * log(sqrt(grown) / alpha))
    return Estimate(mean, mean - half, mean + half)


def _highest(counts: Floats, values: Floats, mean: float, bound: float) -> float:
    """The highest mean that bets on "it is lower" have not refuted yet."""
    low, high = mean, 1.0
    if _against(counts, values, high) < bound:
        return high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _against(counts, values, middle) < bound:
            low = middle
        else:
            high = middle
    return high


def _against(counts: Floats, values: Floats, mean: float) -> float:
    # The highest value would ruin a stake of 1 / (1 - mean).
    stakes = _BETS / max(1.0 - mean, 1e-9) if mean < 0 else _BETS
    gains = np.log1p((mean - values)[:, None] * stakes)
    return float(mixing.mix(counts @ gains, _LOG_WEIGHTS))
