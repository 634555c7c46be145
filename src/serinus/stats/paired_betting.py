"""Paired betting: on the same requests, is one version's loss larger? Valid at every look.

Both versions answer the same request, so only their difference D in [-1, 1] matters and all that
is common to both cancels: several times fewer labels than comparing two arms.

Source: Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting" (JRSS-B
2024, arXiv 2010.09686); for D in {-1, 0, 1} an anytime-valid McNemar test. Assumes pairs in request
order, each with conditional mean on the null's side; neither identical nor independent pairs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

BETS = np.geomspace(0.02, 0.95, 20)


def log_e_harm(counts: Counts, differences: Floats) -> float:
    """Log e-value against "the challenger's mean loss is not larger" (rollback).

    Args:
        counts: shape (k,), how often each difference was seen.
        differences: shape (k,), challenger's loss minus champion's, in [-1, 1].
    """
    return _log_wealth(counts, differences)


def log_e_safety(counts: Counts, differences: Floats, margin: float) -> float:
    """Log e-value against "the mean loss is larger by ``margin`` or more" (promotion).

    Args:
        counts: shape (k,), how often each difference was seen.
        differences: shape (k,), challenger's loss minus champion's, in [-1, 1].
        margin: in the unit of the loss, in (0, 1).
    """
    return _log_wealth(counts, margin - differences)


def _log_wealth(counts: Counts, gains: Floats) -> float:
    wealth = np.log1p(BETS[:, None] * gains[None, :]) @ counts
    return float(logsumexp(wealth) - np.log(len(BETS)))
