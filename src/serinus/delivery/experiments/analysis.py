"""What may be said of an experiment: the view before its planned end, and the report at it. Pure.

*Before the end* eleven looks are planned, one at the end of each twelfth of the plan but the last.
Each is an ordinary analysis of all units so far, with an eleventh of the error probability, so that
by the union bound none of them ever errs more often than was asked (Bonferroni; the finite sister
of :func:`serinus.stats.intervals.level_of_look`). Between looks the last one stands. Whoever looks
at any time sees one of these eleven, so looking often costs nothing. Neither entities that come
back, nor ratios, nor late labels trouble it: it asks only that the moments of the looks do not
depend on outcomes, and they depend on time and on the number of units alone.

*At the end* the usual tests are asked once. The end was planned, and nothing that was seen could
move it; looking before it is therefore no harm either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from serinus.delivery.experiments import contrast as co
from serinus.delivery.experiments import moments as mo
from serinus.delivery.experiments import spread
from serinus.delivery.experiments.contrast import Contrast
from serinus.delivery.experiments.fold import LOOKS
from serinus.delivery.experiments.metrics import Metric
from serinus.delivery.experiments.moments import Floats
from serinus.delivery.experiments.sums import Sums
from serinus.delivery.experiments.types import (
    Design,
    Finding,
    Segment,
    Setup,
    State,
    Test,
)
from serinus.stats.intervals import Estimate

Arms = Mapping[tuple[int, int], Floats]
"""Moments by (stretch, arm)."""


@dataclass(frozen=True)
class Question:
    """What an analysis is asked with.

    Attributes:
        design: of the experiment.
        setup: what was fixed at its beginning.
        metric: what is measured.
        dropped: the challengers (by place, from 0) that were taken out for harm.
    """

    design: Design
    setup: Setup
    metric: Metric
    dropped: frozenset[int] = frozenset()

    @property
    def challengers(self) -> int:
        """How many there are, dropped ones included: they shared the error probability."""
        return len(self.design.versions) - 1

    def adjusts(self, arms: Arms, missing: Mapping[int, int], challenger: int) -> bool:
        """Whether the covariate is used for a challenger, given who lacks it."""
        used = self.setup.covariate is not None
        return used and is_missing_alike(arms, missing, challenger)

    @property
    def planned(self) -> bool:
        """Whether shares change at planned moments, but for those who are dropped."""
        return self.design.allocation == "thompson"


def against_champion(
    arms: Arms, challenger: int, *, adjust: bool, planned: bool = False
) -> Contrast | None:
    """A challenger (by place, from 0) against the champion over the stretches that had both.

    Args:
        arms: moments by stretch and arm.
        challenger: its place.
        adjust: whether the covariate is used.
        planned: whether stretches end at planned moments; see :func:`.contrast.combine`.

    Returns:
        None where too few units say anything.
    """
    stretches = []
    for stretch in sorted({stretch for stretch, _ in arms}):
        one = arms.get((stretch, 0))
        other = arms.get((stretch, challenger + 1))
        if one is None or other is None:
            continue
        told = co.compare(one, other, adjust=adjust)
        if np.isfinite(told.error):
            stretches.append(told)
    found = co.combine(stretches, planned=planned) if stretches else None
    return None if found is None or not np.isfinite(found.error) else found


def is_missing_alike(arms: Arms, missing: Mapping[int, int], challenger: int) -> bool:
    """Whether units lack the covariate as often in a challenger's arm as in the champion's.

    What lacks it counts as if it were at the origin, which is fair only if no arm has a hand in
    what lacks it. A standard error apart is too much: to leave out the adjustment costs little.
    """
    found = [missing.get(arm, 0) for arm in (0, challenger + 1)]
    units = [
        sum(float(row[mo.UNITS]) for (_, of), row in arms.items() if of == arm)
        for arm in (0, challenger + 1)
    ]
    if not sum(found) or not all(units):
        return True
    mean = sum(found) / sum(units)
    error = sqrt(mean * (1.0 - mean) * sum(1.0 / number for number in units))
    return abs(found[1] / units[1] - found[0] / units[0]) <= error


def before_end(sums: Sums, question: Question) -> tuple[Finding, ...]:
    """Every challenger at the last planned look, with intervals that hold for all looks."""
    arms: Arms = sums.looks[-1].arms if sums.looks else {}
    error = (1.0 - question.design.confidence) / (LOOKS - 1) / question.challengers
    findings = []
    missing = sums.looks[-1].missing if sums.looks else {}
    for place in range(question.challengers):
        adjust = question.adjusts(arms, missing, place)
        found = against_champion(arms, place, adjust=adjust, planned=question.planned)
        findings.append(_finding(question, place, found, error, adjusted=adjust))
    return tuple(findings)


def at_end(sums: Sums, question: Question) -> tuple[Finding, ...]:
    """Every challenger at the planned end, with Holm's adjusted p-values and joint intervals."""
    alpha = 1.0 - question.design.confidence
    places = range(question.challengers)
    adjusted_by_x = [question.adjusts(sums.arms, sums.missing, place) for place in places]
    found = [
        against_champion(sums.arms, place, adjust=adjust, planned=question.planned)
        for place, adjust in zip(places, adjusted_by_x, strict=True)
    ]
    p_values = [1.0 if item is None else float(item.p_value()) for item in found]
    adjusted = holm(p_values)
    error = alpha / question.challengers
    findings = []
    for place, item in enumerate(found):
        basis = _finding(question, place, item, error, adjusted=adjusted_by_x[place])
        if item is None:
            findings.append(basis)
            continue
        state = _state(question, place, item, significant=adjusted[place] < alpha)
        findings.append(
            Finding(
                version=basis.version,
                state=state,
                difference=basis.difference,
                relative=basis.relative,
                effect=basis.effect,
                p_value=p_values[place],
                p_adjusted=adjusted[place],
                reduction=basis.reduction,
                tests=_tests(sums, question, place),
                segments=segments(sums, question, place),
            )
        )
    return tuple(findings)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values (1979), as :func:`serinus.stats.fixed_horizon.holm` gives them.

    That one asks a library which sweeps the memory of the whole process at each call.
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.array(p_values)[order] * (len(p_values) - np.arange(len(p_values)))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return tuple(float(value) for value in adjusted)


def segments(sums: Sums, question: Question, challenger: int) -> tuple[Segment, ...]:
    """The difference by group of requests, with intervals that hold for all groups together.

    They say where a difference lies, not that there is one: the main test does that.
    """
    by_group: dict[tuple[int, int], dict[tuple[int, int], Floats]] = {}
    for (feature, group, stretch, arm), row in sorted(sums.segments.items()):
        by_group.setdefault((feature, group), {})[(stretch, arm)] = row
    found = []
    adjust = question.adjusts(sums.arms, sums.missing, challenger)
    for (feature, group), arms in by_group.items():
        item = against_champion(arms, challenger, adjust=adjust, planned=question.planned)
        if item is not None:
            units = sum(
                row[mo.UNITS] for (_, arm), row in arms.items() if arm in (0, challenger + 1)
            )
            found.append((feature, group, round(float(units)), item))
    error = (1.0 - question.design.confidence) / max(1, len(found)) / question.challengers
    told = []
    for feature, group, units, item in found:
        grouping = question.setup.groupings[feature]
        estimate = Estimate(float(item.difference), *map(float, item.interval(error)))
        told.append(Segment(grouping.feature, grouping.names()[group], units, estimate))
    return tuple(told)


def _finding(
    question: Question, place: int, found: Contrast | None, error: float, *, adjusted: bool
) -> Finding:
    version = question.design.versions[place + 1]
    if found is None:
        state: State = "dropped" if place in question.dropped else "no_data"
        return Finding(version, state, None, None, None, None, None, None)
    low, high = map(float, found.interval(error))
    difference = Estimate(float(found.difference), low, high)
    return Finding(
        version=version,
        state=_state(question, place, found, significant=not low <= 0.0 <= high),
        difference=difference,
        relative=_scaled(difference, abs(float(found.champion))),
        effect=_scaled(difference, float(found.deviation)),
        p_value=None,
        p_adjusted=None,
        reduction=float(found.reduction) if adjusted else None,
    )


def _state(question: Question, place: int, found: Contrast, *, significant: bool) -> State:
    if place in question.dropped:
        return "dropped"
    if not significant:
        return "undecided"
    return "better" if (found.difference > 0) == question.metric.rises else "worse"


def _scaled(estimate: Estimate, scale: float) -> Estimate | None:
    """In units of a scale that is taken as known; None where there is no scale."""
    if not scale > 0:
        return None
    return Estimate(estimate.value / scale, estimate.low / scale, estimate.high / scale)


def _tests(sums: Sums, question: Question, place: int) -> tuple[Test, ...]:
    """The tests of whole distributions, where values are kept and shares never changed."""
    if not sums.spread or len(sums.stretches) != 1:
        return ()
    one, other = (spread.dense(sums.spread.get(arm, {})) for arm in (0, place + 1))
    if not (one.sum() and other.sum()):
        return ()
    level = question.design.confidence
    return tuple(
        Test(report.test, report.p_value, effect.name, effect.estimate)
        for report in (
            spread.mann_whitney(one, other, level),
            spread.kolmogorov_smirnov(one, other, level),
        )
        for effect in report.effects
    )


def arm_means(sums: Sums, arm: int) -> tuple[float | None, float | None]:
    """An arm's own metric and its standard error over all stretches; None where unknown."""
    rows: Sequence[Floats] = [row for (_, of), row in sums.arms.items() if of == arm]
    if not rows:
        return None, None
    found = co.mean(np.sum(rows, axis=0))
    value, error = float(found.value), float(found.error)
    return (
        value if np.isfinite(value) else None,
        error if np.isfinite(error) else None,
    )
