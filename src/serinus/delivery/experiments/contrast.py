"""One challenger against the champion, from moments alone: difference, error, adjustment. Pure.

Every function takes leading axes, so that one mathematics serves a report and a proof of thousands
of experiments.

Sources: the delta method for ratios of means (Deng, Knoblich & Lu, "Applying the Delta Method in
Metric Analytics", KDD 2018); the covariate (CUPED: Deng, Xu, Kohavi & Walker, WSDM 2013) with the
slope that makes the difference's variance least; Welch's (1947) degrees of freedom; and, where
shares changed on the way, the batched statistic of Zhang, Janson & Murphy ("Inference for Batched
Bandits", NeurIPS 2020): within a stretch of constant shares the arms are an ordinary experiment,
and a sum of studentised differences with weights fixed by their number is normal even if later
shares follow earlier results. Pooling across stretches would not be: it mixes time with the arm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from serinus.delivery.experiments import moments as mo
from serinus.delivery.experiments.moments import Floats

LEAST_UNITS = 10
"""Of fewer units in an arm that say anything no variance is believed."""


@dataclass(frozen=True)
class Mean:
    """A metric in one arm. ``error`` is its standard error; NaN where too few units say so."""

    units: Floats
    value: Floats
    error: Floats
    deviation: Floats


@dataclass(frozen=True)
class Contrast:
    """A challenger's metric less the champion's, in the metric's unit.

    Attributes:
        difference: adjusted for the covariate, if asked.
        error: its standard error; NaN where nothing can be said yet.
        freedom: degrees of freedom of the t distribution.
        reduction: the share of variance that the covariate took away, in [0, 1).
        deviation: between units, before any adjustment: the scale of Cohen's d.
        champion: the champion's metric over the same stretches.
        size: units that would say as much if both arms had half of them each, over four.
    """

    difference: Floats
    error: Floats
    freedom: Floats
    reduction: Floats
    deviation: Floats
    champion: Floats
    size: Floats

    def interval(self, error: float) -> tuple[Floats, Floats]:
        """The confidence interval that misses the truth with probability ``error``."""
        half = special.stdtrit(self.freedom, 1.0 - error / 2.0) * self.error
        return self.difference - half, self.difference + half

    def p_value(self) -> Floats:
        """Two-sided, against no difference; 1 where nothing can be said."""
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = np.where(self.difference == 0.0, 0.0, self.difference / self.error)
        found = 2.0 * special.stdtr(self.freedom, -np.abs(statistic))
        known: Floats = np.where(np.isnan(found), 1.0, found)
        return known


def mean(arm: Floats) -> Mean:
    """The metric of an arm by itself.

    Args:
        arm: shape (..., 10).
    """
    units, value, spread, *_ = _parts(arm)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(spread / units)
    return Mean(np.asarray(arm)[..., mo.UNITS], value, error, np.sqrt(spread))


def compare(champion: Floats, challenger: Floats, *, adjust: bool = False) -> Contrast:
    """The difference within one stretch of constant shares.

    Args:
        champion: moments, shape (..., 10).
        challenger: moments of the same shape.
        adjust: whether the covariate is used.
    """
    units_0, value_0, spread_0, slope_0, width_0, x_0, telling_0 = _parts(champion)
    units_1, value_1, spread_1, slope_1, width_1, x_1, telling_1 = _parts(challenger)
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = spread_0 / units_0 + spread_1 / units_1
        shared = slope_0 / units_0 + slope_1 / units_1
        room = width_0 / units_0 + width_1 / units_1
        theta = np.where(adjust & (room > 0), shared / room, 0.0)
        parts = [
            np.maximum(0.0, spread - 2 * theta * slope + theta**2 * width) / units
            for spread, slope, width, units in (
                (spread_0, slope_0, width_0, units_0),
                (spread_1, slope_1, width_1, units_1),
            )
        ]
        variance = parts[0] + parts[1]
        freedom = variance**2 / (parts[0] ** 2 / (telling_0 - 1) + parts[1] ** 2 / (telling_1 - 1))
        pooled = ((units_0 - 1) * spread_0 + (units_1 - 1) * spread_1) / (units_0 + units_1 - 2)
        return Contrast(
            difference=value_1 - value_0 - theta * (x_1 - x_0),
            error=np.sqrt(variance),
            freedom=np.where(variance > 0, freedom, np.maximum(units_0 + units_1 - 2, 1)),
            reduction=np.where(plain > 0, 1.0 - variance / plain, 0.0),
            deviation=np.sqrt(pooled),
            champion=value_0,
            size=1.0 / (1.0 / units_0 + 1.0 / units_1),
        )


def combine(stretches: Sequence[Contrast], *, planned: bool = True) -> Contrast:
    """The difference over stretches of different shares.

    Args:
        stretches: in any order; those of which nothing is known are left out.
        planned: whether every stretch ends at a planned moment. Then each is weighted by 1 / error
            (those without any variance are left out): the sum of the stretches' t statistics, over
            the root of their number, is the combined statistic, normal however later shares
            followed from earlier results. A stretch that ends when something is proven (a
            challenger is dropped) has a t statistic that is chosen, and these weights make as much
            of a short one as of a long one. Then each is weighted by its size (Mantel & Haenszel):
            the sum is that of all units, a martingale that no such moment can bend, and its
            variance hardly depends on where it was cut.
    """
    if len(stretches) == 1:
        return stretches[0]
    columns = {
        name: np.stack([np.asarray(getattr(item, name), np.float64) for item in stretches])
        for name in Contrast.__dataclass_fields__
    }
    known = columns["error"] > 0 if planned else np.isfinite(columns["error"])
    with np.errstate(divide="ignore", invalid="ignore"):
        basis = 1.0 / columns["error"] if planned else columns["size"]
        weights = np.where(known, basis, 0.0)
        whole = weights.sum(axis=0)
        # Each stretch's statistic has the variance of its t distribution, a little above 1.
        freedom = np.maximum(columns["freedom"], 3.0)
        scale = (weights * columns["error"]) ** 2 * freedom / (freedom - 2.0)
        spread = np.where(known, scale, 0.0).sum(axis=0)

        def weighted(name: str) -> Floats:
            found: Floats = np.where(known, weights * columns[name], 0.0).sum(axis=0) / whole
            return found

        return Contrast(
            difference=weighted("difference"),
            error=np.where(spread > 0, np.sqrt(spread) / whole, np.nan),
            freedom=np.maximum(np.where(known, columns["freedom"], 0.0).sum(axis=0), 1.0),
            reduction=weighted("reduction"),
            deviation=weighted("deviation"),
            champion=weighted("champion"),
            size=np.where(known, columns["size"], 0.0).sum(axis=0),
        )


def telling(arm: Floats) -> Floats:
    """How many units of an arm say anything: the effective number (Kish 1965, ch. 11.7), or 0.

    ``(sum n)² / sum n²`` is all of them where n is 1, and the fewer the more of them have n = 0 or
    the more the largest outweigh the others.

    Args:
        arm: shape (..., 10).
    """
    arm = np.asarray(arm, np.float64)
    squares = arm[..., mo.NN]
    found: Floats = np.where(
        squares > 0, arm[..., mo.N] ** 2 / np.where(squares > 0, squares, 1), 0
    )
    return found


def _parts(arm: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats, Floats]:
    """What is known of one arm.

    Units, metric, variance of the linearised units, covariance with x, variance and mean of x, and
    how many units say anything.

    A ratio R is linear in its units to first order: z = (y - R n) / mean(n), whose mean is 0. Of a
    rare class most units have n = 0 and say nothing of it, so the variance is known no better than
    from the others (:func:`telling`).
    """
    arm = np.asarray(arm, np.float64)
    told = np.where(arm[..., mo.UNITS] > 0, arm[..., mo.UNITS], np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        speaking = telling(arm)
        units = np.where(speaking >= LEAST_UNITS, told, np.nan)
        free = units - units / speaking
        ratio = np.where(arm[..., mo.N] != 0, arm[..., mo.Y] / arm[..., mo.N], np.nan)
        size = arm[..., mo.N] / told
        squares = arm[..., mo.YY] - 2 * ratio * arm[..., mo.YN] + ratio**2 * arm[..., mo.NN]
        spread = np.maximum(0.0, squares) / size**2 / free
        x = arm[..., mo.X] / told
        slope = (arm[..., mo.YX] - ratio * arm[..., mo.NX]) / size / free
        width = np.maximum(0.0, arm[..., mo.XX] - told * x**2) / free
    return units, ratio, spread, slope, width, x, speaking
