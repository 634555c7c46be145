"""Rollbacks and defaults: shapes and calls."""

from __future__ import annotations

from datetime import datetime

import msgspec

from serinus.client.calls import Call, listing, path_of
from serinus.client.types import Page
from serinus.wire import Answer


class Check(msgspec.Struct, frozen=True):
    """Something that was looked at before; ``passed`` is None where only the workers can tell."""

    name: str
    passed: bool | None
    detail: str


class RollbackPlan(msgspec.Struct, frozen=True):
    """What is going to be done, in writing, and what is looked at afterwards."""

    target: str
    checks: tuple[Check, ...]
    actions: tuple[str, ...]
    verification: tuple[str, ...]
    within_seconds: float


class Finding(msgspec.Struct, frozen=True):
    """One thing that the verification looked at.

    ``state`` is ``returned``, ``not_returned``, ``open`` or ``no_data``; ``low`` and ``high`` are
    the ends of the earlier range with its margin; ``log_returned`` and ``log_out`` the natural
    logarithms of e-values, and ``bound`` what they must reach.
    """

    name: str
    signal: str
    state: str
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

    state: str
    at: datetime
    actor: str
    reason: str


class Rollback(msgspec.Struct, frozen=True, rename={"taken_back": "from"}):
    """One rollback: ``taken_back`` (JSON: from) lost the traffic that ``to`` has now.

    ``state`` is ``planned``, ``warming``, ``routed``, ``verifying``, and at the end ``verified``,
    ``not_the_model``, ``unverified`` or ``failed``.
    """

    id: str
    model: str
    taken_back: str
    to: str
    deployment: str | None
    cause: str
    actor: str
    reason: str
    state: str
    plan: RollbackPlan
    findings: tuple[Finding, ...]
    steps: tuple[Moment, ...]
    revision: int
    started_at: datetime
    routed_at: datetime | None = None
    reported_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether something of it is still to come."""
        return self.ended_at is None


class DefaultAnswer(msgspec.Struct, frozen=True):
    """What a model answers where none of its versions can; until ``alone_until``, everywhere."""

    model: str
    answer: Answer
    actor: str
    reason: str
    at: datetime
    alone_until: datetime | None = None


def rollback(model: str, version: str | None = None, *, reason: str = "") -> Call[Rollback]:
    """Take a model back: to ``version``, else to the live deployment's or the former champion."""
    body = {"version": version, "reason": reason}
    path = path_of("models", model, "rollback")
    return Call("POST", path, Rollback, body=body, idempotent=True)


def rollback_plan(model: str, version: str | None = None) -> Call[RollbackPlan]:
    """The written plan of a rollback; nothing is done."""
    query = {} if version is None else {"version": version}
    return Call("GET", path_of("models", model, "rollback"), RollbackPlan, query)


def rollbacks(model: str | None = None, *, after: str | None = None) -> Call[Page[Rollback]]:
    """Rollbacks, newest first."""
    return listing("/rollbacks", Rollback, after, model=model)


def rollback_of(id: str) -> Call[Rollback]:
    """One rollback with its plan, its history and what was found."""
    return Call("GET", path_of("rollbacks", id), Rollback)


def decline_rollback(id: str, *, reason: str = "") -> Call[Rollback]:
    """Do not carry out what was proposed, or is still being loaded."""
    path = path_of("rollbacks", id, "decline")
    return Call("POST", path, Rollback, body={"reason": reason}, idempotent=True)


def defaults(*, after: str | None = None) -> Call[Page[DefaultAnswer]]:
    """What models answer where none of their versions can."""
    return listing("/defaults", DefaultAnswer, after, limit=None)


def set_default(model: str, answer: Answer, *, reason: str = "") -> Call[DefaultAnswer]:
    """Have a model answer this where none of its versions can."""
    body = {"answer": answer, "reason": reason}
    return Call("PUT", path_of("models", model, "default"), DefaultAnswer, body=body)


def clear_default(model: str, *, reason: str = "") -> Call[Page[DefaultAnswer]]:
    """Have a model answer with its failure again; what other models' are is returned."""
    path = path_of("models", model, "default")
    return Call("DELETE", path, Page[DefaultAnswer], {"reason": reason})


def default_alone(model: str, minutes: float = 30.0, *, reason: str = "") -> Call[DefaultAnswer]:
    """Have a model's default answer everything for so many minutes; no version is asked."""
    body = {"minutes": minutes, "reason": reason}
    return Call("PUT", path_of("models", model, "default", "alone"), DefaultAnswer, body=body)


def end_default_alone(model: str, *, reason: str = "") -> Call[DefaultAnswer]:
    """Have a model's versions asked again, and its default only where none can answer."""
    path = path_of("models", model, "default", "alone")
    return Call("DELETE", path, DefaultAnswer, {"reason": reason})
