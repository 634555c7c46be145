"""Paired betting: on the same requests, is one version's loss larger? Valid at every look.

Both versions answer the same request, so only their difference D in [-1, 1] matters and all that
is common to both cancels: several times fewer labels than comparing two arms.

Source: Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting" (JRSS-B
2024, arXiv 2010.09686); for D in {-1, 0, 1} an anytime-valid McNemar test. Assumes pairs in request
order, each with conditional mean on the null's side; neither identical nor independent pairs.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from serinus.stats import mixing
from serinus.stats.mixing import Floats, LogE

# A stake of mean over mean square grows fastest: these serve 80 to 98 % agreement.
BETS = np.geomspace(0.08, 0.95, 6)
_LOG_WEIGHTS = mixing.uniform(len(BETS))


def log_e_harm(counts: ArrayLike, differences: Floats, tolerance: float = 0.0) -> LogE:
    """Log e-value against "the mean loss is larger by at most ``tolerance``" (rollback).

    Of one pair, every e-value for this null is at most one of the form
    ``1 + stake (D - tolerance)``: a mixture of such bets gives nothing away to other forms. Stakes
    reach to where the worst D would ruin them. Source: Larsson, Ramdas & Ruf, "The numeraire
    e-variable and reverse information projection" (Annals of Statistics 2025, arXiv 2402.18810).

    Args:
        counts: shape (..., k), how often each difference was seen.
        differences: shape (k,), challenger's loss minus champion's, in [-1, 1].
        tolerance: what is no harm yet, in the unit of the loss, in [0, 1).

    Returns:
        Of the leading shape of ``counts``; a float without leading axes; 0 without pairs.
    """
    key = np.asarray(differences, np.float64).tobytes()
    return _log_e(counts, key, -1, tolerance)


def log_e_safety(counts: ArrayLike, differences: Floats, margin: float) -> LogE:
    """Log e-value against "the mean loss is larger by ``margin`` or more" (promotion).

    Args:
        counts: shape (..., k), how often each difference was seen.
        differences: shape (k,), challenger's loss minus champion's, in [-1, 1].
        margin: in the unit of the loss, in (0, 1).

    Returns:
        Of the leading shape of ``counts``; a float without leading axes; 0 without pairs.
    """
    key = np.asarray(differences, np.float64).tobytes()
    return _log_e(counts, key, +1, margin)


def _log_e(counts: ArrayLike, key: bytes, sign: int, margin: float) -> LogE:
    wealth = np.asarray(counts, np.float64) @ _log_gains(key, sign, margin)
    return mixing.mix(wealth, _LOG_WEIGHTS)


@lru_cache(maxsize=256)
def _log_gains(difference_bytes: bytes, sign: int, margin: float) -> Floats:
    """Shape (k, bets): what one pair of each difference adds to each bet."""
    differences = np.frombuffer(difference_bytes)
    gains = sign * (margin - differences)
    # A bet on harm may lose 1 + tolerance, one on safety 1 - margin: less than 1 already.
    stakes = BETS / (1.0 + margin) if sign < 0 else BETS
    return np.log1p(gains[:, None] * stakes)
