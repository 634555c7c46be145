"""From events to evidence: what a batch of events adds to the live deployments. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress

import msgspec
import numpy as np
from numpy.typing import NDArray

from serinus.delivery.types import Deployment, Plan
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts import pairs, tally
from serinus.delivery.verdicts.evidence import Evidence, Measure, Sight
from serinus.delivery.verdicts.pairs import Flip, Halves
from serinus.delivery.verdicts.tally import Requests
from serinus.delivery.verdicts.watch import Watch
from serinus.wire import (
    Answer,
    Arm,
    Event,
    Failure,
    Label,
    Output,
    Prediction,
    Shadow,
    Value,
    WorkerStatus,
)

ANY: Answer = 0
"""Stands for the label of an answer that is wrong whatever the label."""

LABEL, VALUE = "label", "value"


class Facts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What must be remembered of an answer until its label or value comes.

    ``answer`` is the assigned arm's (None: it failed); ``champion`` the champion's to the same
    request, for pairs only.
    """

    arm: Arm
    share: float
    answer: Answer | None
    champion: Answer | None = None


@dataclass
class Waiting:
    """Requests that wait for what comes of them, and what came, by prediction.

    Attributes:
        asked: when a request was predicted, and what must be remembered of it.
        told: when a request was predicted, and the first that was told of it.
    """

    asked: dict[bytes, tuple[int, Facts]] = field(default_factory=dict)
    told: dict[bytes, tuple[int, Answer]] = field(default_factory=dict)


@dataclass
class Events:
    """A batch's events of one deployment, in ledger order; ``live`` carries the ids."""

    live: list[tuple[bytes, Prediction | Failure]] = field(default_factory=list)
    pairs: list[Shadow] = field(default_factory=list)
    clones: list[Shadow] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.live or self.pairs or self.clones or self.labels or self.values)


def sort(
    records: Sequence[tuple[bytes, Event]], live: Mapping[str, Deployment]
) -> tuple[dict[str, Events], dict[str, WorkerStatus]]:
    """Events by live deployment, and the workers' last words; others add nothing.

    Args:
        records: ids and events, in ledger order.
        live: the live deployments by id.
    """
    found = {identity: Events() for identity in live}
    workers: dict[str, WorkerStatus] = {}
    for record in records:
        event = record[1]
        if isinstance(event, WorkerStatus):
            workers[event.worker] = event
            continue
        batch = found.get(event.assignment.deployment)
        if batch is None:
            continue
        if isinstance(event, Prediction):
            batch.live.append((record[0], event))
        elif isinstance(event, Label):
            batch.labels.append(event)
        elif isinstance(event, Shadow):
            shadows = batch.clones if event.assignment.arm is Arm.CLONE else batch.pairs
            shadows.append(event)
        elif isinstance(event, Value):
            batch.values.append(event)
        else:
            batch.live.append((record[0], event))
    return found, workers


@dataclass
class Gathered:
    """What a batch adds to one deployment, before it is written down.

    ``units`` holds the entities that are new or failed for the first time, with whether they have
    failed.
    """

    evidence: Evidence
    watch: Watch
    units: dict[int, bool] = field(default_factory=dict)
    labels: Waiting = field(default_factory=Waiting)
    values: Waiting = field(default_factory=Waiting)
    halves: Halves = field(default_factory=Halves)


def gather(
    deployment: Deployment, events: Events, watch: Watch, known: Mapping[int, bool]
) -> Gathered:
    """What these events add to a deployment.

    Args:
        deployment: a live one.
        events: its events of the batch.
        watch: the champion's latencies so far.
        known: the entities among :func:`units_of` that came before, with whether they have failed.
    """
    drawn = requests(deployment, events.live)
    units = _units(deployment.plan, [event.assignment.unit for _, event in events.live])
    counting = _counting(units, drawn.share, known)
    levels, after = tally.levels(deployment.plan, drawn, watch, counting)
    found = Gathered(tally.totals(levels, drawn), after)
    entities = deployment.plan.unit == "entity"
    sights = _first_failures(found, units, drawn, known) if entities else []
    awaited = counting & (drawn.share > 0) & (drawn.share < 1)
    _await(found, deployment.plan, list(compress(events.live, awaited)))
    seen = Counter(sights) + _pairs(found, deployment, events.pairs, known)
    if cloned(deployment.plan):
        found.halves.clone = pairs.clones(deployment.plan, events.clones)
        seen.update(found.halves.join())
    found.evidence += ev.count(seen + _told(events))
    if deployment.plan.has("quality", "shadow_quality"):
        _tell(found.labels, events.labels)
    if deployment.plan.has("business"):
        _tell(found.values, events.values)
    return found


def cloned(plan: Plan) -> bool:
    """Whether disagreement is judged, and beyond what the champion disagrees with itself."""
    return plan.clone > 0.0 and plan.has("disagreement")


def units_of(deployment: Deployment, events: Events) -> set[int]:
    """The entities of a batch: live ones, and mirrored ones (:func:`pairs.unit_of`)."""
    plan = deployment.plan
    live = _units(plan, [event.assignment.unit for _, event in events.live])
    entities = plan.unit == "entity"
    mirrored = [pairs.unit_of(plan, event) for event in events.pairs] if entities else []
    return {unit for unit in (*live, *mirrored) if unit}


def requests(
    deployment: Deployment, events: Sequence[tuple[bytes, Prediction | Failure]]
) -> Requests:
    """The live requests as arrays.

    In the soak the challenger has all traffic, in the champion's place: share 1.
    """
    plan = deployment.plan
    found = [event for _, event in events]
    assignments = [event.assignment for event in found]
    step = np.array([assignment.step for assignment in assignments], np.int64)
    share = np.array([assignment.share for assignment in assignments], np.float64)
    challenger = np.array([item.arm is Arm.CHALLENGER for item in assignments], np.bool_)
    soaking = step >= len(plan.steps)
    if soaking.any():
        # What the former champion answered in its place is the challenger's failure.
        soaking &= np.array(
            [event.version == deployment.challenger or event.fallback != "" for event in found],
            np.bool_,
        )
        share[soaking], challenger[soaking] = ev.SOAK, True
    failed = [isinstance(event, Failure) or event.fallback != "" for event in found]
    outputs = [None if isinstance(event, Failure) else event.output for event in found]
    return Requests(
        share=share,
        challenger=challenger,
        step=step,
        failed=np.array(failed, np.bool_),
        latency=np.array([event.latency_us for event in found], np.float64),
        score=np.array(
            [score_of(output) for output in outputs]
            if plan.has("distribution")
            else np.full(len(found), np.nan),
            np.float64,
        ),
        category=np.array(
            _categories(plan, outputs) if plan.has("class_mix") else np.full(len(found), -1),
            np.int64,
        ),
    )


def mature(plan: Plan, kind: str, facts: Facts, outcome: Answer | None) -> list[Sight]:
    """The observations of a request of which came what it waited for, or (None) never will."""
    if kind == VALUE:
        # What was never worth anything is never told: no value is nothing.
        if plan.value is None:
            return []
        worth = ev.value_level(plan.value, 0.0 if outcome is None else ev.number(outcome))
        return [Sight(Measure.VALUE, facts.share, facts.arm, worth)]
    paired = facts.arm is Arm.SHADOW
    measure = Measure.PAIR_MATURED if paired else Measure.MATURED
    came = Sight(measure, 0.0, facts.arm, 0 if outcome is None else 1)
    if outcome is None:
        return [came]
    loss = ev.loss_level(plan.quality, facts.answer, outcome)
    if paired:
        difference = loss - ev.loss_level(plan.quality, facts.champion, outcome)
        return [
            came,
            Sight(Measure.PAIR_LOSS, facts.share, facts.arm, difference + ev.LOSS_STEPS),
        ]
    return [came, Sight(Measure.LOSS, facts.share, facts.arm, loss)]


def _units(plan: Plan, units: list[int]) -> list[int]:
    return units if plan.unit == "entity" else [0] * len(units)


def _counting(
    units: list[int], share: NDArray[np.float64], known: Mapping[int, bool]
) -> NDArray[np.bool_]:
    """Which requests count: of an entity the first that drew an arm, all of those without one."""
    if not any(units):
        return np.ones(len(units), np.bool_)
    met = set(known)
    counting = np.ones(len(units), np.bool_)
    for number, unit in enumerate(units):
        if unit and 0.0 < share[number] < 1.0:
            counting[number] = unit not in met
            met.add(unit)
    return counting


def _told(events: Events) -> Counter[Sight]:
    """How many labels and values came for each arm."""
    arms = Counter((event.assignment.arm, 0) for event in events.labels)
    arms.update((event.assignment.arm, 1) for event in events.values)
    return Counter({Sight(Measure.TOLD, 0.0, arm, of): times for (arm, of), times in arms.items()})


def _first_failures(
    found: Gathered, units: list[int], drawn: Requests, known: Mapping[int, bool]
) -> list[Sight]:
    """The entities' first failures; also notes which entities were met, and which have failed."""
    sights: list[Sight] = []
    for number, unit in enumerate(units):
        share = float(drawn.share[number])
        if not 0.0 < share < 1.0:
            continue
        before = found.units.get(unit, known.get(unit, False)) if unit else False
        failed = bool(drawn.failed[number])
        if failed and not before:
            arm = Arm.CHALLENGER if drawn.challenger[number] else Arm.CHAMPION
            sights.append(Sight(Measure.FIRST_FAILURE, share, arm, 1))
        if unit and (unit not in known or failed != before):
            found.units[unit] = before or failed
    return sights


def _await(
    found: Gathered, plan: Plan, events: Sequence[tuple[bytes, Prediction | Failure]]
) -> None:
    """Remember the requests that labels or values are yet to come of."""
    label, value = plan.has("quality"), plan.has("business")
    if not (label or value):
        return
    asked = {
        identity: (event.at, Facts(event.assignment.arm, event.assignment.share, _answer(event)))
        for identity, event in events
    }
    if value:
        found.values.asked = asked
    if label:
        found.labels.asked = asked if not value else dict(asked)
        # A failure is wrong whatever the truth, in either arm: no label need come.
        found.labels.told = {
            identity: (at, ANY) for identity, (at, facts) in asked.items() if facts.answer is None
        }


def _answer(event: Prediction | Failure) -> Answer | None:
    """What the assigned arm answered; None if it failed."""
    return None if isinstance(event, Failure) or event.fallback else event.output.value


def _pairs(
    found: Gathered, deployment: Deployment, events: Sequence[Shadow], known: Mapping[int, bool]
) -> Counter[Sight]:
    """What pairs show; also notes what waits for its label, or for its other half."""
    plan = deployment.plan
    labelled, twice, entities = plan.has("shadow_quality"), cloned(plan), plan.unit == "entity"
    alike: Counter[tuple[float, int, int, bool | None]] = Counter()
    for event in events:
        unit = pairs.unit_of(plan, event) if entities else 0
        if unit:
            if unit in known or unit in found.units:
                continue
            found.units[unit] = False
        pair, differs = pairs.pair_of(deployment, event), pairs.flip_of(plan, event)
        alike[pair.share, pair.failures, event.assignment.step, differs] += 1
        # Answers are compared where both answered; where one failed, the failures say so.
        if pair.challenger is None or pair.champion is None or differs is None:
            continue
        if twice:
            flip = Flip(event.at, pair.share, differs)
            found.halves.challenger.setdefault(event.prediction, flip)
        if labelled:
            facts = Facts(Arm.SHADOW, pair.share, pair.challenger.value, pair.champion.value)
            found.labels.asked.setdefault(event.prediction, (event.at, facts))
    seen: Counter[Sight] = Counter()
    for (share, failures, step, differs), times in alike.items():
        seen[Sight(Measure.PAIR_ERROR, share, Arm.SHADOW, failures + 1)] += times
        seen[Sight(Measure.STEP, 0.0, Arm.SHADOW, step)] += times
        if differs is not None:
            seen[Sight(Measure.PAIR_FLIP, share, Arm.SHADOW, int(differs))] += times
    return seen


def _tell(waiting: Waiting, events: Sequence[Label | Value]) -> None:
    for event in events:
        waiting.told.setdefault(event.prediction, (event.predicted_at, event.value))


def score_of(output: Output | None) -> float:
    """The one number of an answer; NaN if there is none.

    The second class's probability of two, the greatest of more, else the value itself.
    """
    if output is None:
        return np.nan
    if output.scores:
        return output.scores[1] if len(output.scores) == 2 else max(output.scores)
    return ev.number(output.value) if not isinstance(output.value, str) else np.nan


def _categories(plan: Plan, outputs: list[Output | None]) -> list[int]:
    place: dict[Answer, int] = {value: number for number, value in enumerate(plan.classes)}
    other = len(plan.classes)
    return [-1 if output is None else place.get(output.value, other) for output in outputs]
