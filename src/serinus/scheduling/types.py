"""The nouns of background work, as frozen values."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


class JobState(StrEnum):
    """Where a job is in its life; :data:`TRANSITIONS` holds every legal move."""

    QUEUED = "queued"
    """Waiting for a worker, for its time, or for a free slot of its kind."""
    RUNNING = "running"
    """Held by a worker until its lease ends."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """It raised, timed out, or lost its process, and has no attempt left."""
    CANCELLED = "cancelled"


TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    # A running job that is claimed again, its lease having ended, stays running.
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset(
        {
            JobState.RUNNING,
            JobState.QUEUED,
            JobState.SUCCEEDED,
            JobState.FAILED,
            JobState.CANCELLED,
        }
    ),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}

ENDED = frozenset(state for state, onward in TRANSITIONS.items() if not onward)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A unit of background work. ``(kind, key)`` names it for ever: asked twice, it is one job.

    ``attempt`` counts the times a worker took it, so it also tells one holding from the next.
    """

    id: str
    kind: str
    key: str
    payload: dict[str, Any]
    state: JobState
    attempt: int
    max_attempts: int
    progress: str
    result: dict[str, Any] | None
    error: str
    lease_owner: str | None
    lease_until: datetime | None
    run_after: datetime
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class TriggerState(StrEnum):
    """Where a trigger is between an observed condition and the next one."""

    ARMED = "armed"
    """Watching; nothing was observed."""
    PENDING = "pending"
    """The condition holds; there are too few labelled rows to act on yet."""
    QUEUED = "queued"
    """Its job waits for a worker."""
    RUNNING = "running"
    """Its job runs."""
    COOLDOWN = "cooldown"
    """Its job has ended, however; resting, so that one cause cannot set off a storm."""


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """The rule that one kind of condition on one model asks for one kind of job."""

    model: str
    kind: str
    state: TriggerState
    reason: str
    job: str | None
    since: datetime


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """Something observed that calls for a job.

    ``key`` names the occurrence (such as model, version and window of a drift alarm): one
    occurrence sets off one job, and another only if that one failed.
    """

    key: str
    reason: str
