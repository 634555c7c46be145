"""Takes the ledger's events into the experiments' sums, exactly once.

It is called with each batch in the transaction that also saves the ledger's offsets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from serinus.delivery.experiments import design as designs
from serinus.delivery.experiments import fold, metrics, repository, setup
from serinus.delivery.experiments.fold import Draw, Folding, Settled
from serinus.delivery.experiments.metrics import Metric
from serinus.delivery.experiments.repository import State
from serinus.delivery.experiments.sums import Sums
from serinus.delivery.experiments.types import Design, Setup
from serinus.delivery.types import Deployment
from serinus.registry import repository as versions
from serinus.wire import Answer, Event, Failure, Label, Prediction, Value

# An event carries a time shortly before it was written: a label may be read so much after another
# event of its time.
_GRACE_US = 10_000_000
_WRITER = 4
_OUTCOMES: dict[str, type[Label] | type[Value]] = {"label": Label, "value": Value}


@dataclass
class _Batch:
    """One experiment's events."""

    live: list[tuple[bytes, Prediction | Failure]] = field(default_factory=list)
    told: list[Label | Value] = field(default_factory=list)


def measure(
    connection: Connection,
    records: Sequence[tuple[bytes, Event]],
    live: Sequence[Deployment],
    now: datetime,
) -> list[str]:
    """Count a batch of events in every live experiment; see :class:`..consumer.Consumer`.

    Returns:
        The experiments that learnt something.
    """
    trials = [item for item in live if item.plan.experiment is not None]
    if not trials:
        return []
    batches = _sort(records, trials)
    through = read_through(records)
    return [
        deployment.id
        for deployment in trials
        if _measure(connection, deployment, batches[deployment.id], through, now)
    ]


def read_through(records: Sequence[tuple[bytes, Event]]) -> int:
    """Until when (epoch microseconds) everything was read that any gateway wrote.

    Of each gateway worker the last event is looked at; the one that is furthest behind decides. So
    after a pause of the controller no label is given up that only has not been read yet.
    """
    last: dict[bytes, int] = {}
    for identity, event in records:
        writer = identity[:_WRITER]
        last[writer] = max(last.get(writer, 0), event.at)
    return min(last.values(), default=0)


def _sort(
    records: Sequence[tuple[bytes, Event]], trials: Sequence[Deployment]
) -> dict[str, _Batch]:
    found: dict[str, _Batch] = defaultdict(_Batch)
    wanted = {item.id for item in trials}
    for identity, event in records:
        if not isinstance(event, Prediction | Failure | Label | Value):
            continue
        deployment = event.assignment.deployment
        if deployment not in wanted:
            continue
        if isinstance(event, Label | Value):
            found[deployment].told.append(event)
        else:
            found[deployment].live.append((identity, event))
    return found


def begin(connection: Connection, deployment: Deployment) -> State:
    """The state of an experiment before its first event."""
    design = designs.of(deployment)
    version = versions.find(connection, deployment.model, design.versions[0])
    if version is None:
        fixed, origin = Setup(deployment.plan.quality.task, deployment.plan.classes), None
    else:
        # A covariate that cannot be used was refused at the start; here it must hold up nobody.
        wrong = setup.faults(version.manifest, design.covariate)
        covariate = None if wrong else design.covariate
        fixed = setup.make(version.manifest, version.reference, covariate)
        origin = setup.origin(version.manifest, version.reference, fixed.covariate)
    return State(fixed, design.shares, {}, Sums(origin=origin))


def metric_of(design: Design, state: State) -> Metric:
    """What an experiment measures."""
    return metrics.parse(design.metric, state.setup.task, state.setup.classes)


def _measure(
    connection: Connection, deployment: Deployment, batch: _Batch, through: int, now: datetime
) -> bool:
    state = repository.load(connection, deployment.id)
    if state is None:
        state = begin(connection, deployment)
        repository.save(connection, deployment.id, state, now)
    if state.sums.closed_at:
        return False
    design = designs.of(deployment)
    metric = metric_of(design, state)
    steps = len(deployment.plan.steps)
    drawn = {
        identity: (event, draw)
        for identity, event in batch.live
        if event.assignment.step < steps and (draw := fold.draw_of(event, state.setup)) is not None
    }
    before = state.sums.encode()
    if metric.source == "latency":
        settled = [
            Settled(event.at, draw, event.latency_us / 1e3) for event, draw in drawn.values()
        ]
        settled.sort(key=lambda item: item.at)
        _count(connection, deployment, (design, metric, state), settled, through)
    else:
        asked = {identity: (event.at, draw) for identity, (event, draw) in drawn.items()}
        told = _told(batch.told, metric, design.window_seconds)
        if metric.source == "label":
            told |= _answerless(asked)
        repository.wait(connection, deployment.id, asked, told)
        given_up = through - round(design.window_seconds * 1e6) - _GRACE_US
        for page in repository.settled(connection, deployment.id, given_up):
            _count(connection, deployment, (design, metric, state), page, 0)
        waiting = repository.oldest(connection, deployment.id)
        until = min(through - _GRACE_US, through if waiting is None else waiting)
        _count(connection, deployment, (design, metric, state), [], until)
    counted = _keep(connection, deployment.id, state.sums, before, now)
    return counted or bool(batch.live or batch.told)


def _keep(
    connection: Connection, deployment: str, sums: Sums, before: bytes, now: datetime
) -> bool:
    """Write down what has changed, if anything has.

    After the end nothing more is needed of single requests.
    """
    if sums.closed_at:
        repository.forget(connection, deployment)
    changed = sums.encode() != before
    if changed:
        repository.save_sums(connection, deployment, sums, now)
    return changed


def _told(
    events: Sequence[Label | Value], metric: Metric, window: float
) -> dict[bytes, tuple[int, Answer]]:
    """By prediction, the first that came of it in time."""
    wanted = _OUTCOMES[metric.source]
    found: dict[bytes, tuple[int, Answer]] = {}
    for event in events:
        if isinstance(event, wanted) and event.at - event.predicted_at <= window * 1e6:
            found.setdefault(event.prediction, (event.predicted_at, event.value))
    return found


def _answerless(asked: dict[bytes, tuple[int, Draw]]) -> dict[bytes, tuple[int, Answer]]:
    """Requests that nobody answered: nobody can label them, so they wait for nothing."""
    return {identity: (at, False) for identity, (at, draw) in asked.items() if draw.answer is None}


def _count(
    connection: Connection,
    deployment: Deployment,
    counting: tuple[Design, Metric, State],
    settled: Sequence[Settled],
    through: int,
) -> None:
    design, metric, state = counting
    wanted = {item.draw.unit for item in settled if item.draw.unit}
    units = repository.units(connection, deployment.id, wanted)
    Folding(design, metric, state.sums, units).add(settled, through)
    repository.save_units(connection, deployment.id, units)
