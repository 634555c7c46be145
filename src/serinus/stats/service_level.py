"""Service level: does one version's failure rate break, or keep, an absolute limit? Any look.

The bet against "the failure rate is at most the limit" is Jeffreys' Beta(1/2, 1/2) prior cut off
at the limit: only rates above it are bet on. (Uncut, the bet wins on any rate other than the
limit, and a version far better than required would be "proven" to break it.) With S failures in
n requests and B the beta function

    E = B(S + 1/2, n - S + 1/2) P(Beta(S + 1/2, n - S + 1/2) > limit)
        / (B(1/2, 1/2) P(Beta(1/2, 1/2) > limit) limit^S (1 - limit)^(n - S)).

Source: the beta-binomial mixture of Robbins (1970) as in Howard, Ramdas, McAuliffe & Sekhon
(Annals of Statistics 2021, section 3), truncated. Each single bet's factor has mean at most one
whenever the rate, given the past, is on the null's side, so drift within the null is allowed.
"""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from serinus.errors import InvalidInput
from serinus.stats.mixing import Floats, LogE

_PRIOR = 0.5
# Tails are floats down to here; below, the continued fraction takes over (25 sigma and more from
# the limit, where eight of its terms are exact to machine precision; twice that are taken).
_LEAST_TAIL = 1e-280
_TERMS = 16


def log_e_breach(failures: ArrayLike, requests: ArrayLike, limit: float) -> LogE:
    """Log e-value against "the failure rate is at most ``limit`` at all times" (rollback).

    Args:
        failures: any shape, failed requests of one version.
        requests: same shape, all its requests, up to 10^9 and beyond.
        limit: the highest failure rate allowed, in (0, 1).

    Returns:
        Of that shape; a float without axes; 0 without requests. Rounding stays below 1e-5 at
        10^9 requests.

    Raises:
        InvalidInput: ``limit`` is not inside (0, 1).
    """
    failed = np.asarray(failures, np.float64)
    _check(limit)
    return _log_e(failed, np.asarray(requests, np.float64) - failed, limit, 1.0 - limit)


def log_e_kept(failures: ArrayLike, requests: ArrayLike, limit: float) -> LogE:
    """Log e-value against "the failure rate is at least ``limit`` at all times" (promotion).

    Arguments, result and errors are those of :func:`log_e_breach`.
    """
    failed = np.asarray(failures, np.float64)
    _check(limit)
    return _log_e(np.asarray(requests, np.float64) - failed, failed, 1.0 - limit, limit)


def _check(limit: float) -> None:
    if not 0.0 < limit < 1.0:
        raise InvalidInput(
            f"a service level's limit lies strictly between 0 and 1, not at {limit!r}",
            where="limit",
            remedy="give the highest failure rate allowed, such as 0.05",
        )


def _log_e(hits: Floats, misses: Floats, limit: float, rest: float) -> LogE:
    """Against "hits come at most at the rate ``limit``"; ``rest`` is 1 - ``limit``, unrounded."""
    above, below = hits + _PRIOR, misses + _PRIOR
    tail = special.betaincc(above, below, limit)
    near = special.betaln(above, below) + np.log(np.maximum(tail, _LEAST_TAIL))
    near = near - hits * log(limit) - misses * log(rest)
    found, is_far = near, tail < _LEAST_TAIL
    if np.any(is_far):
        # Where the tail is near the fraction need not converge, and is not asked.
        above, below = np.where(is_far, above, 1.0), np.where(is_far, below, 1.0)
        # limit^S (1 - limit)^(n - S) cancels against the tail's leading term.
        far = _PRIOR * (log(limit) + log(rest)) + np.log(_fraction(below, above, rest) / below)
        found = np.where(is_far, far, near)
    prior = log(np.pi * float(special.betaincc(_PRIOR, _PRIOR, limit)))
    log_e = found - prior
    return float(log_e) if np.ndim(log_e) == 0 else log_e


def _fraction(first: Floats, second: Floats, at: float) -> Floats:
    """The continued fraction of the incomplete beta integral (DLMF 8.17.22), from its far end.

    ``integral_0^x t^(a-1) (1-t)^(b-1) dt = x^a (1-x)^b / a`` times this, for x below the mean.
    """
    value = np.ones_like(first)
    for term in range(_TERMS, 0, -1):
        double = first + 2 * term
        even = term * (second - term) * at / ((double - 1) * double)
        value = 1 + even / value
        before = term - 1
        odd = -(first + before) * (first + second + before) * at
        value = 1 + odd / ((first + 2 * before) * (first + 2 * before + 1)) / value
    return 1 / value
