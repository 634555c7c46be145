"""Triggers: from an observed condition to exactly one job, and then a rest.

    ARMED -> PENDING -> QUEUED -> RUNNING -> COOLDOWN -> ARMED

:func:`decide` is the whole rule and touches nothing. :class:`Triggers` stores its answer,
together with the job it asks for, in one transaction guarded by the state it was decided on:
of two processes that observe the same, one acts. The job's key is the condition's key, so the
same occurrence can never become two jobs, whoever dies when.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, select, update
from sqlalchemy.dialects import postgresql, sqlite

from serinus import clock
from serinus.errors import Conflict
from serinus.scheduling.jobs import Jobs
from serinus.scheduling.types import ENDED, Condition, Job, JobState, Trigger, TriggerState
from serinus.store import schema
from serinus.store.engine import reading

_TRIGGERS = schema.triggers


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that a decision about a trigger rests on.

    Attributes:
        condition: what is observed now, None if nothing is.
        handled: whether the condition's key has had its job.
        rows: labelled rows there are to act on; ``rows_needed`` of them are enough.
        job: the job the trigger asked for, None if it did not.
        cooldown: how long it rests after a job.
        now: the present moment.
    """

    condition: Condition | None
    handled: bool
    rows: int
    rows_needed: int
    job: Job | None
    cooldown: timedelta
    now: datetime


def decide(trigger: Trigger, facts: Facts) -> Trigger:
    """The trigger after one look at the facts: itself if nothing is to change.

    To become QUEUED is to ask for the job named by the condition's key.
    """
    match trigger.state:
        case TriggerState.ARMED | TriggerState.PENDING:
            return _watch(trigger, facts)
        case TriggerState.QUEUED | TriggerState.RUNNING:
            return _follow(trigger, facts)
        case TriggerState.COOLDOWN:
            if facts.now - trigger.since < facts.cooldown:
                return trigger
            return _moved(trigger, TriggerState.ARMED, facts, reason="", job=None)


def _watch(trigger: Trigger, facts: Facts) -> Trigger:
    condition = facts.condition
    if condition is None or facts.handled:
        if trigger.state is TriggerState.ARMED:
            return trigger
        return _moved(trigger, TriggerState.ARMED, facts, reason="")
    if facts.rows >= facts.rows_needed:
        return _moved(trigger, TriggerState.QUEUED, facts, reason=condition.reason)
    if trigger.state is TriggerState.PENDING:
        return trigger
    return _moved(trigger, TriggerState.PENDING, facts, reason=condition.reason)


def _follow(trigger: Trigger, facts: Facts) -> Trigger:
    if facts.job is None or facts.job.state in ENDED:
        return _moved(trigger, TriggerState.COOLDOWN, facts)
    following = TriggerState.RUNNING if facts.job.state is JobState.RUNNING else TriggerState.QUEUED
    return trigger if following is trigger.state else _moved(trigger, following, facts)


def _moved(trigger: Trigger, state: TriggerState, facts: Facts, **changes: Any) -> Trigger:
    return msgspec.structs.replace(trigger, state=state, since=facts.now, **changes)


class Triggers:
    """The triggers of one installation.

    Args:
        cooldown_seconds: rest after each job.
        rows_needed: labelled rows below which a condition waits in PENDING.
    """

    def __init__(
        self, engine: Engine, jobs: Jobs, *, cooldown_seconds: float, rows_needed: int
    ) -> None:
        self._engine = engine
        self._jobs = jobs
        self._cooldown = timedelta(seconds=cooldown_seconds)
        self._rows_needed = rows_needed

    def observe(
        self,
        model: str,
        kind: str,
        condition: Condition | None,
        *,
        rows: int,
        payload: Mapping[str, Any],
    ) -> Trigger:
        """Tell a trigger what is observed now; the trigger as it stands afterwards.

        Args:
            model: the model that is observed.
            kind: the kind of job that the condition asks for, such as ``retrain``.
            condition: what is observed, None if nothing is.
            rows: labelled rows there are to act on.
            payload: what the job's handler gets, if this look asks for it.
        """
        look = _Look(model, kind, condition, rows)
        with reading(self._engine) as connection:
            # Nearly every look changes nothing and must not take the write lock.
            before, facts = self._facts(connection, look)
            if decide(before, facts) == before:
                return before
        with self._engine.begin() as connection:
            self._add(connection, before)
            before, facts = self._facts(connection, look, locked=True)
            after = decide(before, facts)
            asked = facts.condition
            if after.state is TriggerState.QUEUED and before.job is None and asked is not None:
                job = self._jobs.enqueue(kind, asked.key, payload, connection=connection)
                after = msgspec.structs.replace(after, job=job.id)
            if after != before:
                self._save(connection, before, after)
        return after

    def get(self, model: str, kind: str) -> Trigger:
        """A trigger as it stands; one that has never observed anything is armed."""
        with reading(self._engine) as connection:
            return _stored(connection, model, kind)

    def list(self) -> tuple[Trigger, ...]:
        """Every trigger that has ever observed something, by model and kind."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(_TRIGGERS).order_by(_TRIGGERS.c.model, _TRIGGERS.c.kind)
            )
            return tuple(_trigger(row) for row in rows)

    def _facts(
        self, connection: Connection, look: _Look, *, locked: bool = False
    ) -> tuple[Trigger, Facts]:
        trigger = _stored(connection, look.model, look.kind, locked=locked)
        condition, handled = self._occurrence(connection, look)
        facts = Facts(
            condition=condition,
            handled=handled,
            rows=look.rows,
            rows_needed=self._rows_needed,
            job=None if trigger.job is None else self._jobs.get(trigger.job, connection=connection),
            cooldown=self._cooldown,
            now=clock.now(),
        )
        return trigger, facts

    def _occurrence(self, connection: Connection, look: _Look) -> tuple[Condition | None, bool]:
        """The condition with the key of its next job, and whether it had its job.

        A job that failed has handled nothing: after the rest the condition asks for another.
        """
        if look.condition is None:
            return None, False
        attempt, key = 1, look.condition.key
        while (job := self._jobs.find(look.kind, key, connection=connection)) is not None:
            if job.state is not JobState.FAILED:
                return look.condition, True
            attempt += 1
            key = f"{look.condition.key}#{attempt}"
        return msgspec.structs.replace(look.condition, key=key), False

    def _add(self, connection: Connection, trigger: Trigger) -> None:
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        connection.execute(
            insert(_TRIGGERS).values(**msgspec.structs.asdict(trigger)).on_conflict_do_nothing()
        )

    def _save(self, connection: Connection, before: Trigger, after: Trigger) -> None:
        """Store a decision, if the trigger still is what the decision was made on.

        Raises:
            Conflict: another process moved it in between; its transaction stands, this one ends.
        """
        same_job = (
            _TRIGGERS.c.job.is_(None) if before.job is None else _TRIGGERS.c.job == before.job
        )
        done = connection.execute(
            update(_TRIGGERS)
            .where(
                _TRIGGERS.c.model == before.model,
                _TRIGGERS.c.kind == before.kind,
                _TRIGGERS.c.state == before.state,
                same_job,
            )
            .values(state=after.state, reason=after.reason, job=after.job, since=after.since)
        )
        if done.rowcount != 1:
            raise Conflict(
                f"the trigger {before.kind} of {before.model} has just been moved",
                where=before.model,
                remedy="Look again.",
            )


class _Look(msgspec.Struct, frozen=True):
    """What one call of observe was told."""

    model: str
    kind: str
    condition: Condition | None
    rows: int


def _stored(connection: Connection, model: str, kind: str, *, locked: bool = False) -> Trigger:
    query = select(_TRIGGERS).where(_TRIGGERS.c.model == model, _TRIGGERS.c.kind == kind)
    found = connection.execute(query.with_for_update() if locked else query).first()
    if found is not None:
        return _trigger(found)
    return Trigger(
        model=model, kind=kind, state=TriggerState.ARMED, reason="", job=None, since=clock.now()
    )


def _trigger(row: Row[Any]) -> Trigger:
    values = dict(row._mapping)
    return Trigger(**values | {"state": TriggerState(values["state"])})
