"""The table of jobs: leased, so that a worker that dies gives its work back by itself.

Every change is one guarded statement: it names the state, holder and attempt that it leaves,
and whoever comes second changes nothing. Workers on several hosts compare leases by their own
clocks, which must agree to well within a lease.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, func, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from serinus import clock
from serinus.errors import Conflict, InvalidInput, NotFound
from serinus.scheduling.types import ENDED, Job, JobState
from serinus.store import schema
from serinus.store.engine import exclusive, reading

_JOBS = schema.jobs
_CLAIM_LOCK = 5374
_LONGEST_ERROR = 4_000


class Jobs:
    """The jobs of one installation.

    Args:
        lease_seconds: how long a job stays with a worker that is silent.
        retry_seconds: wait before the second attempt; it doubles with each further one.
    """

    def __init__(self, engine: Engine, lease_seconds: float, *, retry_seconds: float = 2.0) -> None:
        self._engine = engine
        self.lease_seconds = lease_seconds
        self._retry_seconds = retry_seconds

    # -------------------------------------------------------------- asking for work

    def enqueue(
        self,
        kind: str,
        key: str,
        payload: Mapping[str, Any],
        *,
        max_attempts: int = 3,
        run_after: datetime | None = None,
        connection: Connection | None = None,
    ) -> Job:
        """The job named ``(kind, key)``, made if there was none, whatever its state now.

        Args:
            payload: plain JSON that the handler gets; kept as first given.
            max_attempts: how often a worker may take it.
            run_after: not before this moment; at once if None.
            connection: the caller's transaction, for a job that must appear with other changes.

        Raises:
            InvalidInput: ``max_attempts`` is below 1.
        """
        if max_attempts < 1:
            raise InvalidInput("a job needs at least one attempt", where="max_attempts")
        now = clock.now()
        insert = sqlite.insert if self._engine.dialect.name == "sqlite" else postgresql.insert
        new = insert(_JOBS).values(
            id=uuid.uuid4().hex,
            kind=kind,
            key=key,
            payload=dict(payload),
            state=JobState.QUEUED,
            attempt=0,
            max_attempts=max_attempts,
            progress="",
            result=None,
            error="",
            run_after=now if run_after is None else run_after,
            created_at=now,
        )
        with self._writing(connection) as held:
            held.execute(new.on_conflict_do_nothing(index_elements=["kind", "key"]))
            found = held.execute(
                select(_JOBS).where(_JOBS.c.kind == kind, _JOBS.c.key == key)
            ).one()
        return _job(found)

    def cancel(self, job_id: str) -> Job:
        """End a job that has not ended; a worker that runs it kills it at its next heartbeat.

        Its slot is free at once. Cancelling a cancelled job changes nothing.

        Raises:
            NotFound: there is no such job.
            Conflict: it has already succeeded or failed.
        """
        with self._engine.begin() as connection:
            connection.execute(
                update(_JOBS)
                .where(_JOBS.c.id == job_id, _JOBS.c.state.not_in(ENDED))
                .values(state=JobState.CANCELLED, finished_at=clock.now(), **_UNLEASED)
            )
            job = _one(connection, job_id)
        if job.state is not JobState.CANCELLED:
            raise Conflict(f"the job has already {job.state}", where=job_id)
        return job

    # -------------------------------------------------------------- doing work

    def claim(
        self,
        worker: str,
        kinds: Sequence[str] | None = None,
        limit_per_kind: Mapping[str, int] | None = None,
    ) -> Job | None:
        """Take the job that has waited longest, abandoned ones included; None if there is none.

        Args:
            worker: who takes it; unique among running workers.
            kinds: only jobs of these kinds; None is any.
            limit_per_kind: at most so many jobs of a kind run at a time, over all workers.
        """
        now = clock.now()
        waiting = and_(_JOBS.c.state == JobState.QUEUED, _JOBS.c.run_after <= now)
        abandoned = and_(_JOBS.c.state == JobState.RUNNING, _JOBS.c.lease_until < now)
        wanted = [or_(waiting, abandoned)]
        if kinds is not None:
            wanted.append(_JOBS.c.kind.in_(kinds))
        with reading(self._engine) as connection:
            # Most looks find nothing; they must not take the only write lock that SQLite has.
            if connection.execute(select(_JOBS.c.id).where(*wanted).limit(1)).first() is None:
                return None
        with self._engine.begin() as connection:
            exclusive(connection, _CLAIM_LOCK)
            self._give_up(connection, now)
            if full := _full_kinds(connection, now, limit_per_kind or {}):
                wanted.append(_JOBS.c.kind.not_in(full))
            found = connection.execute(
                select(_JOBS.c.id)
                .where(*wanted)
                .order_by(_JOBS.c.run_after, _JOBS.c.created_at, _JOBS.c.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).scalar()
            if found is None:
                return None
            taken = (
                update(_JOBS)
                .where(_JOBS.c.id == found)
                .values(
                    state=JobState.RUNNING,
                    attempt=_JOBS.c.attempt + 1,
                    progress="",
                    error="",
                    lease_owner=worker,
                    lease_until=self._lease_end(now),
                    started_at=now,
                )
            )
            connection.execute(taken)
            return _one(connection, found)

    def heartbeat(self, job: Job, worker: str, progress: str = "") -> bool:
        """Renew the lease and tell the progress; False if the job is no longer this worker's."""
        return self._leave(job, worker, lease_until=self._lease_end(clock.now()), progress=progress)

    def finish(self, job: Job, worker: str, result: Mapping[str, Any]) -> bool:
        """End the job with its result; False (and nothing changed) if the worker has lost it."""
        return self._leave(
            job,
            worker,
            state=JobState.SUCCEEDED,
            progress="done",
            result=dict(result),
            finished_at=clock.now(),
            **_UNLEASED,
        )

    def fail(self, job: Job, worker: str, error: str, *, retry: bool) -> bool:
        """End the attempt; the job is queued again if ``retry`` and an attempt is left.

        False (and nothing changed) if the job is no longer this worker's.
        """
        changes: dict[str, Any] = {"error": error[-_LONGEST_ERROR:], **_UNLEASED}
        if retry and job.attempt < job.max_attempts:
            wait = timedelta(seconds=self._retry_seconds * 2.0 ** (job.attempt - 1))
            changes |= {"state": JobState.QUEUED, "run_after": clock.now() + wait}
        else:
            changes |= {"state": JobState.FAILED, "finished_at": clock.now()}
        return self._leave(job, worker, **changes)

    def release(self, job: Job, worker: str) -> bool:
        """Give the job back as if it had not been taken: the worker is shutting down."""
        return self._leave(
            job, worker, state=JobState.QUEUED, attempt=job.attempt - 1, progress="", **_UNLEASED
        )

    # -------------------------------------------------------------- looking

    def get(self, job_id: str, *, connection: Connection | None = None) -> Job:
        """One job.

        Raises:
            NotFound: there is no such job.
        """
        with self._reading(connection) as held:
            return _one(held, job_id)

    def find(self, kind: str, key: str, *, connection: Connection | None = None) -> Job | None:
        """The job named ``(kind, key)``, or None."""
        query = select(_JOBS).where(_JOBS.c.kind == kind, _JOBS.c.key == key)
        with self._reading(connection) as held:
            found = held.execute(query).first()
        return None if found is None else _job(found)

    def list(
        self,
        kind: str | None = None,
        state: JobState | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> tuple[Job, ...]:
        """Jobs, newest first, at most ``limit``; ``after`` is the last id of the page before.

        Raises:
            NotFound: ``after`` is no job.
        """
        query = select(_JOBS).order_by(_JOBS.c.created_at.desc(), _JOBS.c.id.desc()).limit(limit)
        if kind is not None:
            query = query.where(_JOBS.c.kind == kind)
        if state is not None:
            query = query.where(_JOBS.c.state == state)
        with reading(self._engine) as connection:
            if after is not None:
                last = _one(connection, after)
                place = tuple_(_JOBS.c.created_at, _JOBS.c.id)
                query = query.where(place < tuple_(last.created_at, last.id))
            return tuple(_job(row) for row in connection.execute(query))

    # -------------------------------------------------------------- inside

    def _lease_end(self, now: datetime) -> datetime:
        return now + timedelta(seconds=self.lease_seconds)

    def _leave(self, job: Job, worker: str, **changes: Any) -> bool:
        held = (
            _JOBS.c.id == job.id,
            _JOBS.c.state == JobState.RUNNING,
            _JOBS.c.lease_owner == worker,
            _JOBS.c.attempt == job.attempt,
        )
        with self._engine.begin() as connection:
            done = connection.execute(update(_JOBS).where(*held).values(**changes))
            return done.rowcount == 1

    def _give_up(self, connection: Connection, now: datetime) -> None:
        """Fail what no attempt is left for: its worker died in the last one."""
        connection.execute(
            update(_JOBS)
            .where(
                _JOBS.c.state == JobState.RUNNING,
                _JOBS.c.lease_until < now,
                _JOBS.c.attempt >= _JOBS.c.max_attempts,
            )
            .values(
                state=JobState.FAILED,
                error="its worker died or fell silent in the last attempt",
                finished_at=now,
                **_UNLEASED,
            )
        )

    def _reading(self, connection: Connection | None) -> AbstractContextManager[Connection]:
        return reading(self._engine) if connection is None else nullcontext(connection)

    def _writing(self, connection: Connection | None) -> AbstractContextManager[Connection]:
        return self._engine.begin() if connection is None else nullcontext(connection)


_UNLEASED: dict[str, Any] = {"lease_owner": None, "lease_until": None}


def _full_kinds(connection: Connection, now: datetime, limits: Mapping[str, int]) -> list[str]:
    held = connection.execute(
        select(_JOBS.c.kind, func.count().label("running"))
        .where(_JOBS.c.state == JobState.RUNNING, _JOBS.c.lease_until >= now)
        .group_by(_JOBS.c.kind)
    )
    counts = {row.kind: row.running for row in held}
    return [kind for kind, limit in limits.items() if counts.get(kind, 0) >= limit]


def _one(connection: Connection, job_id: str) -> Job:
    found = connection.execute(select(_JOBS).where(_JOBS.c.id == job_id)).first()
    if found is None:
        raise NotFound(f"there is no job {job_id!r}", remedy="`serinus jobs list` names them.")
    return _job(found)


def _job(row: Row[Any]) -> Job:
    values = dict(row._mapping)
    return Job(**values | {"state": JobState(values["state"])})
