"""Rollbacks and defaults in the store. The only place that changes a rollback's state."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from serinus import clock
from serinus.delivery.reconcile import Decision
from serinus.delivery.records import looks
from serinus.delivery.rollback import plan as plans
from serinus.delivery.rollback.types import (
    OPEN,
    TRANSITIONS,
    Cause,
    DefaultAnswer,
    Finding,
    Moment,
    Rollback,
    RollbackPlan,
    Seen,
    State,
)
from serinus.delivery.routing import Default
from serinus.delivery.types import Deployment, Phase
from serinus.errors import Conflict, NotFound
from serinus.registry import model_types, names
from serinus.registry.model_types import ModelType, RollbackCriteria
from serinus.store import schema

_ROLLBACKS = schema.rollbacks
_DEFAULTS = schema.defaults
_DEPLOYMENTS = schema.deployments
_ROUTED = (State.ROUTED, State.VERIFYING)


class Routed(NamedTuple):
    """What the ledger's reader must know of a rollback that is under way."""

    id: str
    to: str
    revision: int
    routed_us: int


def begin(
    connection: Connection,
    deployment: Deployment,
    decision: Decision,
    held_to: RollbackCriteria,
    *,
    actor: str,
    at: datetime,
) -> Rollback | None:
    """Record that a deployment was taken back, in the transaction that did it.

    Its revision is not known before all that moves together has moved; see :func:`stamp`.

    Args:
        connection: that transaction.
        deployment: as it was before.
        decision: the one that took it back.
        held_to: how well the model must be again, and how soon.
        actor: who decided.
        at: when.

    Returns:
        None if it had no champion to go back to, or if the rollback that ended it has a record.
    """
    present = find_open(connection, deployment.model)
    if deployment.champion is None or (present and present.deployment == deployment.id):
        return None
    if present is not None:
        give_up(connection, present, at, f"{deployment.id} was taken back meanwhile.")
    cause = _cause(connection, deployment, actor)
    made = Rollback(
        id=new_id(at),
        model=deployment.model,
        taken_back=deployment.challenger,
        to=deployment.champion,
        deployment=deployment.id,
        cause=cause,
        actor=actor,
        reason=decision.reason,
        state=State.ROUTED,
        plan=plans.automatic(deployment, held_to),
        criteria=held_to,
        sound_until=deployment.created_at,
        steps=(Moment(State.ROUTED, at, actor, decision.reason),),
        findings=(),
        seen=Seen(),
        revision=0,
        started_at=at,
        routed_at=at,
    )
    add(connection, made)
    return made


def stamp(connection: Connection, revision: int) -> None:
    """Give what was routed in this transaction the revision that does it."""
    connection.execute(
        update(_ROLLBACKS)
        .where(
            _ROLLBACKS.c.open_model.is_not(None),
            _ROLLBACKS.c.state == State.ROUTED,
            _ROLLBACKS.c.revision == 0,
        )
        .values(revision=revision)
    )


def criteria(
    connection: Connection, types: Mapping[str, ModelType], model: str
) -> RollbackCriteria:
    """How well a model must be after a rollback, by its type."""
    table = schema.models
    row = connection.execute(
        select(table.c.model_type, table.c.task).where(table.c.name == model)
    ).first()
    if row is None or row.task not in types:
        return RollbackCriteria()
    return model_types.type_of(types, row.model_type, row.task).rollback


def _cause(connection: Connection, deployment: Deployment, actor: str) -> Cause:
    if deployment.phase is Phase.PENDING:
        return "load" if actor == "controller" else "by hand"
    last = looks.newest(connection, deployment.id, 1)
    harms = [item.kind for item in last[-1][2].guardrails if item.state == "harm"] if last else []
    return plans.CAUSES.get(harms[0], "by hand") if harms else "by hand"


def new_id(at: datetime) -> str:
    """An id that sorts by time."""
    return f"{at:%Y%m%d-%H%M%S-%f}-{secrets.token_hex(2)}"


def add(connection: Connection, rollback: Rollback) -> None:
    """Store a new one.

    Raises:
        Conflict: another one of the same model is open.
    """
    names.check_actor(rollback.actor)
    values = {
        name: msgspec.to_builtins(value) if name in _DOCUMENTS else value
        for name, value in msgspec.structs.asdict(rollback).items()
    }
    values["open_model"] = rollback.model if rollback.open else None
    try:
        connection.execute(insert(_ROLLBACKS).values(**values))
    except IntegrityError as error:
        raise Conflict(
            f"another rollback of {rollback.model} is under way",
            where=rollback.model,
            remedy="Look at it: serinus rollbacks list.",
        ) from error


def move(
    connection: Connection,
    rollback: Rollback,
    to: State,
    *,
    actor: str,
    at: datetime,
    reason: str,
    **changes: Any,
) -> Rollback:
    """Carry out a transition; its row of the history is part of it.

    ``changes`` are other fields that change with it.

    Raises:
        Conflict: the transition is not legal, or somebody else was faster.
    """
    if to not in TRANSITIONS[rollback.state]:
        raise Conflict(
            f"a rollback that is {rollback.state} cannot become {to}",
            where=rollback.id,
            remedy="Look at it: serinus rollbacks show.",
        )
    ended = None if to in OPEN else at
    moved = msgspec.structs.replace(
        rollback,
        state=to,
        steps=(*rollback.steps, Moment(to, at, actor, reason)),
        ended_at=ended,
        **changes,
    )
    written = {name: getattr(moved, name) for name in ("state", "ended_at", *changes)}
    written |= {
        name: msgspec.to_builtins(getattr(moved, name))
        for name in ("steps", *changes)
        if name in _DOCUMENTS
    }
    if ended is not None:
        written["open_model"] = None
    changed = connection.execute(
        update(_ROLLBACKS)
        .where(_ROLLBACKS.c.id == rollback.id, _ROLLBACKS.c.state == rollback.state)
        .values(**written)
    )
    if changed.rowcount != 1:
        raise Conflict(
            "the rollback was changed by somebody else at the same moment",
            where=rollback.id,
            remedy="Look at it and ask again if that is still needed.",
        )
    return moved


def give_up(connection: Connection, rollback: Rollback, at: datetime, why: str) -> None:
    """End an open one before it is done: what has been routed stays so, the rest never happens."""
    routed = rollback.state in _ROUTED
    to = State.UNVERIFIED if routed else State.FAILED
    move(connection, rollback, to, actor="controller", at=at, reason=why)


def write_findings(connection: Connection, rollback: Rollback, found: Sequence[Finding]) -> None:
    """Keep what a verification that goes on has found so far."""
    connection.execute(
        update(_ROLLBACKS)
        .where(_ROLLBACKS.c.id == rollback.id, _ROLLBACKS.c.state == rollback.state)
        .values(findings=msgspec.to_builtins(found))
    )


def note_seen(
    connection: Connection, watched: Mapping[str, Routed], more: Mapping[str, Seen]
) -> None:
    """Add to what the ledger told of rollbacks that are under way, by model."""
    for model, seen in more.items():
        if seen == Seen():
            continue
        here = _ROLLBACKS.c.id == watched[model].id
        known = connection.execute(select(_ROLLBACKS.c.seen).where(here)).scalar_one()
        before = msgspec.convert(known, Seen)
        both = Seen(
            before.target + seen.target,
            before.astray + seen.astray,
            max(before.last_other_at, seen.last_other_at),
        )
        connection.execute(update(_ROLLBACKS).where(here).values(seen=msgspec.to_builtins(both)))


def remark(connection: Connection, deployment: str, words: str) -> None:
    """Add to the reason that a deployment which has ended gives."""
    here = _DEPLOYMENTS.c.id == deployment
    reason = connection.execute(select(_DEPLOYMENTS.c.reason).where(here)).scalar()
    if reason is not None and words not in reason:
        connection.execute(update(_DEPLOYMENTS).where(here).values(reason=f"{words} {reason}"))


# ------------------------------------------------------------------ looking


def get(connection: Connection, rollback_id: str) -> Rollback:
    """One rollback.

    Raises:
        NotFound: there is none of this id.
    """
    row = connection.execute(select(_ROLLBACKS).where(_ROLLBACKS.c.id == rollback_id)).first()
    if row is None:
        raise NotFound(
            f"there is no rollback {rollback_id!r}", remedy="`serinus rollbacks list` names them."
        )
    return _rollback(row)


def find_open(connection: Connection, model: str) -> Rollback | None:
    """The rollback of a model that is under way, if one is."""
    row = connection.execute(select(_ROLLBACKS).where(_ROLLBACKS.c.open_model == model)).first()
    return None if row is None else _rollback(row)


def newest(connection: Connection, model: str) -> Rollback | None:
    """The rollback of a model that was asked for last, if there was any."""
    mine = select(_ROLLBACKS).where(_ROLLBACKS.c.model == model)
    row = connection.execute(mine.order_by(_ROLLBACKS.c.id.desc()).limit(1)).first()
    return None if row is None else _rollback(row)


def open_ones(connection: Connection) -> list[Rollback]:
    """All that are under way."""
    query = select(_ROLLBACKS).where(_ROLLBACKS.c.open_model.is_not(None))
    return [_rollback(row) for row in connection.execute(query.order_by(_ROLLBACKS.c.id))]


def listing(
    connection: Connection, model: str | None, limit: int, after: str | None
) -> list[Rollback]:
    """A page, newest first; ids sort by creation."""
    query = select(_ROLLBACKS).order_by(_ROLLBACKS.c.id.desc()).limit(limit)
    if model is not None:
        query = query.where(_ROLLBACKS.c.model == model)
    if after is not None:
        query = query.where(_ROLLBACKS.c.id < after)
    return [_rollback(row) for row in connection.execute(query)]


def of_deployment(connection: Connection, deployment: str) -> Rollback | None:
    """The newest rollback that ended a deployment."""
    query = select(_ROLLBACKS).where(_ROLLBACKS.c.deployment == deployment)
    row = connection.execute(query.order_by(_ROLLBACKS.c.id.desc()).limit(1)).first()
    return None if row is None else _rollback(row)


def routed(connection: Connection) -> dict[str, Routed]:
    """Those whose answers are counted, by model."""
    table = _ROLLBACKS
    rows = connection.execute(
        select(table.c.model, table.c.id, table.c.to, table.c.revision, table.c.routed_at).where(
            table.c.open_model.is_not(None), table.c.state.in_(_ROUTED)
        )
    )
    return {
        row.model: Routed(row.id, row.to, row.revision, clock.to_epoch_us(row.routed_at))
        for row in rows
    }


def taken_back(connection: Connection, model: str) -> list[tuple[str, datetime]]:
    """The versions that a model's rollbacks took back, with the time each was routed."""
    table = _ROLLBACKS
    rows = connection.execute(
        select(table.c.taken_back, table.c.routed_at)
        .where(table.c.model == model, table.c.routed_at.is_not(None))
        .order_by(table.c.id)
    )
    return [(row.taken_back, row.routed_at) for row in rows]


def warming(connection: Connection) -> dict[str, str]:
    """By model, the version that workers are to load for a rollback."""
    table = _ROLLBACKS
    rows = connection.execute(
        select(table.c.open_model, table.c.to).where(
            table.c.open_model.is_not(None), table.c.state == State.WARMING
        )
    )
    return {row.open_model: row.to for row in rows}


# ------------------------------------------------------------------ defaults


def defaults(connection: Connection) -> list[DefaultAnswer]:
    """What models answer where none of their versions can."""
    rows = connection.execute(select(_DEFAULTS).order_by(_DEFAULTS.c.model))
    return [DefaultAnswer(**row._mapping) for row in rows]


def default(connection: Connection, model: str) -> DefaultAnswer | None:
    """A model's; None if it has none."""
    row = connection.execute(select(_DEFAULTS).where(_DEFAULTS.c.model == model)).first()
    return None if row is None else DefaultAnswer(**row._mapping)


def routed_defaults(connection: Connection) -> dict[str, Default]:
    """The same by model, as routes have them."""
    now = clock.now()
    return {
        item.model: Default(
            item.answer,
            clock.to_epoch_us(item.alone_until)
            if item.alone_until is not None and item.alone_until > now
            else 0,
        )
        for item in defaults(connection)
    }


def asked_since(connection: Connection) -> dict[str, datetime]:
    """By model, until when its default answers alone, or did by the last time that ran out."""
    table = _DEFAULTS.c
    query = select(table.model, table.alone_until).where(table.alone_until.is_not(None))
    return {row.model: row.alone_until for row in connection.execute(query)}


def set_default(connection: Connection, default: DefaultAnswer) -> None:
    """Set or replace a model's."""
    names.check_actor(default.actor)
    clear_default(connection, default.model)
    connection.execute(insert(_DEFAULTS).values(**msgspec.structs.asdict(default)))


def ask_again(connection: Connection, model: str, before: DefaultAnswer) -> None:
    """Let what the model's versions are watched for begin anew, if the default answered alone.

    What ran out by itself is known as long as the default is; this is for an end by hand.
    """
    now, until = clock.now(), before.alone_until
    if until is None:
        return
    here = _DEPLOYMENTS.c.live_model == model
    since = {"step_entered_at": min(until, now), "updated_at": now}
    early = _DEPLOYMENTS.c.step_entered_at < since["step_entered_at"]
    connection.execute(update(_DEPLOYMENTS).where(here, early).values(**since))
    table, reported = _ROLLBACKS, since["step_entered_at"]
    early = (table.c.open_model == model) & (table.c.reported_at < reported)
    connection.execute(update(table).where(early).values(reported_at=reported))


def clear_default(connection: Connection, model: str) -> bool:
    """Remove a model's; whether it had one."""
    return connection.execute(delete(_DEFAULTS).where(_DEFAULTS.c.model == model)).rowcount > 0


_DOCUMENTS = {
    "plan": RollbackPlan,
    "criteria": RollbackCriteria,
    "steps": tuple[Moment, ...],
    "findings": tuple[Finding, ...],
    "seen": Seen,
}


def _rollback(row: Row[Any]) -> Rollback:
    values = dict(row._mapping)
    del values["open_model"]
    for name, kind in _DOCUMENTS.items():
        values[name] = msgspec.convert(values[name], kind)
    values["state"] = State(values["state"])
    return Rollback(**values)
