"""Whether a plan can decide at all with the traffic there is, and what would make it decidable.

A plan that will only time out wastes days and teaches nothing, so it is refused before it begins,
with changes that a forecast has shown to work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

import msgspec

from serinus.delivery.forecast import risks
from serinus.delivery.forecast.circumstances import ENTITIES
from serinus.delivery.forecast.experiments import FEWEST_UNITS
from serinus.delivery.forecast.simulation import forecast, step_name
from serinus.delivery.forecast.types import (
    Duration,
    ExperimentForecast,
    Forecast,
    Proposal,
    StepForecast,
    Traffic,
)
from serinus.delivery.planning import plan as plans
from serinus.delivery.planning import sample, uses
from serinus.delivery.planning.plan import Basis
from serinus.delivery.types import DeploymentSpec, Kind, Plan
from serinus.delivery.verdicts.judge import gate_of
from serinus.delivery.verdicts.wording import TITLES, margin

# Less than this says too little about the traffic to come.
FEWEST_REQUESTS = 200
LEAST_SECONDS = 600.0
# Rollouts that are simulated: a refusal rests on a 90 % quantile, which 500 know to 6 %.
_RUNS = 500
_MOST_REMEDIES = 3
# Nobody plans a step longer than a quarter of a year, and forecasts err by some percent.
_LONGEST_HOURS = 2_160.0
_SPARE = (1.15, 1.5)
# A number of entities that nobody named refuses only what twice as many would hardly decide.
_DOUBT = 2.0
_LOOSER: Mapping[Kind, tuple[tuple[str, tuple[float, ...]], ...]] = {
    "errors": (("error_odds", (2.0, 3.0, 5.0)), ("error_points", (0.01, 0.02, 0.05))),
    "latency": (("latency_ratio", (1.5, 2.0, 3.0)),),
    "quality": (("quality_points", (0.03, 0.05, 0.10)),),
    "shadow_quality": (("quality_points", (0.03, 0.05, 0.10)),),
    "business": (("value_loss", (0.2, 0.35, 0.5)),),
    "distribution": (("score_shift", (0.1, 0.15, 0.2)),),
}
_HIGHER_SHARES = ((0.25, 0.5), (0.5,))


def propose(
    spec: DeploymentSpec, basis: Basis, observed: Traffic | None, *, salt: str, harms: bool = True
) -> Proposal:
    """The plan of a specification, how it will go, and whether it can decide.

    Args:
        spec: what was asked for.
        basis: what is known of the champion.
        observed: its traffic lately; too little of it counts as none.
        salt: of the plan.
        harms: whether harmful challengers are forecast as well.

    Raises:
        InvalidInput: no plan can be made of this specification.
    """
    plan = plans.make_plan(spec, basis, salt=salt)
    traffic = enough(observed)
    # The salt differs with each deployment; the same question should get the same answer.
    told = forecast(plan, traffic, seed=0, runs=_RUNS, entities=spec.entities, harms=harms)
    if traffic is None:
        told = msgspec.structs.replace(told, assumptions=(seen(observed), *told.assumptions))
    faults = _faults(spec, told)
    remedies = tuple(_remedies(spec, basis, traffic, told)) if faults else ()
    return Proposal(
        plan=plan,
        words=tuple(_words(spec, plan, number) for number in range(len(plan.steps))),
        summary=summary(told, plan.unit, observed),
        forecast=told,
        faults=faults,
        remedies=remedies,
        risks=tuple(risks.risks(spec, plan, observed, told, basis.tallies)),
    )


def _words(spec: DeploymentSpec, plan: Plan, number: int) -> str:
    """A step as a person reads it: what must be excluded, and what else it waits for."""
    step = plan.steps[number]
    test = plan.experiment
    if test is not None:
        shares = ", ".join(
            f"{version} {100 * share:g} %"
            for version, share in zip(test.challengers, test.split, strict=True)
        )
        many = _counted(test.metric, plan.unit)
        enough = ""
        if spec.min_requests is None:
            finds = sample.difference(test, spec.quality_points)
            why = sample.reason(test)
            enough = f" (enough to find {finds} in four of five tests{', ' * bool(why)}{why})"
        return (
            f"A/B test ({shares}): passed when its planned end has come, with "
            f"{step.min_requests:,} {many}{enough} but not before "
            f"{hours(test.min_seconds / 3600)}, after "
            f"{hours(test.planned_seconds / 3600)} at the latest; by {test.metric} at "
            f"{test.confidence:.0%} confidence"
        )
    asked = {
        rail.kind: margin(plan, gate_of(step, rail.kind), rail.kind) for rail in plan.guardrails
    }
    margins = "; ".join(f"{TITLES[kind]}: {text}" for kind, text in asked.items() if text)
    waits = f"{step.min_requests:,} {'pairs' if step.shadow else 'requests'}"
    if step.min_seconds:
        waits += f" and {hours(step.min_seconds / 3600)}"
    approval = ", then an approval" if step.approval else ""
    return (
        f"{step_name(step)}: passed when the evidence excludes {margins or 'nothing'}; after at "
        f"least {waits}, at most {hours(step.max_seconds / 3600)}{approval}"
    )


def remedy(remedies: tuple[str, ...]) -> str:
    """What a person can do about a plan that cannot decide."""
    if not remedies:
        return "No single change would: send more traffic, or promote by hand after a look."
    return f"Any one of these would make it decidable: {', or '.join(remedies)}."


def seen(observed: Traffic | None) -> str:
    """In words why a forecast could not use what was observed."""
    if observed is None or not observed.requests:
        return "no request was seen lately"
    if observed.requests < FEWEST_REQUESTS:
        return f"{observed.requests:,} requests were seen lately, {FEWEST_REQUESTS} are needed"
    return (
        f"{observed.requests:,} requests were seen, but over {observed.seconds / 60:.2g} minutes; "
        f"{LEAST_SECONDS / 60:g} are needed"
    )


def summary(told: Forecast, unit: str, observed: Traffic | None = None) -> str:
    """A forecast in one sentence; ``observed`` is what was seen, be it too little."""
    if told.experiment is not None:
        return _found_at_the_end(told.experiment, unit, observed)
    if not told.steps:
        return "The plan has no step to wait for."
    if told.whole.requests is None:
        return "An equal challenger will hardly ever get through."
    if told.traffic is None and unit == "request":
        return f"How long it will take is unknown: {seen(observed)}."
    return f"An equal challenger will need about {duration(told.whole)}."


def _found_at_the_end(test: ExperimentForecast, unit: str, observed: Traffic | None) -> str:
    many = _counted(test.metric, unit)
    if test.units is None:
        return (
            f"The test is asked of {test.sample:,} {many}, not before {hours(test.least_hours)} "
            f"and after {hours(test.most_hours)} at the latest; when that will be is unknown: "
            f"{seen(observed)}."
        )
    told = f"The test is asked after {hours(test.hours)}, of about {_round(test.units):,} {many}"
    if test.units < 0.99 * test.sample:
        told += f" (not the {test.sample:,} planned, as its longest time is over)"
    if test.effect is None:
        return f"{told}: too few to find any difference."
    size = f"{test.effect:.2g} {test.unit}"
    if test.unit == "points":
        size = f"{100 * test.effect:.2g} points"
    return f"{told}: a difference of {size} of {test.metric} is then found in four of five tests."


def _counted(metric: str, unit: str) -> str:
    """What a sample is of: what has no label counts for no metric that needs one."""
    many = "requests" if unit == "request" else "distinct entities"
    return f"labelled {many}" if sample.needs_labels(metric) else many


def duration(took: Duration) -> str:
    """A duration in words: ``11,700 requests (18,700 in nine of ten), 12 h (19 h)``."""
    if took.requests is None:
        return "hardly ever"
    late = "more than will come" if took.requests_90 is None else f"{_round(took.requests_90):,}"
    text = f"{_round(took.requests):,} requests ({late} in nine of ten)"
    if took.hours is not None:
        late = "more" if took.hours_90 is None else hours(took.hours_90)
        text += f", {hours(took.hours)} ({late})"
    return text


def hours(number: float) -> str:
    """Hours as a person says them: ``20 s``, ``7 min``, ``3.5 h``, ``122 h``."""
    if number < 1 / 60:
        return f"{3600 * number:.0f} s"
    if number < 1:
        return f"{60 * number:.0f} min"
    return f"{number:.1f} h" if number < 10 else f"{number:,.0f} h"


def enough(observed: Traffic | None) -> Traffic | None:
    """What was observed, if there is enough of it to say what will come; else None."""
    if observed is None or observed.requests < FEWEST_REQUESTS:
        return None
    return observed if observed.seconds >= LEAST_SECONDS else None


# ------------------------------------------------------------------ what cannot be decided


def _faults(spec: DeploymentSpec, told: Forecast) -> tuple[str, ...]:
    if told.experiment is not None:
        return _sees_nothing(told.experiment)
    return tuple(
        fault
        for step in told.steps
        for fault in (_too_few_entities(spec, told, step) or _too_late(spec, told, step),)
        if fault
    )


def _title(step: StepForecast) -> str:
    return TITLES[step.slowest] if step.slowest else "The planned end"


def _sees_nothing(test: ExperimentForecast) -> tuple[str, ...]:
    if test.fewest is None or (test.fewest >= FEWEST_UNITS and test.effect is not None):
        return ()
    return (
        f"by its planned end, after {hours(test.hours)}, one of the versions will have answered "
        f"about {_round(test.fewest):,} times that {test.metric} can be told of; with fewer than "
        f"{FEWEST_UNITS:g} no difference is found",
    )


def _too_late(spec: DeploymentSpec, told: Forecast, step: StepForecast) -> str:
    took = step.duration
    if spec.unit == "entity" and not spec.entities and took.hours_90 is None:
        return ""  # the number of entities is assumed, so nothing can be said of when they come
    place = f"step {step.step + 1} ({step.name})"
    waits = f"{_title(step)} decides last"
    if took.requests is None:
        return f"{place} will hardly ever decide, however many requests come: {waits}"
    if told.traffic is None or (took.hours_90 is not None and took.hours_90 <= spec.max_hours):
        return ""
    if took.requests_90 is None or took.hours_90 is None:
        return f"{place} will hardly ever decide: {waits}"
    return (
        f"{place} needs about {_round(took.requests_90):,} requests (90 %), at "
        f"{told.traffic.per_hour:,.0f} an hour that is {hours(took.hours_90)}, max_hours is "
        f"{spec.max_hours:g}; {waits}"
    )


def _too_few_entities(spec: DeploymentSpec, told: Forecast, step: StepForecast) -> str:
    if spec.unit != "entity":
        return ""
    needed, part = (step.units_90, "90 %") if spec.entities else (step.units, "median")
    available = spec.entities or ENTITIES
    doubt = 1.0 if spec.entities else _DOUBT
    if needed is not None and needed <= doubt * available:
        return ""
    many = "more than any number of" if needed is None else f"about {_round(needed):,}"
    said = f"there are {available:,}"
    if not spec.entities:
        said = f"{available:,} are assumed (entities says how many there are)"
    return (
        f"step {step.step + 1} ({step.name}) needs {many} distinct entities by its end ({part}), "
        f"as each counts once, and {said}; {_title(step)} decides last"
    )


# ------------------------------------------------------------------ what would decide


def _remedies(
    spec: DeploymentSpec, basis: Basis, traffic: Traffic | None, told: Forecast
) -> Iterator[str]:
    """Changes under which a forecast finds no fault, fewest surprises first."""
    found = 0
    tried = set()
    for family in (_longer(spec, told), _looser(spec, told), _larger(spec, told)):
        for changes in family:
            text = _together(changes)
            if text in tried or found == _MOST_REMEDIES:
                continue
            tried.add(text)
            other = msgspec.structs.replace(spec, **changes)
            plan = plans.make_plan(other, basis, salt="remedy")
            again = forecast(
                plan, traffic, seed=0, runs=_RUNS, entities=other.entities, harms=False
            )
            if not _faults(other, again):
                found += 1
                yield text
                break


def _longer(spec: DeploymentSpec, told: Forecast) -> Iterator[dict[str, Any]]:
    slowest = [step.duration.hours_90 for step in told.steps]
    test = told.experiment
    if test is not None and test.fewest:
        slowest = [test.hours * FEWEST_UNITS / test.fewest]
    if told.traffic is None or None in slowest:
        return
    for spare in _SPARE:
        needed = float(ceil(spare * max(late for late in slowest if late is not None)))
        longer = {"max_hours": needed} if spec.max_hours < needed else {}
        if needed > _LONGEST_HOURS:
            continue
        if longer:
            yield longer
        if test is not None:
            # It ends with its sample, if that is there after the least time.
            yield {"min_hours": needed, **longer}


def _looser(spec: DeploymentSpec, told: Forecast) -> Iterator[dict[str, Any]]:
    """The slowest guardrails' margins, looser and looser; last, those of all guardrails."""
    slow: set[str] = {
        step.slowest
        for step in told.steps
        if _too_few_entities(spec, told, step) or _too_late(spec, told, step)
    }
    if told.experiment is not None:
        return
    for kinds in (slow, set(_LOOSER)):
        for level in range(3):
            changes = {
                name: ladder[level]
                for kind in _LOOSER
                if kind in kinds
                for name, ladder in _LOOSER[kind]
                if name in uses.FIELDS[spec.strategy]
                and getattr(spec, name) is not None
                and ladder[level] > getattr(spec, name)
            }
            if changes:
                yield changes


def _larger(spec: DeploymentSpec, told: Forecast) -> Iterator[dict[str, Any]]:
    """Draw by request, or higher shares: promotion learns with w (1 - w)."""
    if spec.unit == "entity":
        yield {"unit": "request", "entities": None}
    if spec.strategy == "canary":
        for shares in _HIGHER_SHARES:
            if shares[0] > spec.shares[0]:
                yield {"shares": shares}


def _together(changes: Mapping[str, Any]) -> str:
    said = [f"{name}={_said(value)}" for name, value in changes.items() if value is not None]
    return " and ".join(said) + (" together" if len(said) > 1 else "")


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(f"{part:g}" for part in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _round(number: float) -> int:
    """To two or three digits: a forecast knows no more."""
    size = 10 ** max(0, len(str(int(number))) - 3)
    return int(round(number / size) * size)
