"""How sure a simulated figure is: one-sided 95 % limits of rates and of quantiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

LEVEL = 0.95


def rate_upper(hits: int, runs: int, level: float = LEVEL) -> float:
    """The largest rate at which so few hits would still be seen (Clopper & Pearson 1934).

    One-sided: the true rate lies above it with probability at most 1 - ``level``.
    """
    return 1.0 if hits >= runs else float(special.betaincinv(hits + 1, runs - hits, level))


def rate_lower(hits: int, runs: int, level: float = LEVEL) -> float:
    """The smallest rate at which so many hits would still be seen (Clopper & Pearson 1934)."""
    return 0.0 if hits <= 0 else float(special.betaincinv(hits, runs - hits + 1, 1 - level))


def quantile(times: ArrayLike, share: float) -> float:
    """The time by which that share of runs was done; infinity is a run that never was.

    The smallest observed time that does it: infinities must not be interpolated.
    """
    ordered = np.sort(np.asarray(times, np.float64))
    place = int(np.ceil(share * ordered.size - 1e-9)) - 1
    return float(ordered[max(0, place)])


def quantile_upper(times: ArrayLike, share: float, level: float = LEVEL) -> float:
    """A one-sided upper limit of the true quantile, whatever the distribution.

    An order statistic: the first whose rank exceeds a Binomial(runs, share) with probability
    ``level`` (David & Nagaraja 2003, ch. 7). Infinity if there are too few runs.
    """
    ordered = np.sort(np.asarray(times, np.float64))
    rank = int(stats.binom.ppf(level, ordered.size, share)) + 1
    return float(ordered[rank - 1]) if rank <= ordered.size else float("inf")
