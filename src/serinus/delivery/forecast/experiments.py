"""What an A/B test will have seen at its planned end, and the smallest effect it can find then.

The test at the planned end is the usual one, so its power is the usual one too: the smallest
difference that it finds in four of five tests. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, sqrt
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from scipy import special

from serinus.deferred import Deferred
from serinus.delivery.forecast.circumstances import ENTITIES, Crowd
from serinus.delivery.forecast.types import ExperimentForecast, Traffic
from serinus.delivery.planning import positives
from serinus.delivery.planning import sample as sizes
from serinus.delivery.planning.sample import POWER
from serinus.delivery.types import Experiment, Plan

if TYPE_CHECKING:
    from scipy import optimize

    from serinus.stats import power
else:
    # A control process that was killed leads deployments before anybody asks for a forecast.
    optimize = Deferred("scipy.optimize")
    power = Deferred("serinus.stats.power")

FEWEST_UNITS = 100.0
"""Of the smallest arm: with fewer no test of a difference says anything."""

_NARROWEST = 1e-6


def experiment_forecast(
    plan: Plan, traffic: Traffic | None, entities: int | None = None
) -> ExperimentForecast | None:
    """How far an A/B test comes by its planned end; None for any other plan.

    Args:
        plan: the plan.
        traffic: what was observed; None if nothing is known.
        entities: how many distinct entities there are, for a plan by entity.
    """
    test = plan.experiment
    if test is None:
        return None
    sample, least = plan.steps[0].min_requests, test.min_seconds / 3600
    latest = max(test.planned_seconds / 3600, least)
    told = ExperimentForecast(latest, None, None, None, test.metric, "", sample, least, latest)
    if traffic is None:
        return told
    labelled = 1.0
    if sizes.needs_labels(test.metric) and traffic.labelled is not None:
        labelled = traffic.labelled
    crowd = Crowd(entities or ENTITIES) if plan.unit == "entity" else None
    counting = float(crowd.requests(np.array(float(sample)))) if crowd else float(sample)
    # Only what is labelled counts. The end comes with the sample and the least time, at the
    # latest when the longest time is over.
    needed = counting / labelled if labelled else inf
    planned = min(max(needed / traffic.per_hour, least), latest)
    requests = planned * traffic.per_hour * labelled
    units = crowd.distinct(requests) if crowd else requests
    arms = [(1 - sum(test.split)) * units, *(share * units for share in test.split)]
    fewest = min(arms) * _informative(test)
    effect = _smallest_effect(plan, test, traffic, arms) if fewest >= FEWEST_UNITS else None
    return msgspec.structs.replace(
        told, hours=planned, units=units, fewest=fewest, effect=effect, unit=_unit(test)
    )


def _informative(test: Experiment) -> float:
    """The share of units that say anything of the metric."""
    if test.positives is None:
        return 1.0
    return positives.informative(sizes.plain(test.metric), test.positives)


def _smallest_effect(
    plan: Plan, test: Experiment, traffic: Traffic, arms: list[float]
) -> float | None:
    """Of the comparison that sees least: the champion with its smallest challenger."""
    champion, challenger = arms[0], min(arms[1:])
    units, share = champion + challenger, challenger / (champion + challenger)
    alpha = sizes.level(test)
    if not sizes.is_rate(test.metric, None):
        return _deviations(units, share, alpha)
    rate = sizes.rate(test, plan.quality.baseline if traffic.loss is None else traffic.loss)
    most = (1 - rate) if rate <= 0.5 else rate
    known = test.positives

    def chance(points: float) -> float:
        there = sizes.away(rate, points)
        if known is None:
            return power.proportions_power(rate, there, units, share=share, alpha=alpha)
        spread = sizes.deviation(test, known, there, share)
        return power.means_power(points, spread, units, share=share, alpha=alpha)

    return _least(chance, most * (1 - 1e-6))


def _deviations(units: float, share: float, alpha: float) -> float | None:
    """In standard deviations between units, whatever the metric's own unit is."""
    # The t test of so many units hardly differs from the z test, whose answer is in closed form.
    near = (special.ndtri(1 - alpha / 2) + special.ndtri(POWER)) / sqrt(units * share * (1 - share))
    return _least(
        lambda size: power.means_power(size, 1.0, units, share=share, alpha=alpha),
        1.2 * float(near),
    )


def _least(power_of: Callable[[float], float], most: float) -> float | None:
    # From below: far beyond certainty the noncentral t distribution has no digits.
    size = min(_NARROWEST, most)
    while power_of(size) < POWER:
        if size >= most:
            return None
        size = min(2 * size, most)
    if size <= _NARROWEST:
        return size
    return float(optimize.brentq(lambda size: power_of(size) - POWER, size / 2, size))


def _unit(test: Experiment) -> str:
    return "points" if sizes.is_rate(test.metric, None) else "standard deviations"
