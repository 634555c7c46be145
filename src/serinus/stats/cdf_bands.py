"""Bands around an empirical distribution that hold at every look: for pictures, not verdicts.

A band of all quantiles at once is three to seven times slower than betting on a few of them, and
pooling a ramp's arms mixes up drift and difference. What decides are
:mod:`serinus.stats.ordinal_odds` and :mod:`serinus.stats.score_betting`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from serinus.errors import InvalidInput

Floats = NDArray[np.float64]


def radius(observations: ArrayLike, alpha: float = 0.05) -> Floats:
    """Half the height of a band that holds for all x and all numbers of observations at once.

    ``0.85 sqrt((log log(e t) + 0.8 log(1612 / alpha)) / t)``, at most 1. Source: Howard & Ramdas,
    "Sequential estimation of quantiles with applications to A/B testing and best-arm
    identification" (Bernoulli 2022, arXiv 1906.09712), theorem 2 with A = 0.85, from the first
    observation on. Assumes independent observations of one law.

    Args:
        observations: any shape, numbers of observations t; 0 gives 1.
        alpha: the chance that the law ever leaves the band anywhere, in (0, 1).

    Raises:
        InvalidInput: ``alpha`` is outside (0, 1).
    """
    if not 0.0 < alpha < 1.0:
        raise InvalidInput(f"{alpha!r} is no probability of error", where="alpha")
    seen = np.asarray(observations, np.float64)
    at_least_one = np.maximum(seen, 1.0)
    iterated = np.log1p(np.log(at_least_one))
    half = 0.85 * np.sqrt((iterated + 0.8 * np.log(1612.0 / alpha)) / at_least_one)
    return np.where(seen < 1.0, 1.0, np.minimum(half, 1.0))


def band(counts: ArrayLike, alpha: float = 0.05) -> tuple[Floats, Floats, Floats]:
    """The empirical distribution function at the upper end of each cell, and its band.

    Args:
        counts: shape (..., k), how often each of k ordered cells was seen.
        alpha: the chance that the law ever leaves the band anywhere, in (0, 1).

    Returns:
        (share at or below each cell, lower end, upper end), each of shape (..., k) and within
        [0, 1]. Without observations the share is 0 and the band everything.
    """
    cumulated = np.cumsum(np.asarray(counts, np.float64), axis=-1)
    total = cumulated[..., -1:]
    share = cumulated / np.maximum(total, 1.0)
    half = radius(total, alpha)
    return share, np.maximum(share - half, 0.0), np.minimum(share + half, 1.0)
