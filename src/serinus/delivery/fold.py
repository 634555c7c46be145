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
                _request(found, deployment, event.assignment, failed=True)
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
        assignment = event.assignment
        answer = None if event.fallback else event.output.value
        entry = found.wait(deployment.id, identity, event.at)
        entry.facts = Facts(assignment.arm, assignment.share, answer)
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
    failed = event.output is None
    found.add(
        deployment.id,
        0,
        [
            Cell(Measure.PAIR_ERROR, 0.0, Arm.SHADOW, int(failed)),
            Cell(Measure.STEP, 0.0, Arm.SHADOW, event.assignment.step),
        ],
    )
    if _labelled(deployment):
        entry = found.wait(deployment.id, event.prediction, event.at)
        answer = event.output.value if event.output else None
        entry.facts = Facts(Arm.SHADOW, 0.0, answer, event.champion.value)


def _labelled(deployment: Deployment) -> bool:
    return any(rail.kind.endswith("quality") for rail in deployment.plan.guardrails)
