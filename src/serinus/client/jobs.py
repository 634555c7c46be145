"""Background work: its shape, and the calls that ask for it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from serinus.client.calls import Call, listing, path_of
from serinus.client.types import Page


class Job(msgspec.Struct, frozen=True):
    """A unit of background work."""

    id: str
    kind: str
    key: str
    payload: dict[str, Any]
    state: str
    attempt: int
    max_attempts: int
    progress: str
    result: dict[str, Any] | None
    error: str
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


def train(
    data: str,
    model: str,
    *,
    deploy: bool = False,
    key: str | None = None,
    **options: Any,
) -> Call[Job]:
    """Ask for a training; a worker carries it out.

    Args:
        data: a file on the worker's machine, or the name of a bundled set.
        model: the name to register under.
        deploy: whether to begin a deployment of what passes its gates.
        key: asking twice with one key is one job.
        **options: ``target``, ``algorithm``, ``params``, ``test_size``, ``seed``,
            ``time_column``, ``version``, ``description``, ``reason``.
    """
    body = {"data": data, "model": model, "deploy": deploy, "key": key, **options}
    return Call("POST", "/models/train", Job, body=body, idempotent=key is not None)


def jobs(
    kind: str | None = None, state: str | None = None, *, after: str | None = None
) -> Call[Page[Job]]:
    """Jobs, newest first."""
    return listing("/jobs", Job, after, kind=kind, state=state)


def job(id: str) -> Call[Job]:
    """One job."""
    return Call("GET", path_of("jobs", id), Job)


def cancel_job(id: str) -> Call[Job]:
    """Cancel a job; one that runs is ended."""
    return Call("POST", path_of("jobs", id, "cancel"), Job, idempotent=True)
