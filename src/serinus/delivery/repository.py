"""Deployments in the store. The only place that changes a phase, guarded twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import exp
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, func, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

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
from serinus.store.engine import exclusive

_DEPLOYMENTS = schema.deployments
FOLD_LOCK = 5376
"""Held while evidence is folded, and while a deployment ends."""
_LIVE = tuple(sorted(LIVE))
# A status is asked for every second, and a long label window keeps millions of requests.
_MOST_WAITING = 50_000


@dataclass(frozen=True)
class Look:
    """One recorded verdict: when, at which step, and after which fold of the evidence."""

    at: datetime
    step: int
    fold: int
    verdict: Verdict


def add(connection: Connection, deployment: Deployment) -> None:
    """Store a new deployment with the first row of its history.

    Raises:
        Conflict: another deployment of the same model is live.
    """
    for other in live(connection, deployment.model):
        raise _second(deployment.model, f" ({other.id})", f": serinus deployments abort {other.id}")
    values = msgspec.structs.asdict(deployment)
    values["spec"] = msgspec.to_builtins(deployment.spec)
    values["plan"] = msgspec.to_builtins(deployment.plan)
    values["live_model"] = deployment.model
    try:
        connection.execute(insert(_DEPLOYMENTS).values(**values))
    except IntegrityError as error:
        # Somebody began it since the look above.
        raise _second(deployment.model, "", ": serinus deployments list names it") from error
    connection.execute(
        insert(schema.evidence).values(
            deployment=deployment.id, summary=ev.EMPTY.encode(), updated_at=deployment.created_at
        )
    )
    _note(connection, deployment, deployment.phase, deployment.requested_by)


def _second(model: str, which: str, how: str) -> Conflict:
    return Conflict(
        f"another deployment of {model} is live{which}",
        where=model,
        remedy=f"Wait for its end, or abort it first{how}.",
    )


def move(
    connection: Connection, deployment: Deployment, to: Decision, *, actor: str, at: datetime
) -> Deployment:
    """Carry out a decision; the history row is written in the same transaction.

    Raises:
        Conflict: the transition is not legal, or the deployment has moved in the meantime.
    """
    if to.phase not in TRANSITIONS[deployment.phase]:
        raise Conflict(
            f"a deployment that is {deployment.phase} cannot become {to.phase}",
            where=deployment.id,
            remedy=f"It ended at {deployment.ended_at:%F %T} UTC; create a new one."
            if deployment.ended_at
            else "Look at its status for what is possible now.",
        )
    ended = to.phase not in LIVE
    if ended:
        # A fold that still thinks it live would write down what is deleted below.
        exclusive(connection, FOLD_LOCK)
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
            **({"live_model": None} if ended else {}),
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
        awaiting, units = schema.awaiting, schema.evidence_units
        connection.execute(delete(awaiting).where(awaiting.c.deployment == deployment.id))
        connection.execute(delete(units).where(units.c.deployment == deployment.id))
    return moved


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
    return _deployment(row)


def live(connection: Connection, model: str | None = None) -> list[Deployment]:
    """The live deployments, oldest first; of one model at most one."""
    query = select(_DEPLOYMENTS).where(_DEPLOYMENTS.c.phase.in_(_LIVE))
    if model is not None:
        query = query.where(_DEPLOYMENTS.c.model == model)
    rows = connection.execute(query.order_by(_DEPLOYMENTS.c.created_at))
    return [_deployment(row) for row in rows]


def listing(
    connection: Connection, model: str | None, limit: int, after: str | None
) -> list[Deployment]:
    """A page of deployments, newest first; ids sort by creation."""
    query = select(_DEPLOYMENTS).order_by(_DEPLOYMENTS.c.id.desc()).limit(limit)
    if model is not None:
        query = query.where(_DEPLOYMENTS.c.model == model)
    if after is not None:
        query = query.where(_DEPLOYMENTS.c.id < after)
    return [_deployment(row) for row in connection.execute(query)]


def history(connection: Connection, deployment_id: str) -> list[Transition]:
    """Every transition of a deployment, oldest first."""
    table = schema.deployment_history
    rows = connection.execute(
        select(table).where(table.c.deployment == deployment_id).order_by(table.c.id)
    )
    return [
        Transition(
            Phase(row.from_phase),
            Phase(row.to_phase),
            row.step,
            row.at,
            row.actor,
            Outcome(row.verdict),
            row.reason,
        )
        for row in rows
    ]


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


def watch(connection: Connection, deployment_id: str) -> Watch:
    """The champion's latencies of late, as a deployment has seen them."""
    table = schema.evidence
    row = connection.execute(
        select(table.c.watch).where(table.c.deployment == deployment_id)
    ).first()
    return watches.decode(row.watch or b"") if row else watches.UNSEEN


def add_evidence(
    connection: Connection,
    deployment_id: str,
    more: Evidence,
    latencies: Watch,
    at: datetime,
) -> Evidence:
    """Add to a deployment's evidence within the transaction that also saves the offsets."""
    total = evidence(connection, deployment_id) + more
    table = schema.evidence
    connection.execute(
        update(table)
        .where(table.c.deployment == deployment_id)
        .values(summary=total.encode(), watch=latencies.encode(), updated_at=at)
    )
    return total


def folded(connection: Connection, deployment_id: str) -> int:
    """The number of the last batch that changed a deployment's evidence; 0 before the first."""
    table = schema.evidence
    query = select(table.c.fold).where(table.c.deployment == deployment_id)
    return connection.execute(query).scalar() or 0


def record_verdict(
    connection: Connection, deployment: Deployment, verdict: Verdict, fold: int, at: datetime
) -> None:
    """Keep one look at the evidence as it stood after ``fold``, for the curve and the replay."""
    connection.execute(
        insert(schema.verdicts).values(
            deployment=deployment.id,
            step=deployment.step,
            at=at,
            verdict=verdict.outcome,
            reason=verdict.reason,
            requests=verdict.requests,
            guardrails=msgspec.to_builtins(verdict.guardrails),
            fold=fold,
        )
    )


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
    return [(row.at, row.step, _verdict(row)) for row in reversed(rows)]


def looks(connection: Connection, deployment_id: str) -> list[Look]:
    """Every recorded look, oldest first."""
    table = schema.verdicts
    rows = connection.execute(
        select(table).where(table.c.deployment == deployment_id).order_by(table.c.id)
    )
    return [Look(row.at, row.step, row.fold, _verdict(row)) for row in rows]


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
        )
    )


def _verdict(row: Row[Any]) -> Verdict:
    guardrails = msgspec.convert(row.guardrails, tuple[Assessment, ...])
    spent = sum(exp(-item.harm_bound) for item in guardrails)
    return Verdict(Outcome(row.verdict), row.reason, row.requests, spent, guardrails)


def _deployment(row: Row[Any]) -> Deployment:
    values = dict(row._mapping)
    del values["live_model"]
    values["spec"] = msgspec.convert(values["spec"], DeploymentSpec)
    values["plan"] = msgspec.convert(values["plan"], Plan)
    values["phase"] = Phase(values["phase"])
    values["verdict"] = Outcome(values["verdict"])
    return Deployment(**values)
