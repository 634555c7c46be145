"""Ordinal odds: are the challenger's requests slower anywhere in the distribution? Any look.

Each request falls in an ordered level: how many of the champion's quantile thresholds it exceeds.
A pattern gives each level b an odds ratio theta_b that does not fall with b. With configured
challenger share w a request multiplies the pattern's wealth by

    theta_b / (theta_b w + 1 - w)   if the challenger answered,
          1 / (theta_b w + 1 - w)   if the champion did.

With p the champion's and p + d the challenger's chances of the levels, the factor's mean is
``1 + w sum_b d_b theta_b / (theta_b w + 1 - w)``. That fraction rises with b, so the mean is at
most one whenever the challenger is not stochastically slower, whatever p is: daily swings, ramps
and thresholds that have drifted off their quantiles cost speed, never validity.

Source: the event-odds bet of :mod:`serinus.stats.event_odds` (Lindon & Malek 2022), laid on all
ordered levels at once; the mean above is the proof. Assumes that the arm of each request is drawn
independently with the configured share, and thresholds set from *earlier* requests alone.

Bets: somewhat more than half on a shift of the whole distribution, the rest on a tail that alone
has grown. Measured (a tenth of the traffic, alpha .008, lognormal latency of sigma 0.5; requests
at the median and in nine of ten) beside the mean of tail-odds e-values at p90, p95 and p99:

                                  +50 %        +20 %      +20 % beyond p90   +20 % beyond p95
    mean of three               420 / 860   2.5k / 5.3k     4.1k / 7.8k        9.0k / 18.9k
    p50 p75 p90 p95 p99         240 / 460   1.2k / 2.3k     3.7k / 6.7k        8.8k / 19.4k
    p25 p50 p75 p90 p95 p98 p99 240 / 460   1.1k / 2.1k     3.8k / 6.8k        6.0k / 11.9k

What it does not see: a tail that is longer, but not fuller (the slowest hundredth twice as slow,
all other requests as before). Requests so slow are the service level's matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from serinus.stats import mixing
from serinus.stats.mixing import Floats, LogE

QUANTILES = (0.50, 0.75, 0.90, 0.95, 0.99)
"""The champion's quantiles that are the thresholds, unless others are given."""

_SHIFTS = np.geomspace(0.1, 2.0, 12)  # standard deviations of log latency
_TAIL_ODDS = (1.7, 3.0)
_TAIL_FROM = 0.95
_TAIL_WEIGHT = 0.45


def log_e(counts: Mapping[float, ArrayLike], quantiles: tuple[float, ...] = QUANTILES) -> LogE:
    """Natural logarithm of the e-value against "the challenger is not stochastically slower".

    Args:
        counts: by configured challenger share, shape (..., 2, L): requests of (champion,
            challenger) by how many of the L - 1 thresholds they exceed.
        quantiles: the L - 1 quantiles that the thresholds are meant to be, rising, in (0, 1);
            they set what is bet on, never the validity.

    Returns:
        Of the leading shape of ``counts``; a float without leading axes; 0 without requests.
        By Ville's inequality it ever exceeds log(1/alpha) with probability at most alpha if the
        null is true. Shares of 0 and 1 say nothing.
    """
    odds, log_weights = patterns(quantiles)
    wealth = mixing.log_wealth(
        counts, (2, odds.shape[1]), lambda share: _log_gains(share, quantiles)
    )
    return mixing.mix(wealth, log_weights)


@lru_cache(maxsize=16)
def patterns(quantiles: tuple[float, ...]) -> tuple[Floats, Floats]:
    """What is bet on: odds ratios by level, rising, shape (k, L), and log weights, shape (k,).

    A shift's odds are the ratios of a level's mass under a normal law moved by so many standard
    deviations. A tail's are the same number in all levels beyond its threshold, which is the 95th
    percentile or a later one, and below it what is left of the mass.
    """
    thresholds = special.ndtri(quantiles)
    mass = -np.diff(special.ndtr(-thresholds), prepend=1.0, append=0.0)
    beyond = special.ndtr(_SHIFTS[:, None] - thresholds)
    shifts = -np.diff(beyond, prepend=1.0, append=0.0, axis=1) / mass
    tails = [
        _tail(quantiles, start, odds)
        for start in quantiles
        if start >= _TAIL_FROM
        for odds in _TAIL_ODDS
    ]
    on_tails = _TAIL_WEIGHT if tails else 0.0
    weights = np.repeat([1.0 - on_tails, on_tails], [len(shifts), len(tails)])
    weights /= np.repeat([len(shifts), len(tails)], [len(shifts), len(tails)])
    return np.vstack([shifts, *tails]), np.log(weights)


def _tail(quantiles: tuple[float, ...], start: float, odds: float) -> Floats:
    """Shape (L,): ``odds`` in the levels beyond the quantile ``start``, less below."""
    size = 1.0 - start
    beyond = np.append(0.0, quantiles) >= start
    return np.where(beyond, odds, (1.0 - odds * size) / (1.0 - size))


@lru_cache(maxsize=1024)
def _log_gains(share: float, quantiles: tuple[float, ...]) -> Floats:
    """Shape (2 L, k): what a request of each arm and level adds to each pattern."""
    odds = patterns(quantiles)[0].T
    if not 0.0 < share < 1.0:
        return np.zeros((2 * odds.shape[0], odds.shape[1]))
    champion = -np.log(odds * share + 1.0 - share)
    return np.concatenate([champion, np.log(odds) + champion])
