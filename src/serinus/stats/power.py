"""How many units a planned test needs, and what it can find: for tests with a fixed end.

Statsmodels' own, for any split of traffic: ``share`` is the challenger's part of the units.
Units are those of both arms together. The counterpart of :mod:`serinus.stats.fixed_horizon`; how
long a continuously watched rollout takes is another question.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from scipy import optimize
from statsmodels.stats import power as solver
from statsmodels.stats import proportion

from serinus.errors import InvalidInput

# Beyond this nobody has traffic, and the normal quantiles no digits.
MOST_UNITS = 1e12


def proportions_power(
    champion: float,
    challenger: float,
    units: float,
    *,
    share: float = 0.5,
    alpha: float = 0.05,
    two_sided: bool = True,
) -> float:
    """The chance that the z test of two proportions finds these two different.

    Args:
        champion: the champion's rate, in (0, 1).
        challenger: the challenger's rate, in (0, 1).
        units: of both arms together.
        share: the challenger's part of them, in (0, 1).
        alpha: the test's level.
        two_sided: whether a difference in either direction counts.

    The pooled variance under the null (Fleiss, Levin & Paik 2003, ch. 4). The side that is not
    expected is neglected.

    Raises:
        InvalidInput: listing what cannot be used.
    """
    _check(units=units, share=share, alpha=alpha)
    _check_rates(champion=champion, challenger=challenger)
    found = proportion.power_proportions_2indep(
        abs(challenger - champion),
        min(champion, challenger),
        nobs1=units * (share if challenger > champion else 1 - share),
        ratio=(1 - share) / share if challenger > champion else share / (1 - share),
        alpha=alpha,
        alternative="two-sided" if two_sided else "larger",
        return_results=False,
    )
    return float(found)


def proportions_units(
    champion: float,
    challenger: float,
    *,
    power: float = 0.8,
    share: float = 0.5,
    alpha: float = 0.05,
    two_sided: bool = True,
) -> float:
    """The units, of both arms together, at which :func:`proportions_power` reaches ``power``.

    Not rounded.

    Raises:
        InvalidInput: as there, and where the rates do not differ (no number of units is enough).
    """
    _check(power=power, share=share, alpha=alpha)
    _check_rates(champion=champion, challenger=challenger)
    return _solve(
        lambda units: proportions_power(
            champion, challenger, units, share=share, alpha=alpha, two_sided=two_sided
        ),
        power,
        least=2 / min(share, 1 - share),
    )


def means_power(
    difference: float,
    deviation: float,
    units: float,
    *,
    share: float = 0.5,
    alpha: float = 0.05,
    two_sided: bool = True,
) -> float:
    """The chance that a t test finds means that differ by ``difference``.

    Args:
        difference: of the means, in the unit of the metric; its sign does not matter.
        deviation: the standard deviation within an arm, in the same unit.
        units: of both arms together.
        share: the challenger's part of them, in (0, 1).
        alpha: the test's level.
        two_sided: whether a difference in either direction counts.

    Of the noncentral t distribution with equal variances (Cohen 1988, ch. 2).

    Raises:
        InvalidInput: listing what cannot be used.
    """
    _check(units=units, share=share, alpha=alpha)
    effect = _effect(difference, deviation)
    found = solver.TTestIndPower().power(
        effect,
        units * (1 - share),
        alpha,
        ratio=share / (1 - share),
        alternative="two-sided" if two_sided else "larger",
    )
    return float(found)


def means_units(
    difference: float,
    deviation: float,
    *,
    power: float = 0.8,
    share: float = 0.5,
    alpha: float = 0.05,
    two_sided: bool = True,
) -> float:
    """The units, of both arms together, at which :func:`means_power` reaches ``power``.

    Not rounded.

    Raises:
        InvalidInput: as there, and where there is no difference (no number of units is enough).
    """
    _check(power=power, share=share, alpha=alpha)
    _effect(difference, deviation)
    return _solve(
        lambda units: means_power(
            difference, deviation, units, share=share, alpha=alpha, two_sided=two_sided
        ),
        power,
        least=2 / min(share, 1 - share),
    )


def _solve(power_of: Callable[[float], float], power: float, *, least: float) -> float:
    if power_of(least) >= power:
        return least
    most = 2 * least
    while power_of(most) < power:
        most *= 2
        if most > MOST_UNITS:
            raise InvalidInput(
                "no reachable number of units finds this difference",
                remedy="Ask for a larger difference, or for less power.",
            )
    return float(optimize.brentq(lambda units: power_of(units) - power, most / 2, most))


def _effect(difference: float, deviation: float) -> float:
    faults = []
    if not math.isfinite(difference):
        faults.append("difference: must be finite")
    if not (math.isfinite(deviation) and deviation > 0):
        faults.append("deviation: must be above 0 and finite")
    _refuse(faults)
    return abs(difference) / deviation


def _check_rates(**rates: float) -> None:
    _refuse(
        [
            f"{name}: must lie between 0 and 1, ends excluded"
            for name, rate in rates.items()
            if not 0 < rate < 1
        ]
    )


def _check(**values: float) -> None:
    faults = [
        f"{name}: must lie between 0 and 1, ends excluded"
        for name, value in values.items()
        if name != "units" and not 0 < value < 1
    ]
    units = values.get("units", 4.0)
    if not (math.isfinite(units) and units >= 4):
        faults.append("units: must be 4 or more, and finite")
    _refuse(faults)


def _refuse(faults: list[str]) -> None:
    if faults:
        raise InvalidInput("no power can be computed for these values", faults=faults)
