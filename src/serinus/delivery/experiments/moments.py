"""What is kept of units: sums of products, from which means, ratios and adjustments follow.

A unit (a request, or an entity with all its requests) is a vector (1, y, n, x): its metric is the
ratio of the sums of y and n, and x is a covariate that was known before any arm acted. Ten sums of
products are all that an analysis asks for. They merge by addition, and their number depends neither
on traffic nor on time.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]

WIDTH = 10
UNITS, Y, N, X, YY, YN, YX, NN, NX, XX = range(WIDTH)
NONE: Floats = np.zeros(WIDTH)
"""The moments of nobody."""


def of_units(y: ArrayLike, n: ArrayLike = 1.0, x: ArrayLike = 0.0) -> Floats:
    """The moments of each unit by itself, shape (..., 10).

    Args:
        y: numerators.
        n: denominators, 1 where the metric is a plain mean over units.
        x: covariates, less their origin; 0 where there is none.
    """
    y, n, x = np.broadcast_arrays(*(np.asarray(part, np.float64) for part in (y, n, x)))
    ones = np.ones_like(y)
    return np.stack([ones, y, n, x, y * y, y * n, y * x, n * n, n * x, x * x], axis=-1)


def total(y: ArrayLike, n: ArrayLike = 1.0, x: ArrayLike = 0.0) -> Floats:
    """The moments of units along the last axis together, shape (..., 10)."""
    found: Floats = of_units(y, n, x).sum(axis=-2)
    return found
