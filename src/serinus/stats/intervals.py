"""Confidence intervals from sums alone, so that windows add up and rows need not be kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import special


@dataclass(frozen=True)
class Estimate:
    """A value with its confidence interval, all in the unit of the value."""

    value: float
    low: float
    high: float


def proportion(successes: float, trials: float, level: float = 0.95) -> Estimate:
    """A proportion with Wilson's score interval (1927): sound at 0, at 1 and for few trials.

    Without any trial the value is 0.5 and the interval everything: 0 to 1.
    """
    if trials <= 0:
        return Estimate(0.5, 0.0, 1.0)
    z = float(special.ndtri(0.5 + level / 2))
    share = successes / trials
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    spread = share * (1 - share) / trials + z * z / (4 * trials * trials)
    half = z * math.sqrt(max(0.0, spread)) / (1 + z * z / trials)
    return Estimate(share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))


def mean(total: float, squares: float, rows: float, level: float = 0.95) -> Estimate:
    """A mean with Student's t interval, from the sum and the sum of squares.

    With fewer than two rows the interval is everything; without any the value is 0.
    """
    if rows <= 0:
        return Estimate(0.0, -math.inf, math.inf)
    value = total / rows
    if rows < 2:
        return Estimate(value, -math.inf, math.inf)
    variance = max(0.0, squares - rows * value * value) / (rows - 1)
    half = float(special.stdtrit(rows - 1, 0.5 + level / 2)) * math.sqrt(variance / rows)
    return Estimate(value, value - half, value + half)


def root_mean_square(squares: float, fourths: float, rows: float, level: float = 0.95) -> Estimate:
    """A root mean square with the root of the mean square's t interval, from sums of x² and x⁴."""
    square = mean(squares, fourths, rows, level)
    return Estimate(*(math.sqrt(max(0.0, end)) for end in (square.value, square.low, square.high)))


def level_of_look(look: int, error: float = 0.05) -> float:
    """The confidence level of the ``look``-th of endlessly many looks (counted from 0).

    Look ``k`` may err with ``error / ((k + 1)(k + 2))``. These add up to ``error``, so that by the
    union bound no look ever misses the truth with probability at least ``1 - error``.
    """
    return 1.0 - error / ((look + 1) * (look + 2))
