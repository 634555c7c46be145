"""Background work: ask for a training, look at jobs, cancel them."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Response

from serinus.api.messages import After, Json, Limit, body, call, page
from serinus.api.services import Services
from serinus.app import views
from serinus.client import jobs, types
from serinus.scheduling.types import Job, JobState

router = APIRouter(tags=["jobs"])


class TrainRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to train on what, as a job; ``data`` is a file on the worker's machine or a set's name.

    ``key`` makes asking twice one job; without it each request is a job of its own.
    """

    data: str
    model: str
    target: str = "target"
    algorithm: str = "auto"
    params: dict[str, Any] = {}
    test_size: float = 0.2
    seed: int = 0
    time_column: str = ""
    version: str | None = None
    description: str = ""
    reason: str = ""
    deploy: bool = False
    key: str | None = None


@router.post("/models/train", **call(takes=TrainRequest, gives=jobs.Job, status=202))
def train(asked: Annotated[TrainRequest, Depends(body(TrainRequest))], app: Services) -> Response:
    """Ask for a training; a worker carries it out."""
    payload = msgspec.to_builtins(asked)
    key = payload.pop("key") or f"request-{secrets.token_hex(8)}"
    return Json(_view(app.jobs.enqueue("train", key, payload)), status_code=202)


@router.get("/jobs", **call(gives=types.Page[jobs.Job]))
def listing(
    app: Services,
    kind: str | None = None,
    state: JobState | None = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Jobs, newest first."""
    found = app.jobs.list(kind, state, limit, after)
    return page([_view(item) for item in found], limit, lambda item: item.id)


@router.get("/jobs/{job}", **call(gives=jobs.Job))
def one(app: Services, job: str) -> Response:
    """One job with its progress, result or error."""
    return Json(_view(app.jobs.get(job)))


@router.post("/jobs/{job}/cancel", **call(gives=jobs.Job))
def cancel(app: Services, job: str) -> Response:
    """Cancel a job; one that runs is ended."""
    return Json(_view(app.jobs.cancel(job)))


def _view(job: Job) -> jobs.Job:
    return views.view(job, jobs.Job)
