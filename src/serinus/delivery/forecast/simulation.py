"""How long a plan will take: rollouts of an equal challenger, simulated before the first request.

Counts are drawn as the plan's shares and the observed traffic would yield them, for many rollouts
and looks at once, and the judge's own e-values are asked of these tables. So a forecast cannot
disagree with the judge about what evidence is worth; it can only be wrong about the traffic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite, log

import numpy as np

from serinus.delivery.forecast.circumstances import (
    ENTITIES,
    Circumstances,
    Crowd,
    Harm,
    circumstances,
)
from serinus.delivery.forecast.experiments import experiment_forecast
from serinus.delivery.forecast.types import (
    Duration,
    ExperimentForecast,
    Forecast,
    HarmForecast,
    StepForecast,
    Traffic,
)
from serinus.delivery.forecast.walks import Answers, Past, Reached, Search, walk
from serinus.delivery.types import Kind, Plan, Step
from serinus.delivery.verdicts import measure
from serinus.delivery.verdicts.evidence import Floats, Measure, Tables
from serinus.delivery.verdicts.judge import gate_of

# What takes longer than this hardly ever happens; harm is not looked for as long.
_MOST_SAFE = 1e8
_MOST_HARMED = 3e6
# Harms need no more rollouts than this: they are told, and nothing is refused for them.
_MOST_RUNS = 200
_FEWEST_HARMED = 4.0
_SAFE_BY: Mapping[Kind, frozenset[Measure]] = {
    "errors": frozenset({Measure.ERROR}),
    "sample_ratio": frozenset({Measure.ERROR}),
    "latency": frozenset({Measure.LATENCY_EARLY, Measure.LATENCY_LAST}),
    "distribution": frozenset({Measure.SCORE}),
    "quality": frozenset({Measure.LOSS}),
    "business": frozenset({Measure.VALUE}),
    "shadow_errors": frozenset({Measure.PAIR_ERROR}),
    "shadow_quality": frozenset({Measure.PAIR_LOSS}),
}
_HARMED_BY: Mapping[Kind, frozenset[Measure]] = {
    **_SAFE_BY,
    "errors": frozenset({Measure.ERROR, Measure.FIRST_FAILURE}),
    "service_level": frozenset({Measure.ERROR}),
    "latency": frozenset({Measure.LATENCY}),
}
_HARMS = (
    Harm("errors", 50.0),
    Harm("errors", 5.0),
    Harm("errors", 2.0),
    Harm("quality", 0.05),
    Harm("quality", 0.02),
    Harm("latency", 1.5),
    Harm("latency", 1.2),
)
_ALARMS: Mapping[tuple[str, bool], tuple[Kind, ...]] = {
    ("errors", False): ("errors", "service_level"),
    ("errors", True): ("shadow_errors",),
    ("quality", False): ("quality",),
    ("quality", True): ("shadow_quality",),
    ("latency", False): ("latency",),
}
"""By kind of harm and whether the step is a shadow: the guardrails that would see it."""


def forecast(
    plan: Plan,
    traffic: Traffic | None,
    *,
    seed: int,
    runs: int = 200,
    entities: int | None = None,
    harms: bool = True,
) -> Forecast:
    """Simulate rollouts of a plan.

    Args:
        plan: the plan.
        traffic: what was observed; None if nothing is known.
        seed: equal seeds give equal forecasts.
        runs: simulated rollouts; of 200 a median is good to about 5 %, a 90 % quantile to 12 %.
        entities: how many distinct entities there are, for a plan by entity.
        harms: whether harmful challengers are simulated as well.
    """
    simulation = _Simulation(plan, traffic, entities, np.random.default_rng(seed), runs)
    known = circumstances(plan, traffic)
    test = experiment_forecast(plan, traffic, entities)
    steps, whole = simulation.equal(known) if test is None else simulation.planned(test)
    assumptions = known.assumptions
    if plan.unit == "entity":
        counted = "expected" if entities else "assumed, as the specification names no number"
        assumptions += (
            f"there are {entities or ENTITIES:,} distinct entities ({counted}), each counted "
            "once, some far busier than others (Zipf's law)",
        )
    return Forecast(
        traffic=traffic,
        runs=runs,
        steps=steps,
        whole=whole,
        harms=tuple(simulation.harmful()) if harms else (),
        assumptions=assumptions,
        experiment=test,
    )


def step_name(step: Step) -> str:
    """A step in words: ``shadow`` or ``25 %``."""
    digits = 1 if step.share >= 0.01 else 3
    return "shadow" if step.shadow else f"{round(100 * step.share, digits):g} %"


@dataclass(frozen=True)
class _Simulation:
    plan: Plan
    traffic: Traffic | None
    entities: int | None
    rng: np.random.Generator
    runs: int

    # -------------------------------------------------------------- an A/B test

    def planned(self, test: ExperimentForecast) -> tuple[tuple[StepForecast, ...], Duration]:
        """It ends when it was planned to, whatever comes of it: nothing is simulated."""
        sent = None if self.traffic is None else test.hours * self.traffic.per_hour
        took = Duration(sent, sent, test.hours, test.hours)
        name = step_name(self.plan.steps[0])
        return (StepForecast(0, name, took, "", None, None, None),), took

    # -------------------------------------------------------------- an equal challenger

    def equal(self, known: Circumstances) -> tuple[tuple[StepForecast, ...], Duration]:
        """Rollouts of an equal challenger from the first step to the last."""
        found = []
        past: Past = {}
        live = requests = hours = np.zeros(self.runs)
        for number, step in enumerate(self.plan.steps):
            reached = walk(self.rng, self.runs, self._safety(step), known, past)
            units = reached.units
            start = np.zeros(self.runs) if step.shadow else live
            if not step.shadow:
                past, live = reached.tables, live + units
            sent, took = self._cost(step, start, units)
            found.append(self._told(number, reached, start + units, sent, took))
            requests, hours = requests + sent, hours + took
        return tuple(found), _duration(requests, hours)

    def _safety(self, step: Step) -> Search:
        kinds = self._asked(step)
        bound = log(1.0 / self.plan.promote_alpha)
        # What a later live step asks of is counted from the first one on.
        alike = {
            kind
            for other in self.plan.steps
            if other.shadow == step.shadow
            for kind in self._asked(other)
        }

        def ask(tables: Tables) -> Answers:
            found = {
                kind: measure.log_safe(self.plan, gate_of(step, kind), kind, tables)
                for kind in kinds
            }
            return {kind: log_e >= bound for kind, log_e in found.items() if log_e is not None}

        least = float(step.min_requests)
        if self.traffic is not None and self.plan.unit == "request":
            least = max(least, step.min_seconds / 3600 * self.traffic.per_hour * _counted(step))
        measures = frozenset().union(*(_SAFE_BY[kind] for kind in alike))
        return Search(step, measures, ask, every=True, least=least, most=_MOST_SAFE)

    def _asked(self, step: Step) -> list[Kind]:
        kinds = (rail.kind for rail in self.plan.guardrails)
        return [
            kind
            for kind in kinds
            if measure.log_safe(self.plan, gate_of(step, kind), kind, {}) is not None
        ]

    def _told(
        self, number: int, reached: Reached, units: Floats, requests: Floats, hours: Floats
    ) -> StepForecast:
        step = self.plan.steps[number]
        slowest = max(reached.by_kind, key=lambda kind: float(reached.by_kind[kind].mean()))
        in_time = float((hours <= step.max_seconds / 3600).mean())
        return StepForecast(
            step=number,
            name=step_name(step),
            duration=_duration(requests, hours),
            slowest=slowest,
            units=_quantile(units, 0.5),
            units_90=_quantile(units, 0.9),
            decided=None if self.traffic is None else in_time,
        )

    # -------------------------------------------------------------- harmful ones

    def harmful(self) -> list[HarmForecast]:
        """Rollouts of harmful challengers, each at a shadow step and the outer live steps."""
        places = [number for number, step in enumerate(self.plan.steps) if step.shadow]
        live = [number for number, step in enumerate(self.plan.steps) if not step.shadow]
        places += sorted({*live[:1], *live[-1:]})
        found = []
        for harm in _HARMS:
            known = circumstances(self.plan, self.traffic, harm)
            for number in places:
                step = self.plan.steps[number]
                search = self._danger(step, harm, known)
                if search is None:
                    continue
                units = self._until_found(harm, search, known)
                sent, took = self._cost(step, np.zeros(len(units)), units)
                duration = _duration(sent, took)
                found.append(HarmForecast(harm.words, number, step_name(step), duration))
        return found

    def _until_found(self, harm: Harm, search: Search, known: Circumstances) -> Floats:
        runs = min(self.runs, _MOST_RUNS)
        if self._is_tolerated(harm):
            return np.full(runs, inf)
        return walk(self.rng, runs, search, known).units

    def _is_tolerated(self, harm: Harm) -> bool:
        """Whether the plan lets a challenger be so much worse: then nobody ever finds it."""
        if harm.kind == "latency":
            return harm.size <= 1.0 + self.plan.latency.tolerance
        return harm.kind == "quality" and any(
            harm.size <= rail.tolerance
            for rail in self.plan.guardrails
            if rail.kind in ("quality", "shadow_quality")
        )

    def _danger(self, step: Step, harm: Harm, known: Circumstances) -> Search | None:
        alarms = _ALARMS.get((harm.kind, step.shadow), ())
        failing = known.laws[Measure.ERROR][1, 1]
        rails = [
            rail
            for rail in self.plan.guardrails
            # A service level that is kept all the same takes long to ask and never answers.
            if rail.kind in alarms and (rail.kind != "service_level" or failing > rail.tolerance)
        ]
        if not rails:
            return None

        def ask(tables: Tables) -> Answers:
            return {
                rail.kind: measure.log_harm(self.plan, rail, tables) >= log(1.0 / rail.alpha)
                for rail in rails
            }

        measures = frozenset().union(*(_HARMED_BY[rail.kind] for rail in rails))
        return Search(step, measures, ask, every=False, least=_FEWEST_HARMED, most=_MOST_HARMED)

    # -------------------------------------------------------------- in requests and hours

    def _cost(self, step: Step, before: Floats, units: Floats) -> tuple[Floats, Floats]:
        """Requests to the model, and hours (inf where unknown), for units after earlier ones."""
        if self.plan.unit == "entity":
            crowd = Crowd(self.entities or ENTITIES)
            last = crowd.requests(before + units)
            first = crowd.requests(before)
            gone = np.isfinite(last)
            requests = np.where(gone, last - np.where(gone, first, 0.0), inf)
        else:
            requests = units / _counted(step)
        if self.traffic is None:
            return requests, np.full(len(units), inf)
        return requests, np.maximum(requests / self.traffic.per_hour, step.min_seconds / 3600)


def _counted(step: Step) -> float:
    """The share of requests that a step counts."""
    return step.mirror if step.shadow else 1.0


def _duration(requests: Floats, hours: Floats) -> Duration:
    return Duration(
        _quantile(requests, 0.5),
        _quantile(requests, 0.9),
        _quantile(hours, 0.5),
        _quantile(hours, 0.9),
    )


def _quantile(values: Floats, part: float) -> float | None:
    found = float(np.quantile(values, part, method="inverted_cdf"))
    return found if isfinite(found) else None
