"""What can go wrong with a plan that can decide: sentences for who is about to begin it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from serinus.delivery.experiments import metrics
from serinus.delivery.experiments.contrast import LEAST_UNITS
from serinus.delivery.forecast.circumstances import ENTITIES
from serinus.delivery.forecast.types import Forecast, Traffic
from serinus.delivery.planning import sample
from serinus.delivery.types import DeploymentSpec, Experiment, Plan
from serinus.stats.class_tallies import Tally

# Of simulated rollouts; fewer passing a step in its time is worth a word.
_MOST_PASS = 0.95
# Of a class among labels: where the points to exclude are more, accuracy hardly sees it.
_MOST_OF_CLASS = 0.25
_ROUND_POINTS = (0.05, 0.02, 0.01, 0.005, 0.002, 0.001)


def risks(
    spec: DeploymentSpec,
    plan: Plan,
    observed: Traffic | None,
    told: Forecast,
    tallies: Sequence[Tally] = (),
) -> Iterator[str]:
    """What a person should know before this plan begins.

    Args:
        spec: what was asked for.
        plan: the plan of it.
        observed: the champion's traffic lately, be it too little for a forecast.
        told: the forecast.
        tallies: of the champion's classes, on rows it did not learn from; none if unknown.
    """
    yield from _labels(plan, observed)
    yield from _tolerated(plan)
    yield from _rare(spec, plan, tallies)
    yield from _time(plan, told)
    if plan.experiment is not None:
        yield from _class(plan.experiment)
        yield from _uneven(plan, plan.experiment)
        yield from _end(plan, plan.experiment, observed)
    if plan.unit == "entity" and spec.entities is None:
        yield (
            f"Nobody said how many entities there are: {ENTITIES:,} are assumed, and each counts "
            "once. With fewer the plan may never decide."
        )
    if plan.value is not None and spec.value_loss is not None:
        yield (
            "The last step waits for business values: without POST /feedback of values it never "
            "passes."
        )
    yield from _traffic_at_once(spec, plan)
    yield from _soak(plan)
    yield from _people(spec, plan)
    yield _breaker(plan)


def _labels(plan: Plan, observed: Traffic | None) -> Iterator[str]:
    if not plan.has("quality", "shadow_quality") or observed is None:
        return
    if not observed.labelled:
        yield (
            "No label came lately, so quality will wait, and every step that asks for it. If none "
            "will come, say labels = false."
        )
    elif observed.labelled < plan.label_coverage:
        yield (
            f"Only {observed.labelled:.1%} of the answers were labelled lately; below "
            f"{plan.label_coverage:.1%} quality decides nothing, as those that came may be chosen."
        )
    if observed.label_delay_seconds > plan.label_window_seconds:
        yield (
            f"Labels come {observed.label_delay_seconds / 3600:.1f} h after the answer and are "
            f"waited for {plan.label_window_seconds / 3600:.1f} h: most will count as missing."
        )


def _tolerated(plan: Plan) -> Iterator[str]:
    judged = [rail for rail in plan.guardrails if rail.kind in ("quality", "shadow_quality")]
    points = max((rail.tolerance for rail in judged), default=0.0)
    if points:
        yield (
            f"A quality worse by up to {100 * points:g} points is no harm to this plan: nothing is "
            "taken back for it, and what is worse by more is found later."
        )


def _rare(spec: DeploymentSpec, plan: Plan, tallies: Sequence[Tally]) -> Iterator[str]:
    """Plain accuracy weighs a class by its share of the labels: of a rare one it says little."""
    judged = any(step.gate.quality_points is not None for step in plan.steps)
    if not judged or spec.value_loss is not None or not tallies:
        return
    found = min(tallies, key=lambda tally: tally.true)
    points = spec.quality_points
    if not found.rows or points * found.rows <= _MOST_OF_CLASS * found.true:
        return
    share = found.true / found.rows
    part = "more than all" if points > share else f"{100 * points / share:.0f} % of all"
    # Who never claims the class loses its hits, and is spared its false alarms.
    lost = (2 * found.hits - found.claimed) / found.rows
    worse = "finds none of them" if lost < points else "misses as many more of them"
    fewer = next((rounded for rounded in _ROUND_POINTS if rounded <= _MOST_OF_CLASS * share), None)
    yield (
        f"{100 * points:g} points of accuracy are {part} that are {found.name} "
        f"({100 * share:.2g} % of labels): a version that {worse} could pass. "
        f"Compare recall in an A/B test (metric recall:{found.name}), give labels a business value"
        + (f", or ask for fewer points (quality_points = {fewer:g})." if fewer else ".")
    )


def _time(plan: Plan, told: Forecast) -> Iterator[str]:
    if told.traffic is None and plan.steps:
        yield "Too little traffic was seen lately to say whether the plan decides in its time."
    for step in told.steps:
        if step.decided is not None and step.decided < _MOST_PASS:
            yield (
                f"Step {step.step + 1} ({step.name}) passes in its time in {step.decided:.0%} of "
                "simulated rollouts of an equal version; otherwise the plan ends inconclusive."
            )


def _class(test: Experiment) -> Iterator[str]:
    """What is not known of the class that the metric asks about."""
    found = test.positives
    if found is None or found.known == "test":
        return
    if found.known == "answers":
        yield (
            f"Of the class that {test.metric} asks about only answers are known: it is thought as "
            f"frequent among labels ({found.true:.2%}), and {test.metric} to vary as much as it "
            "can. Say min_requests if you know better."
        )
    else:
        yield (
            f"Of the class that {test.metric} asks about too little is known, as this version has "
            "no counts of it and its scores do not tell how many it claims: it is taken for rare "
            f"({found.true:.0%} of labels and of answers), and {test.metric} to vary as much as it "
            "can. If the class is more frequent the test only takes longer than it must: say "
            "min_requests."
        )


def _uneven(plan: Plan, test: Experiment) -> Iterator[str]:
    """An entity weighs as much as it sends, but of a metric that counts each once."""
    if plan.unit == "entity" and sample.plain(test.metric) not in metrics.COUNTED_ONCE:
        yield (
            f"An entity weighs in {test.metric} as much as it sends: where one sends half of all "
            "traffic there may never be a result, as an arm that says less than "
            f"{LEAST_UNITS} equal entities would is not compared."
        )


def _end(plan: Plan, test: Experiment, observed: Traffic | None) -> Iterator[str]:
    """A request of which nothing comes holds the end up until its time is over."""
    labelled = sample.needs_labels(test.metric)
    missing = not labelled or (
        observed is not None and observed.labelled is not None and observed.labelled < 1.0
    )
    if missing and test.metric != "latency":
        what = "labels" if labelled else "values"
        yield (
            f"Missing {what} are waited for: the result is there up to "
            f"{plan.label_window_seconds / 3600:.3g} h after the planned end."
        )


def _traffic_at_once(spec: DeploymentSpec, plan: Plan) -> Iterator[str]:
    if not plan.steps:
        yield "There is no former version: nothing is compared, and nothing can be taken back."
    elif spec.strategy == "blue_green":
        yield (
            "All traffic moves at once after the mirror: what a mirror cannot show (latency under "
            "load, answers that change what comes next) is found in the soak only."
        )
    elif spec.strategy == "shadow":
        yield "It promotes nothing: passed, the champion stays, and deploying is another plan."
    elif not any(step.shadow for step in plan.steps):
        yield "Nothing is watched unseen first: the first failures are answered to real requests."
    if plan.experiment is not None and plan.experiment.allocation == "thompson":
        yield (
            "Shares follow what was learnt, so the worse version is seen less and its figures stay "
            "vaguer."
        )


def _soak(plan: Plan) -> Iterator[str]:
    if not plan.promotes or not plan.steps:
        return
    if plan.soak_seconds == 0:
        yield "There is no soak: the former version goes cold as soon as the new one has it all."
    elif plan.soak_mirror == 0:
        yield ("The soak mirrors nothing: a version that is worse, but works, is not found there.")


def _people(spec: DeploymentSpec, plan: Plan) -> Iterator[str]:
    waits = sum(step.approval for step in plan.steps)
    if waits:
        yield f"It waits for a person {waits} time{'s'[: waits > 1]}; nothing moves until then."
    elif not spec.auto_promote and plan.steps and plan.promotes:
        yield "It waits for a person before all traffic; nothing moves until then."


def _breaker(plan: Plan) -> str:
    rules = plan.breaker
    return (
        f"A gateway asks the version no more for {rules.rest_seconds:g} s once "
        f"{rules.failing_share:.0%} of {rules.rows} rows or more within {rules.window_seconds:g} s "
        "failed; the champion then answers in its place, and each counts as a failure."
    )
