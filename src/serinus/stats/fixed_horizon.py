"""Tests for reports: valid once, at a planned end, and refused anywhere else.

The usual tests promise their error rate for *one* look whose moment was fixed before the first
unit. Looking again and again while data flow and stopping at the first small p-value errs many
times as often (``serinus prove aa`` shows how often). So every test here asks for a
:class:`Horizon` and refuses a sample that is not the planned one, and any rollout that was
watched; those have e-values.

All tests compare two arms, ``champion`` first; differences and effects are challenger minus
champion. They are SciPy's and statsmodels' own. Assumed throughout: independent units, each
counted once, arms drawn at random.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from serinus.deferred import Deferred
from serinus.errors import Conflict, InvalidInput
from serinus.stats import intervals
from serinus.stats.intervals import Estimate

# They, and the pandas that they need, take longer to import than a controller may take to begin.
stats = Deferred("scipy.stats")
contingency = Deferred("scipy.stats.contingency")
meta_analysis = Deferred("statsmodels.stats.meta_analysis")
multitest = Deferred("statsmodels.stats.multitest")
nonparametric = Deferred("statsmodels.stats.nonparametric")
proportion = Deferred("statsmodels.stats.proportion")

Floats = NDArray[np.float64]
Alternative = Literal["two-sided", "greater", "less"]
"""What is to be shown of the challenger: a difference, more, or less."""

VALIDITY = "valid once, at the planned end, for a rollout that nobody watched"
# The chi-square approximation fails below this (Cochran 1954).
LEAST_EXPECTED = 1.0


@dataclass(frozen=True)
class Horizon:
    """When a test may be asked: how many units (of both arms) were planned and were observed.

    ``watched`` is whether anybody or anything looked at results before, as a rollout's judge does.
    """

    planned: int
    observed: int
    watched: bool


@dataclass(frozen=True)
class Effect:
    """How large a difference is, with its confidence interval."""

    name: str
    estimate: Estimate


@dataclass(frozen=True)
class Report:
    """One test at its planned end.

    ``p_value`` answers whether there is a difference, ``effects`` how large it is; ``units`` is
    what both rest on. See ``validity`` before reading either.
    """

    test: str
    statistic: float
    p_value: float
    units: int
    effects: tuple[Effect, ...]
    validity: str = VALIDITY


# ------------------------------------------------------------------ tests


def mann_whitney(
    champion: ArrayLike,
    challenger: ArrayLike,
    horizon: Horizon,
    *,
    alternative: Alternative = "two-sided",
    level: float = 0.95,
) -> Report:
    """Mann-Whitney's U: is a unit of one arm likely to exceed one of the other?

    Mann & Whitney (1947); ties are counted half, p exact for small samples without ties. Effects:
    the *common language* probability that a challenger's unit exceeds a champion's (Brunner &
    Munzel 2000) and Cliff's delta, which is twice that less one.

    Raises:
        Conflict: the horizon does not allow a test.
        InvalidInput: values that are missing, infinite or too few.
    """
    first, second = _samples(champion, challenger, horizon, least=2)
    found = stats.mannwhitneyu(second, first, alternative=alternative)
    superiority = _superiority(first, second, level)
    cliff = Estimate(
        *(2 * end - 1 for end in (superiority.value, superiority.low, superiority.high))
    )
    effects = (Effect("common language", superiority), Effect("Cliff's delta", cliff))
    return _report("Mann-Whitney U", float(found.statistic), float(found.pvalue), horizon, *effects)


def kolmogorov_smirnov(
    champion: ArrayLike, challenger: ArrayLike, horizon: Horizon, *, level: float = 0.95
) -> Report:
    """Kolmogorov and Smirnov's D: are the two distributions one? Two-sided.

    The effect is D itself, the largest distance of the distribution functions, with the interval
    of two Dvoretzky-Kiefer-Wolfowitz bands (Massart 1990): never too narrow, whatever the shape.

    Raises:
        Conflict, InvalidInput: as for :func:`mann_whitney`.
    """
    first, second = _samples(champion, challenger, horizon)
    found = stats.ks_2samp(first, second)
    distance = float(found.statistic)
    half = sum(math.sqrt(math.log(4 / (1 - level)) / (2 * part.size)) for part in (first, second))
    estimate = Estimate(distance, max(0.0, distance - half), min(1.0, distance + half))
    effect = Effect("largest distance", estimate)
    return _report("Kolmogorov-Smirnov", distance, found.pvalue, horizon, effect)


def welch(
    champion: ArrayLike,
    challenger: ArrayLike,
    horizon: Horizon,
    *,
    alternative: Alternative = "two-sided",
    level: float = 0.95,
) -> Report:
    """Welch's t (1947): do the means differ, whatever the variances?

    Effects: the difference of means in its unit, Cohen's d (over the pooled deviation), and
    Hedges' g, which is d without its bias in small samples (Hedges 1981). Their intervals use the
    large-sample variance of Hedges & Olkin (1985) in the form that statsmodels gives it.

    Raises:
        Conflict, InvalidInput: as for :func:`mann_whitney`; also where neither arm varies.
    """
    first, second = _samples(champion, challenger, horizon, least=2)
    if not (np.ptp(first) > 0 or np.ptp(second) > 0):
        raise InvalidInput("neither arm's values vary, so that means cannot be compared by t")
    found = stats.ttest_ind(second, first, equal_var=False, alternative=alternative)
    both = stats.ttest_ind(second, first, equal_var=False).confidence_interval(level)
    difference = Estimate(float(second.mean() - first.mean()), float(both.low), float(both.high))
    effects = (Effect("difference of means", difference), *_standardised(first, second, level))
    return _report("Welch's t", found.statistic, found.pvalue, horizon, *effects)


def two_proportions(
    champion: tuple[int, int],
    challenger: tuple[int, int],
    horizon: Horizon,
    *,
    alternative: Alternative = "two-sided",
    level: float = 0.95,
) -> Report:
    """The pooled z test of two proportions, each given as (events, units).

    Effects: the risk difference with Newcombe's hybrid score interval (1998, method 10), and the
    risk ratio with Koopman's score interval (1984; where an arm has nothing but events, that of
    the adjusted logarithm). If no unit of both arms has an event, or every unit, p is 1; without
    events in the champion's arm the ratio's interval is everything.

    Raises:
        Conflict: the horizon does not allow a test.
        InvalidInput: counts that are no counts, or an arm without units.
    """
    arms = _counts(champion, "champion"), _counts(challenger, "challenger")
    (events, units), (others, rest) = arms
    _allow(horizon, units + rest)
    if 0 < events + others < units + rest:
        sides = {"two-sided": "two-sided", "greater": "larger", "less": "smaller"}
        statistic, p_value = proportion.proportions_ztest(
            [others, events], [rest, units], alternative=sides[alternative]
        )
    else:
        statistic, p_value = 0.0, 1.0
    low, high = proportion.confint_proportions_2indep(
        others, rest, events, units, method="newcomb", compare="diff", alpha=1 - level
    )
    difference = Estimate(others / rest - events / units, float(low), float(high))
    effects = (
        Effect("risk difference", difference),
        Effect("risk ratio", _risk_ratio(*arms, level)),
    )
    return _report("two proportions", statistic, p_value, horizon, *effects)


def chi_square(table: ArrayLike, horizon: Horizon, *, level: float = 0.95) -> Report:
    """Pearson's chi-square: does the mix of categories depend on the arm?

    Args:
        table: shape (2, k), the units of each category by (champion, challenger).
        horizon: when it is asked.
        level: of the interval of Cramér's V (the noncentral chi-square's; Smithson 2003).

    Raises:
        Conflict: the horizon does not allow a test.
        InvalidInput: no table of counts, an empty arm, or so few expected in a category that the
            approximation fails.
    """
    counts = np.asarray(table, np.float64)
    if counts.ndim != 2 or counts.shape[0] != 2 or counts.shape[1] < 2:
        raise InvalidInput("a table of two arms by two or more categories is needed", where="table")
    if not np.all(np.isfinite(counts)) or np.any(counts < 0) or np.any(counts % 1 != 0):
        raise InvalidInput("counts must be whole numbers, none negative", where="table")
    _allow(horizon, int(counts.sum()))
    if not np.all(counts.sum(axis=1) > 0):
        raise InvalidInput("an arm has no units", where="table")
    expected = contingency.expected_freq(counts)
    if expected.min() < LEAST_EXPECTED:
        raise InvalidInput(
            f"a category has {expected.min():.2g} expected units in an arm, the approximation "
            f"needs {LEAST_EXPECTED:g}",
            where="table",
            remedy="Put rare categories together.",
        )
    found = stats.chi2_contingency(counts, correction=False)
    effect = Effect("Cramer's V", _cramer(counts, found.statistic, level))
    return _report("chi-square", found.statistic, found.pvalue, horizon, effect)


# ------------------------------------------------------------------ many tests at once


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values (1979): any false finding at most as likely as the level.

    Valid under any dependence of the tests. In the order given.

    Raises:
        InvalidInput: something that is no p-value.
    """
    return _adjusted(p_values, "holm")


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Benjamini and Hochberg's adjusted p-values (1995): the expected share of false findings.

    Valid for independent or positively dependent tests. In the order given.

    Raises:
        InvalidInput: something that is no p-value.
    """
    return _adjusted(p_values, "fdr_bh")


def _adjusted(p_values: Sequence[float], method: str) -> tuple[float, ...]:
    values = np.asarray(p_values, np.float64)
    if not np.all((values >= 0) & (values <= 1)):
        raise InvalidInput("p-values must lie between 0 and 1", where="p_values")
    if values.size == 0:
        return ()
    return tuple(float(value) for value in multitest.multipletests(values, method=method)[1])


# ------------------------------------------------------------------ effects


def _superiority(first: Floats, second: Floats, level: float) -> Estimate:
    overlapping = first.max() >= second.min() and second.max() >= first.min()
    if overlapping and np.ptp(np.concatenate((first, second))) > 0:
        compared = nonparametric.rank_compare_2indep(second, first)
        low, high = compared.conf_int(alpha=1 - level)
        return Estimate(float(compared.prob1), max(0.0, float(low)), min(1.0, float(high)))
    # Nothing overlaps or all is tied, so that no variance can be estimated. But the smaller arm's
    # units with as many of the other's are independent pairs, and for those any interval holds.
    value = 0.5 if overlapping else float(second.min() > first.max())
    pairs = min(first.size, second.size)
    low, high = _wilson_ends(value * pairs, pairs, level)
    return Estimate(value, low, high)


def _wilson_ends(events: float, units: float, level: float) -> tuple[float, float]:
    found = intervals.proportion(events, units, level)
    return found.low, found.high


def _standardised(first: Floats, second: Floats, level: float) -> tuple[Effect, Effect]:
    g, variance = meta_analysis.effectsize_smd(
        second.mean(), second.std(ddof=1), second.size, first.mean(), first.std(ddof=1), first.size
    )
    correction = 1 - 3 / (4 * (first.size + second.size) - 9)
    half = float(special.ndtri(0.5 + level / 2)) * math.sqrt(float(variance))
    hedges = Estimate(float(g), float(g) - half, float(g) + half)
    cohen = Estimate(*(end / correction for end in (hedges.value, hedges.low, hedges.high)))
    return Effect("Cohen's d", cohen), Effect("Hedges' g", hedges)


def _risk_ratio(champion: tuple[int, int], challenger: tuple[int, int], level: float) -> Estimate:
    (events, units), (others, rest) = champion, challenger
    if events == 0:
        return Estimate(math.inf if others else math.nan, 0.0, math.inf)
    if events == units and others == rest:
        low = _wilson_ends(others, rest, level)[0]
        return Estimate(1.0, low, 1 / _wilson_ends(events, units, level)[0])
    # The score interval has no solution where an arm has nothing but events.
    method = "log-adjusted" if events == units or others == rest else "score"
    low, high = proportion.confint_proportions_2indep(
        others, rest, events, units, method=method, compare="ratio", alpha=1 - level
    )
    value = others / rest / (events / units)
    # Rounding may leave an end a hair on the wrong side.
    return Estimate(value, max(0.0, min(value, float(low))), max(value, float(high)))


def _cramer(counts: Floats, statistic: float, level: float) -> Estimate:
    """V of a two-row table, with the noncentralities that the statistic is a quantile of."""
    units, degrees = float(counts.sum()), counts.shape[1] - 1
    low = float(special.chndtrinc(statistic, degrees, 0.5 + level / 2))
    # A statistic below its own mean would give an interval of no width: false certainty.
    high = float(special.chndtrinc(max(statistic, degrees), degrees, 0.5 - level / 2))
    value = math.sqrt(statistic / units)
    ends = (math.sqrt(max(0.0, end) / units) for end in (low, high))
    return Estimate(value, *(min(1.0, end) for end in ends))


# ------------------------------------------------------------------ what is refused


def _allow(horizon: Horizon, units: int) -> None:
    if horizon.watched:
        raise Conflict(
            "this rollout is watched continuously, and a test for a planned end would raise false "
            "alarms many times as often as it says",
            where="horizon",
            remedy="Read the rollout's verdict instead: it is valid at every look.",
        )
    if horizon.observed != horizon.planned:
        raise Conflict(
            f"{horizon.observed} of {horizon.planned} planned units are observed, and this test is "
            "valid only at the planned end",
            where="horizon",
            remedy="Wait for the planned end, or read the rollout's verdict.",
        )
    if units != horizon.observed:
        raise Conflict(
            f"the sample has {units} units, the horizon says {horizon.observed}",
            where="horizon",
            remedy="Give every observed unit, once.",
        )


def _samples(
    champion: ArrayLike, challenger: ArrayLike, horizon: Horizon, *, least: int = 1
) -> tuple[Floats, Floats]:
    arms = _sample(champion, "champion", least), _sample(challenger, "challenger", least)
    _allow(horizon, arms[0].size + arms[1].size)
    return arms


def _sample(values: ArrayLike, where: str, least: int) -> Floats:
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or numbers.size < least:
        raise InvalidInput(f"a list of {least} or more numbers is needed", where=where)
    if not np.all(np.isfinite(numbers)):
        raise InvalidInput(
            f"{int((~np.isfinite(numbers)).sum())} values are missing or infinite",
            where=where,
            remedy="Decide what they mean before the test; it will not guess.",
        )
    return numbers


def _counts(arm: tuple[int, int], where: str) -> tuple[int, int]:
    events, units = arm
    if not (float(events).is_integer() and float(units).is_integer() and 0 <= events <= units):
        raise InvalidInput(
            "events and units must be whole numbers, 0 <= events <= units", where=where
        )
    if units == 0:
        raise InvalidInput("an arm has no units", where=where)
    return int(events), int(units)


def _report(
    test: str, statistic: float, p_value: float, horizon: Horizon, *effects: Effect
) -> Report:
    return Report(test, float(statistic), float(p_value), horizon.observed, effects)
