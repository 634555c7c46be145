"""From events to evidence: what each event adds to a live deployment. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from serinus.delivery import evidence as ev
from serinus.delivery.evidence import Cell, Measure
from serinus.delivery.types import Deployment, QualityScale
from serinus.wire import (
    Answer,
    Arm,
    Assignment,
    Event,
    Failure,
    Label,
    Prediction,
    Shadow,
    WorkerStatus,
)

_ANY: Answer = 0
"""Stands for the label of an answer that is wrong whatever the label."""


class Facts(msgspec.Struct, frozen=True, array_like=True):
    """What must be remembered of an answer until its label comes.

    ``answer`` is the assigned arm's (None: it failed); ``champion`` the champion's to the same
    request, for pairs only.
    """

    arm: Arm
    share: float
    answer: Answer | None
    champion: Answer | None = None


@dataclass
class Waiting:
    """One request that waits for its label, or a label that came before its request was read."""

    predicted_at: int
    facts: Facts | None = None
    label: Answer | None = None


@dataclass
class Harvest:
    """What one batch of events adds, before it is written down.

    ``units`` holds, by deployment, cells that count only if their entity is new.
    """

    cells: dict[str, list[Cell]] = field(default_factory=dict)
    units: dict[str, dict[int, list[Cell]]] = field(default_factory=dict)
    unit_of: dict[tuple[str, bytes], int] = field(default_factory=dict)
    waiting: dict[tuple[str, bytes], Waiting] = field(default_factory=dict)
    workers: dict[str, WorkerStatus] = field(default_factory=dict)

    def add(self, deployment: str, unit: int, cells: list[Cell]) -> bool:
        """Take cells of one request; whether the request counts (its entity is new here)."""
        if not unit:
            self.cells.setdefault(deployment, []).extend(cells)
            return True
        return self.units.setdefault(deployment, {}).setdefault(unit, cells) is cells

    def wait(self, deployment: str, prediction: bytes, predicted_at: int) -> Waiting:
        """The waiting entry of a prediction, made if it is not there."""
        return self.waiting.setdefault((deployment, prediction), Waiting(predicted_at))


def harvest(records: list[tuple[bytes, Event]], live: Mapping[str, Deployment]) -> Harvest:
    """What these events add to the live deployments; events of no live deployment add nothing.

    Args:
        records: ids and events, in ledger order.
        live: the live deployments by id.
    """
    found = Harvest()
    for identity, event in records:
        if isinstance(event, WorkerStatus):
            found.workers[event.worker] = event
            continue
        deployment = live.get(event.assignment.deployment)
        if deployment is None:
            continue
        match event:
            case Prediction():
                _answered(found, deployment, identity, event)
            case Failure():
                _failed(found, deployment, identity, event)
            case Shadow():
                _pair(found, deployment, event)
            case Label():
                if _labelled(deployment):
                    entry = found.wait(deployment.id, event.prediction, event.predicted_at)
                    if entry.label is None:
                        entry.label = event.value
    return found


def mature(scale: QualityScale, facts: Facts, label: Answer | None) -> list[Cell]:
    """The cells of a request whose label came, or (None) will not come any more."""
    came = Cell(Measure.MATURED, 0.0, facts.arm, 0 if label is None else 1)
    if label is None:
        return [came]
    loss = ev.loss_level(scale, facts.answer, label)
    if facts.arm is Arm.SHADOW:
        difference = loss - ev.loss_level(scale, facts.champion, label)
        return [came, Cell(Measure.PAIR_LOSS, 0.0, Arm.SHADOW, difference)]
    return [came, Cell(Measure.LOSS, facts.share, facts.arm, loss)]


def _answered(found: Harvest, deployment: Deployment, identity: bytes, event: Prediction) -> None:
    counts = _request(found, deployment, event.assignment, failed=bool(event.fallback))
    if counts and _labelled(deployment):
        answer = None if event.fallback else event.output.value
        _remember(found, deployment, identity, event, answer)


def _failed(found: Harvest, deployment: Deployment, identity: bytes, event: Failure) -> None:
    counts = _request(found, deployment, event.assignment, failed=True)
    if counts and _labelled(deployment):
        _remember(found, deployment, identity, event, None)


def _remember(
    found: Harvest,
    deployment: Deployment,
    identity: bytes,
    event: Prediction | Failure,
    answer: Answer | None,
) -> None:
    assignment = event.assignment
    entry = found.wait(deployment.id, identity, event.at)
    entry.facts = Facts(assignment.arm, assignment.share, answer)
    if answer is None and entry.label is None:
        # A failure is wrong whatever the truth, in either arm: no label need come, none could.
        entry.label = _ANY
    if deployment.plan.unit == "entity" and assignment.unit:
        found.unit_of[deployment.id, identity] = assignment.unit


def _request(
    found: Harvest, deployment: Deployment, assignment: Assignment, *, failed: bool
) -> bool:
    if not 0.0 < assignment.share < 1.0:
        return False  # nobody drew an arm, so there is nothing to learn
    unit = assignment.unit if deployment.plan.unit == "entity" else 0
    cells = [
        Cell(Measure.ERROR, assignment.share, assignment.arm, int(failed)),
        Cell(Measure.STEP, 0.0, assignment.arm, assignment.step),
    ]
    return found.add(deployment.id, unit, cells)


def _pair(found: Harvest, deployment: Deployment, event: Shadow) -> None:
    # Live and mirrored requests of an entity are two draws: one of each may count.
    unit = ~event.assignment.unit if _by_entity(deployment, event) else 0
    difference = int(event.output is None) - int(event.champion is None)
    counts = found.add(
        deployment.id,
        unit,
        [
            Cell(Measure.PAIR_ERROR, 0.0, Arm.SHADOW, difference),
            Cell(Measure.STEP, 0.0, Arm.SHADOW, event.assignment.step),
        ],
    )
    # Quality is compared where both answered; where one failed, the difference above says so.
    if event.output is None or event.champion is None or not counts:
        return
    if _labelled(deployment):
        entry = found.wait(deployment.id, event.prediction, event.at)
        entry.facts = Facts(Arm.SHADOW, 0.0, event.output.value, event.champion.value)
        if unit:
            found.unit_of[deployment.id, event.prediction] = unit


def _by_entity(deployment: Deployment, event: Shadow) -> bool:
    return deployment.plan.unit == "entity" and event.assignment.unit != 0


def _labelled(deployment: Deployment) -> bool:
    return any(rail.kind.endswith("quality") for rail in deployment.plan.guardrails)
