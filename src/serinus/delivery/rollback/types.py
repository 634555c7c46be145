"""The nouns of a rollback, as frozen values."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec

from serinus.registry.model_types import RollbackCriteria


class State(StrEnum):
    """Where a rollback is in its life; :data:`TRANSITIONS` holds every legal move."""

    PLANNED = "planned"
    """Proposed, and nothing has changed: a person may have it carried out."""
    WARMING = "warming"
    """The gateways are loading the target; the present champion answers."""
    ROUTED = "routed"
    """The routing table gives the target all traffic; workers are taking it up."""
    VERIFYING = "verifying"
    """Every live worker has the table; its answers are held against the earlier range."""
    VERIFIED = "verified"
    """The target answers all, and what was harmed is back in its earlier range."""
    NOT_THE_MODEL = "not_the_model"
    """What was harmed has not come back: the cause lies elsewhere."""
    UNVERIFIED = "unverified"
    """Too little came in the time to say either."""
    FAILED = "failed"
    """The target could not be brought to traffic, or nobody asked for it; nothing has changed."""


OPEN = frozenset({State.PLANNED, State.WARMING, State.ROUTED, State.VERIFYING})

TRANSITIONS: dict[State, frozenset[State]] = {
    State.PLANNED: frozenset({State.WARMING, State.ROUTED, State.FAILED}),
    State.WARMING: frozenset({State.ROUTED, State.FAILED}),
    State.ROUTED: frozenset({State.VERIFYING, State.UNVERIFIED}),
    State.VERIFYING: frozenset({State.VERIFIED, State.NOT_THE_MODEL, State.UNVERIFIED}),
    State.VERIFIED: frozenset(),
    State.NOT_THE_MODEL: frozenset(),
    State.UNVERIFIED: frozenset(),
    State.FAILED: frozenset(),
}

Cause = Literal["errors", "latency", "answers", "quality", "business", "split", "load", "by hand"]
"""Why a model is taken back: what was harmed, that it does not load, or that a person says so."""

Signal = Literal["errors", "latency", "answers", "quality", "business"]
"""What is held against its earlier range."""

Subject = Signal | Literal["workers", "traffic", "concurrent"]
"""What a finding is about: a signal, or the routing, or two versions side by side."""

Answered = Literal["returned", "not_returned", "open", "no_data"]


class Check(msgspec.Struct, frozen=True):
    """Something that was looked at before anything was changed.

    ``passed`` is None where it cannot be told from here, and ``detail`` then says who will tell.
    """

    name: str
    passed: bool | None
    detail: str


class RollbackPlan(msgspec.Struct, frozen=True):
    """What is going to be done, in writing: checks before, actions, and what is looked at after."""

    target: str
    checks: tuple[Check, ...]
    actions: tuple[str, ...]
    verification: tuple[str, ...]
    within_seconds: float


class Finding(msgspec.Struct, frozen=True):
    """One thing that the verification looked at.

    ``state`` is ``returned`` or ``not_returned`` (each by a test whose e-value reached its bound,
    log e = ``bound``), ``open`` while neither is proven, and ``no_data`` where there is no earlier
    range or nothing came. ``log_returned`` and ``log_out`` are those tests' log e-values; ``low``
    and ``high`` the ends of the range with its margin, ``earlier`` and ``now`` the two figures.
    """

    name: str
    signal: Subject
    state: Answered
    requests: int
    earlier: float | None
    now: float | None
    low: float | None
    high: float | None
    log_returned: float
    log_out: float
    bound: float
    sentence: str


class Moment(msgspec.Struct, frozen=True):
    """One row of a rollback's history."""

    state: State
    at: datetime
    actor: str
    reason: str


class Seen(msgspec.Struct, frozen=True):
    """What the ledger told of a rollback's own revision and later ones.

    ``target`` counts answers of the version gone back to, ``astray`` those of any other, and
    ``last_other_at`` is when another one answered last, whatever the revision (microseconds since
    1970; 0: not since the rollback).
    """

    target: int = 0
    astray: int = 0
    last_other_at: int = 0


class Rollback(msgspec.Struct, frozen=True):
    """One attempt to take a model back: what was asked, its plan, where it stands, what was found.

    ``sound_until`` is when the earlier range ends: before it nothing of the harm can have begun.
    ``reported_at`` is when the last live worker had taken up its ``revision``, or later when
    versions were asked again after the default alone had answered: verification begins there.
    """

    id: str
    model: str
    taken_back: str
    to: str
    deployment: str | None
    cause: Cause
    actor: str
    reason: str
    state: State
    plan: RollbackPlan
    criteria: RollbackCriteria
    sound_until: datetime
    steps: tuple[Moment, ...]
    findings: tuple[Finding, ...]
    seen: Seen
    revision: int
    started_at: datetime
    routed_at: datetime | None = None
    reported_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether something of it is still to come."""
        return self.state in OPEN


class DefaultAnswer(msgspec.Struct, frozen=True):
    """What a model's route answers where no version can; until ``alone_until``, everywhere.

    ``actor``, ``reason`` and ``at`` are of its last change.
    """

    model: str
    answer: float | int | str | bool
    actor: str
    reason: str
    at: datetime
    alone_until: datetime | None = None
