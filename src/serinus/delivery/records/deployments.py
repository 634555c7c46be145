"""Deployments in the store. The only place that changes a phase, guarded twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    Row,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    type_coerce,
    update,
)
from sqlalchemy.exc import IntegrityError

from serinus.delivery import interventions
from serinus.delivery.reconcile import Decision
from serinus.delivery.records import evidence
from serinus.delivery.types import (
    LIVE,
    TRANSITIONS,
    Deployment,
    DeploymentSpec,
    LatencyScale,
    Outcome,
    Phase,
    Plan,
    QualityScale,
    Transition,
)
from serinus.errors import Conflict, NotFound
from serinus.registry import names
from serinus.store import schema
from serinus.store.chunks import chunks

_DEPLOYMENTS = schema.deployments
# Decoded here and not by the driver, for which one damaged row would be the end of the query.
COLUMNS = tuple(
    type_coerce(column, Text).label(column.name) if isinstance(column.type, JSON) else column
    for column in _DEPLOYMENTS.c
)
"""What to select for :func:`deployment_of`."""
_BLANK = Plan(
    steps=(),
    guardrails=(),
    quality=QualityScale("classification", 1.0, 0.0),
    latency=LatencyScale(0.0, 0.0, 1.0, 1.0),
    value=None,
    score_cuts=(),
    classes=(),
    same_within=0.0,
    promote_alpha=0.0,
    unit="request",
    salt="",
    label_window_seconds=0.0,
    label_coverage=0.0,
    load_seconds=0.0,
    soak_seconds=0.0,
    auto_promote=False,
    promotes=False,
    soak_mirror=0.0,
)
T = TypeVar("T")


def add(connection: Connection, deployment: Deployment) -> None:
    """Store a new deployment with the first row of its history.

    Raises:
        Conflict: another deployment of the same model is live.
        InvalidInput: who asks is told too long.
    """
    names.check_actor(deployment.requested_by)
    for other in live(connection, deployment.model):
        raise _second(deployment.model, f" ({other.id})", f": serinus deployments abort {other.id}")
    _forget_older(connection, deployment.model)
    values = msgspec.structs.asdict(deployment)
    del values["unreadable"]
    values["spec"] = msgspec.to_builtins(deployment.spec)
    values["plan"] = msgspec.to_builtins(deployment.plan)
    values["live_model"] = deployment.model if deployment.live else None
    try:
        connection.execute(insert(_DEPLOYMENTS).values(**values))
    except IntegrityError as error:
        # Somebody began it since the look above.
        raise _second(deployment.model, "", ": serinus deployments list names it") from error
    evidence.begin(connection, deployment)
    _note(connection, deployment, deployment.phase, deployment.requested_by)


def _forget_older(connection: Connection, model: str) -> None:
    """Drop what only a retry of the model's last deployment could need: nothing else is left.

    Evidence, of constant size, is kept for whoever looks back.
    """
    last = newest(connection, model)
    if last is None:
        return
    before = get(connection, last)
    for table in (schema.evidence_units, schema.awaiting, schema.experiment_units):
        connection.execute(delete(table).where(_of(table, before)))


def _of(table: Table, deployment: Deployment) -> ColumnElement[bool]:
    """Which rows of a table are of a deployment, or of one of its comparisons."""
    column = table.c.deployment
    if not deployment.unreadable:
        return column.in_(deployment.comparisons.values())
    # How many it compares is part of what cannot be read.
    return (column == deployment.id) | column.startswith(f"{deployment.id}+", autoescape=True)


def _second(model: str, which: str, how: str) -> Conflict:
    return Conflict(
        f"another deployment of {model} is live{which}",
        where=model,
        remedy=f"Wait for its end, or abort it first{how}.",
    )


def move(
    connection: Connection, deployment: Deployment, to: Decision, *, actor: str, at: datetime
) -> Deployment:
    """Carry out a decision; the history row is written in the same transaction, which is a turn.

    Otherwise a fold that still thinks it live would write down what is deleted at an end.

    Raises:
        Conflict: the transition is not legal, the deployment has moved in the meantime, it is
            unreadable and would go on, or (of a retry) another deployment of the model is live.
    """
    if to.phase not in TRANSITIONS[deployment.phase]:
        raise interventions.illegal(deployment, to.phase)
    if to.phase in LIVE:
        interventions.check_readable(deployment)
    names.check_actor(actor)
    ended = to.phase not in LIVE
    moved = msgspec.structs.replace(
        deployment,
        phase=to.phase,
        step=to.step,
        verdict=to.verdict,
        reason=to.reason,
        step_entered_at=at,
        updated_at=at,
        ended_at=at if ended else None,
    )
    if not (ended or deployment.live):
        for other in live(connection, deployment.model):
            raise _second(deployment.model, f" ({other.id})", "")
    changed = connection.execute(
        update(_DEPLOYMENTS)
        .where(
            _DEPLOYMENTS.c.id == deployment.id,
            _DEPLOYMENTS.c.phase == deployment.phase,
            _DEPLOYMENTS.c.step == deployment.step,
        )
        .values(
            phase=moved.phase,
            step=moved.step,
            verdict=moved.verdict,
            reason=moved.reason,
            step_entered_at=at,
            updated_at=at,
            ended_at=moved.ended_at,
            live_model=None if ended else deployment.model,
        )
    )
    if changed.rowcount != 1:
        raise Conflict(
            "the deployment was changed by somebody else at the same moment",
            where=deployment.id,
            remedy="Look at its status and try again if that is still needed.",
        )
    _note(connection, moved, deployment.phase, actor)
    if ended:
        # Its entities stay known, so that a retry counts none of them twice.
        connection.execute(delete(schema.awaiting).where(_of(schema.awaiting, deployment)))
    return moved


def phases(connection: Connection, deployment_id: str) -> list[tuple[int, Phase]]:
    """After which folds a deployment entered which phases."""
    table = schema.deployment_history
    rows = connection.execute(
        select(table.c.fold, table.c.to_phase)
        .where(table.c.deployment == deployment_id)
        .order_by(table.c.id)
    )
    return [(row.fold, Phase(row.to_phase)) for row in rows]


def get(connection: Connection, deployment_id: str) -> Deployment:
    """One deployment.

    Raises:
        NotFound: there is none of this id.
    """
    row = connection.execute(select(*COLUMNS).where(_DEPLOYMENTS.c.id == deployment_id)).first()
    if row is None:
        raise NotFound(
            f"there is no deployment {deployment_id!r}",
            remedy="`serinus deployments list` names them.",
        )
    return deployment_of(row)


def live(connection: Connection, model: str | None = None) -> list[Deployment]:
    """The live deployments, oldest first; of one model at most one."""
    held = _DEPLOYMENTS.c.live_model
    query = select(*COLUMNS).where(held.is_not(None) if model is None else held == model)
    rows = connection.execute(query.order_by(_DEPLOYMENTS.c.created_at))
    return [deployment_of(row) for row in rows]


def live_models(connection: Connection) -> set[str]:
    """The models that have a live deployment; nothing else of these is read."""
    held = _DEPLOYMENTS.c.live_model
    return set(connection.execute(select(held).where(held.is_not(None))).scalars())


def some(connection: Connection, ids: Sequence[str]) -> Iterator[Deployment]:
    """The deployments of these ids, in no order."""
    for chunk in chunks(ids):
        rows = connection.execute(select(*COLUMNS).where(_DEPLOYMENTS.c.id.in_(chunk)))
        yield from (deployment_of(row) for row in rows)


def newest(connection: Connection, model: str) -> str | None:
    """The id of the model's newest deployment: the one that moved last, whatever the clock said.

    An older one moves no more once another has begun.
    """
    moves = schema.deployment_history
    query = (
        select(moves.c.deployment)
        .join_from(moves, _DEPLOYMENTS, _DEPLOYMENTS.c.id == moves.c.deployment)
        .where(_DEPLOYMENTS.c.model == model)
        .order_by(moves.c.id.desc())
        .limit(1)
    )
    return connection.execute(query).scalar()


def listing(
    connection: Connection, model: str | None, limit: int, after: str | None
) -> list[Deployment]:
    """A page of deployments, newest first; ids sort by creation."""
    query = select(*COLUMNS).order_by(_DEPLOYMENTS.c.id.desc()).limit(limit)
    if model is not None:
        query = query.where(_DEPLOYMENTS.c.model == model)
    if after is not None:
        query = query.where(_DEPLOYMENTS.c.id < after)
    return [deployment_of(row) for row in connection.execute(query)]


def history(connection: Connection, deployment_id: str) -> list[Transition]:
    """Every transition of a deployment, oldest first."""
    table = schema.deployment_history
    rows = connection.execute(
        select(table).where(table.c.deployment == deployment_id).order_by(table.c.id)
    )
    return [transition_of(row) for row in rows]


def _note(connection: Connection, moved: Deployment, from_phase: Phase, actor: str) -> None:
    connection.execute(
        insert(schema.deployment_history).values(
            deployment=moved.id,
            from_phase=from_phase,
            to_phase=moved.phase,
            step=moved.step,
            at=moved.updated_at,
            actor=actor,
            verdict=moved.verdict,
            reason=moved.reason,
            fold=func.coalesce(
                select(func.max(schema.evidence.c.fold))
                .where(schema.evidence.c.deployment.in_(moved.comparisons.values()))
                .scalar_subquery(),
                0,
            ),
        )
    )


def transition_of(row: Row[Any]) -> Transition:
    """The transition in a row of the history."""
    return Transition(
        Phase(row.from_phase),
        Phase(row.to_phase),
        row.step,
        row.at,
        row.actor,
        Outcome(row.verdict),
        row.reason,
    )


def deployment_of(row: Row[Any]) -> Deployment:
    """The deployment in a row of :data:`COLUMNS`.

    One whose plan or specification is damaged stops nobody who reads many: it says so.
    """
    values = dict(row._mapping)
    del values["live_model"]
    try:
        values["spec"] = _decoded(values["spec"], DeploymentSpec)
        values["plan"] = _decoded(values["plan"], Plan)
    except msgspec.MsgspecError as error:
        asked = {"model": row.model, "challenger": row.challenger, "champion": row.champion}
        values |= {
            "spec": DeploymentSpec(**asked),
            "plan": _BLANK,
            "unreadable": str(error),
            "reason": f"What is stored of it cannot be read ({error}): it stands still, and its "
            f"challenger gets no request. End it: serinus deployments abort {row.id}.",
        }
    values["phase"] = Phase(values["phase"])
    values["verdict"] = Outcome(values["verdict"])
    return Deployment(**values)


def _decoded(stored: Any, kind: type[T]) -> T:
    """A document: SQLite keeps its text, PostgreSQL's driver has read it already."""
    if isinstance(stored, str):
        return msgspec.json.decode(stored, type=kind)
    return msgspec.convert(stored, kind)
