"""Deployments in the store. The only place that changes a phase, guarded twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from serinus.delivery import interventions
from serinus.delivery.reconcile import Decision, WorkerView
from serinus.delivery.types import (
    LIVE,
    TRANSITIONS,
    Assessment,
    Deployment,
    DeploymentSpec,
    Outcome,
    Phase,
    Plan,
    Transition,
    Verdict,
)
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts import watch as watches
from serinus.delivery.verdicts.evidence import Evidence
from serinus.delivery.verdicts.watch import Watch
from serinus.errors import Conflict, NotFound
from serinus.store import schema

_DEPLOYMENTS = schema.deployments
# A status is asked for every second, and a long label window keeps millions of requests.
_MOST_WAITING = 50_000
_CHUNK = 500


@dataclass(frozen=True)
class Look:
    """One recorded verdict: when, at which step, after which fold, and on whom.

    ``challenger`` is empty where it was not yet kept.
    """

    at: datetime
    step: int
    fold: int
    verdict: Verdict
    challenger: str = ""


def add(connection: Connection, deployment: Deployment) -> None:
    """Store a new deployment with the first row of its history.

    Raises:
        Conflict: another deployment of the same model is live.
    """
    for other in live(connection, deployment.model):
        raise _second(deployment.model, f" ({other.id})", f": serinus deployments abort {other.id}")
    _forget_older(connection, deployment.model)
    values = msgspec.structs.asdict(deployment)
    values["spec"] = msgspec.to_builtins(deployment.spec)
    values["plan"] = msgspec.to_builtins(deployment.plan)
    values["live_model"] = deployment.model if deployment.live else None
    try:
        connection.execute(insert(_DEPLOYMENTS).values(**values))
    except IntegrityError as error:
        # Somebody began it since the look above.
        raise _second(deployment.model, "", ": serinus deployments list names it") from error
    begin_evidence(connection, deployment)
    _note(connection, deployment, deployment.phase, deployment.requested_by)


def begin_evidence(connection: Connection, deployment: Deployment) -> None:
    """Make room for the evidence of a deployment, of an experiment for that of each challenger."""
    at, empty = deployment.created_at, ev.EMPTY.encode()
    rows = [
        {"deployment": identity, "summary": empty, "updated_at": at}
        for identity in deployment.comparisons.values()
    ]
    connection.execute(insert(schema.evidence), rows)


def _forget_older(connection: Connection, model: str) -> None:
    """Drop what only a retry of the model's last deployment could need: nothing else is left.

    Evidence, of constant size, is kept for whoever looks back.
    """
    last = newest(connection, model)
    if last is None:
        return
    names = get(connection, last).comparisons.values()
    for table in (schema.evidence_units, schema.awaiting, schema.experiment_units):
        connection.execute(delete(table).where(table.c.deployment.in_(names)))


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
        Conflict: the transition is not legal, the deployment has moved in the meantime, or (of a
            retry) another deployment of the model is live.
    """
    if to.phase not in TRANSITIONS[deployment.phase]:
        raise interventions.illegal(deployment, to.phase)
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
        forget_waiting(connection, deployment)
    return moved


def forget_waiting(connection: Connection, deployment: Deployment) -> None:
    """Wait no longer for what may come of a deployment's requests: it ended.

    Its entities stay known, so that a retry counts none of them twice.
    """
    awaiting, names = schema.awaiting, deployment.comparisons.values()
    connection.execute(delete(awaiting).where(awaiting.c.deployment.in_(names)))


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
    row = connection.execute(select(_DEPLOYMENTS).where(_DEPLOYMENTS.c.id == deployment_id)).first()
    if row is None:
        raise NotFound(
            f"there is no deployment {deployment_id!r}",
            remedy="`serinus deployments list` names them.",
        )
    return deployment_of(row)


def live(connection: Connection, model: str | None = None) -> list[Deployment]:
    """The live deployments, oldest first; of one model at most one."""
    held = _DEPLOYMENTS.c.live_model
    query = select(_DEPLOYMENTS).where(held.is_not(None) if model is None else held == model)
    rows = connection.execute(query.order_by(_DEPLOYMENTS.c.created_at))
    return [deployment_of(row) for row in rows]


def some(connection: Connection, ids: Sequence[str]) -> Iterator[Deployment]:
    """The deployments of these ids, in no order."""
    for chunk in _chunks(ids):
        rows = connection.execute(select(_DEPLOYMENTS).where(_DEPLOYMENTS.c.id.in_(chunk)))
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
    query = select(_DEPLOYMENTS).order_by(_DEPLOYMENTS.c.id.desc()).limit(limit)
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


def evidence(connection: Connection, deployment_id: str) -> Evidence:
    """The evidence of a deployment so far."""
    table = schema.evidence
    row = connection.execute(
        select(table.c.summary).where(table.c.deployment == deployment_id)
    ).first()
    return ev.EMPTY if row is None else ev.decode(row.summary)


def delayed_labels(connection: Connection, deployment_id: str) -> tuple[int, int | None]:
    """Labels that came and do not count yet, as an earlier request still waits for its own.

    Returns:
        How many such labels there are (looked for behind the oldest open request, among no more
        than 50,000 requests), and when that request was predicted (microseconds since 1970); None
        if none waits.
    """
    table = schema.awaiting
    here = (table.c.deployment == deployment_id) & (table.c.kind == "label")
    asked = here & (table.c.facts != b"")
    order = (table.c.predicted_at, table.c.prediction)
    oldest = connection.execute(
        select(*order).where(asked, table.c.outcome.is_(None)).order_by(*order).limit(1)
    ).first()
    if oldest is None:
        return 0, None
    behind = (
        select(table.c.outcome)
        .where(
            asked,
            # Said twice, because only this one finds its rows by the index.
            table.c.predicted_at >= oldest.predicted_at,
            tuple_(*order) > tuple_(oldest.predicted_at, oldest.prediction),
        )
        .order_by(*order)
        .limit(_MOST_WAITING)
        .subquery()
    )
    number = connection.execute(select(func.count(behind.c.outcome))).scalar_one()
    return number, oldest.predicted_at if number else None


def evidences(connection: Connection, ids: Sequence[str]) -> dict[str, Evidence]:
    """The evidence of many deployments so far."""
    table = schema.evidence
    found = dict.fromkeys(ids, ev.EMPTY)
    for chunk in _chunks(ids):
        query = select(table.c.deployment, table.c.summary).where(table.c.deployment.in_(chunk))
        found.update((row.deployment, ev.decode(row.summary)) for row in connection.execute(query))
    return found


def watches_of(connection: Connection, ids: Sequence[str]) -> dict[str, Watch]:
    """The champions' latencies of late, as each deployment has seen them."""
    table = schema.evidence
    found = dict.fromkeys(ids, watches.UNSEEN)
    for chunk in _chunks(ids):
        query = select(table.c.deployment, table.c.watch).where(
            table.c.deployment.in_(chunk), table.c.watch.is_not(None)
        )
        rows = connection.execute(query)
        found.update((row.deployment, watches.decode(row.watch)) for row in rows)
    return found


def add_evidence(
    connection: Connection, added: Sequence[tuple[str, Evidence, Watch]], at: datetime
) -> None:
    """Add to deployments' evidence within the transaction that also saves the offsets."""
    if not added:
        return
    table = schema.evidence
    before = evidences(connection, [identity for identity, more, _ in added if more.tables])
    rows = []
    for identity, more, latencies in added:
        row = {"identity": identity, "watched": latencies.encode(), "at": at}
        if more.tables:
            row["total"] = (before[identity] + more).encode()
        rows.append(row)
    here = table.c.deployment == bindparam("identity")
    changes: dict[str, Any] = {"watch": bindparam("watched"), "updated_at": bindparam("at")}
    grown = [row for row in rows if "total" in row]
    if grown:
        connection.execute(
            update(table).where(here).values(summary=bindparam("total"), **changes), grown
        )
    watched = [row for row in rows if "total" not in row]
    if watched:
        connection.execute(update(table).where(here).values(**changes), watched)


def folded(connection: Connection, deployment_id: str) -> int:
    """The number of the last batch that changed a deployment's evidence; 0 before the first."""
    table = schema.evidence
    query = select(table.c.fold).where(table.c.deployment == deployment_id)
    return connection.execute(query).scalar() or 0


def record_verdicts(
    connection: Connection, seen: Sequence[tuple[Deployment, Verdict, int]], at: datetime
) -> None:
    """Keep looks at the evidence as it stood after a fold, for the curves and the replays.

    Args:
        connection: the transaction.
        seen: deployment, verdict and fold of each look.
        at: when they were made.
    """
    rows = [
        {
            "deployment": deployment.id,
            "step": deployment.step,
            "at": at,
            "verdict": verdict.outcome,
            "reason": verdict.reason,
            "requests": verdict.requests,
            "guardrails": msgspec.to_builtins(verdict.guardrails),
            "fold": fold,
            "challenger": deployment.challenger,
        }
        for deployment, verdict, fold in seen
    ]
    if rows:
        connection.execute(insert(schema.verdicts), rows)


def verdicts(
    connection: Connection, deployment_id: str, limit: int
) -> list[tuple[datetime, int, Verdict]]:
    """The newest recorded looks with their time and step, oldest first."""
    table = schema.verdicts
    rows = connection.execute(
        select(table)
        .where(table.c.deployment == deployment_id)
        .order_by(table.c.id.desc())
        .limit(limit)
    ).all()
    return [(row.at, row.step, verdict_of(row)) for row in reversed(rows)]


def looks(connection: Connection, *ids: str) -> list[Look]:
    """Every recorded look of these deployments or comparisons, oldest first."""
    table = schema.verdicts
    rows = connection.execute(select(table).where(table.c.deployment.in_(ids)).order_by(table.c.id))
    return [Look(row.at, row.step, row.fold, verdict_of(row), row.challenger or "") for row in rows]


def workers(connection: Connection, now: datetime, within: float) -> tuple[WorkerView, ...]:
    """The gateway workers that reported in the last ``within`` seconds."""
    table = schema.gateway_workers
    rows = connection.execute(
        select(table).where(table.c.at >= now - timedelta(seconds=within)).order_by(table.c.worker)
    )
    return tuple(
        WorkerView(
            row.worker, row.revision, tuple(row.ready), dict(row.failed), dict(row.circuits or {})
        )
        for row in rows
    )


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


def verdict_of(row: Row[Any]) -> Verdict:
    """The verdict in a row of the recorded looks."""
    guardrails = msgspec.convert(row.guardrails, tuple[Assessment, ...])
    spent = sum(exp(-item.harm_bound) for item in guardrails)
    return Verdict(Outcome(row.verdict), row.reason, row.requests, spent, guardrails)


def deployment_of(row: Row[Any]) -> Deployment:
    """The deployment in a row of its table."""
    values = dict(row._mapping)
    del values["live_model"]
    values["spec"] = msgspec.convert(values["spec"], DeploymentSpec)
    values["plan"] = msgspec.convert(values["plan"], Plan)
    values["phase"] = Phase(values["phase"])
    values["verdict"] = Outcome(values["verdict"])
    return Deployment(**values)


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
