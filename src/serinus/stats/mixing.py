"""Mixing bets: the average wealth of many gamblers is an e-value, whichever of them is right.

Every test of this package that bets on a grid has the same two steps. Counted cells times the
log of what each bet gains in that cell give each bet's log wealth; their weighted mean is the
e-value. Counts may have any leading axes (looks, runs): one mathematics for a verdict, a
forecast of thousands of looks and a proof of thousands of runs.

Source: the method of mixtures (Robbins 1970); Ville's inequality (1939) makes its sum valid at
every look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]

LogE: TypeAlias = Any
"""Log e-values (natural): a ``float`` of counts without leading axes, else an array of them.

Which of the two depends on the argument's shape, and that no type can tell.
"""


def log_wealth(
    counts: Mapping[float, ArrayLike], cells: tuple[int, ...], log_gains: Callable[[float], Floats]
) -> Floats:
    """Each bet's log wealth after these counts, added up over the configured shares.

    Args:
        counts: by configured challenger share, shape (..., *cells).
        cells: the trailing shape that is counted over.
        log_gains: of a share, shape (number of cells, k): what one observation adds.

    Returns:
        Shape (..., k); (1,), without any wealth, if ``counts`` has no share at all.
    """
    total: Floats = np.zeros(1)
    for share in sorted(counts):
        observed = np.asarray(counts[share], np.float64)
        flat = observed.reshape(*observed.shape[: observed.ndim - len(cells)], -1)
        total = total + flat @ log_gains(share)
    return total


def mix(log_wealths: Floats, log_weights: Floats) -> LogE:
    """The log of the weighted mean wealth.

    Args:
        log_wealths: shape (..., k), or (..., 1) where all bets have the same.
        log_weights: shape (k,), logarithms of weights that sum to one.
    """
    weighted = log_wealths + log_weights
    top = weighted.max(axis=-1)
    # In place: a proof mixes tens of millions of bets at once.
    weighted -= top[..., None]
    mixed = np.log(np.exp(weighted, out=weighted).sum(axis=-1)) + top
    return float(mixed) if mixed.ndim == 0 else mixed


def uniform(size: int) -> Floats:
    """Log weights of ``size`` equally likely bets."""
    return np.full(size, -np.log(size))
