"""Rollbacks: ask for one, look how it goes; and what a model answers where no version can."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Response

from serinus.api.messages import After, Json, Limit, body, call, page
from serinus.api.services import Actor, Services
from serinus.client import rollbacks as shapes
from serinus.client.types import Page
from serinus.delivery.rollback import alone
from serinus.delivery.rollback.types import Rollback
from serinus.wire import Answer

router = APIRouter(tags=["rollbacks"])


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why somebody asks."""

    reason: str = ""


class RollbackRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to (None: the live deployment's champion, else the former one) and why."""

    version: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    reason: str = ""


class DefaultRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be answered, and why."""

    answer: Answer
    reason: str = ""


class AloneRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For how many minutes, at most a day, and why."""

    minutes: float = 30.0
    reason: str = ""


@router.post("/rollback/{model}/{version}", **call(takes=Reason, gives=shapes.Rollback))
def rollback(
    model: str,
    version: str,
    why: Annotated[Reason, Depends(body(Reason))],
    app: Services,
    actor: Actor = "api",
) -> Response:
    """Give all traffic of a model to an earlier version, at once."""
    return _one(app.rollbacks.roll_back(model, version, actor=actor, reason=why.reason))


@router.post("/models/{model}/rollback", **call(takes=RollbackRequest, gives=shapes.Rollback))
def rollback_model(
    model: str,
    asked: Annotated[RollbackRequest, Depends(body(RollbackRequest))],
    app: Services,
    actor: Actor = "api",
) -> Response:
    """Take a model back: from a live deployment to its champion, else to an earlier version."""
    return _one(app.rollbacks.roll_back(model, asked.version, actor=actor, reason=asked.reason))


@router.get("/models/{model}/rollback", **call(gives=shapes.RollbackPlan))
def rollback_plan(app: Services, model: str, version: str | None = None) -> Response:
    """The written plan of a rollback; nothing is done."""
    return Json(app.rollbacks.propose(model, version))


@router.get("/rollbacks", **call(gives=Page[shapes.Rollback]))
def listing(
    app: Services, model: str | None = None, limit: Limit = 50, after: After = None
) -> Response:
    """Rollbacks, newest first."""
    found = app.rollbacks.page(model, limit=limit, after=after)
    return page([_view(item) for item in found], limit, lambda item: item.id)


@router.get("/rollbacks/{rollback}", **call(gives=shapes.Rollback))
def one(app: Services, rollback: str) -> Response:
    """A rollback with its plan, its history and what was found."""
    return _one(app.rollbacks.get(rollback))


@router.post("/rollbacks/{rollback}/decline", **call(takes=Reason, gives=shapes.Rollback))
def decline(
    rollback: str,
    why: Annotated[Reason, Depends(body(Reason))],
    app: Services,
    actor: Actor = "api",
) -> Response:
    """Do not carry out what was proposed, or is still being loaded."""
    return _one(app.rollbacks.decline(rollback, actor=actor, reason=why.reason))


@router.get("/defaults", **call(gives=Page[shapes.DefaultAnswer]))
def defaults(app: Services) -> Response:
    """What models answer where none of their versions can; at most one a model."""
    return Json({"items": app.rollbacks.defaults(), "next": None})


@router.put("/models/{model}/default", **call(takes=DefaultRequest, gives=shapes.DefaultAnswer))
def set_default(
    model: str,
    asked: Annotated[DefaultRequest, Depends(body(DefaultRequest))],
    app: Services,
    actor: Actor = "api",
) -> Response:
    """Have a model answer this where none of its versions can."""
    return Json(app.rollbacks.set_default(model, asked.answer, actor=actor, reason=asked.reason))


@router.delete("/models/{model}/default", **call(gives=Page[shapes.DefaultAnswer]))
def clear_default(model: str, app: Services, reason: str = "", actor: Actor = "api") -> Response:
    """Have a model answer with its failure again; what other models' are is returned."""
    app.rollbacks.clear_default(model, actor=actor, reason=reason)
    return defaults(app)


@router.put("/models/{model}/default/alone", **call(takes=AloneRequest, gives=shapes.DefaultAnswer))
def begin_alone(
    model: str,
    asked: Annotated[AloneRequest, Depends(body(AloneRequest))],
    app: Services,
    actor: Actor = "api",
) -> Response:
    """Have a model's default answer everything for a time; no version is asked."""
    lasting = timedelta(minutes=max(-1.0, min(asked.minutes, 1e6)))
    return Json(alone.begin(app.delivery, model, lasting, actor=actor, reason=asked.reason))


@router.delete("/models/{model}/default/alone", **call(gives=shapes.DefaultAnswer))
def end_alone(model: str, app: Services, reason: str = "", actor: Actor = "api") -> Response:
    """Have a model's versions asked again, and its default only where none can answer."""
    return Json(alone.end(app.delivery, model, actor=actor, reason=reason))


def _one(found: Rollback) -> Response:
    return Json(_view(found))


def _view(found: Rollback) -> shapes.Rollback:
    values = {name: getattr(found, name) for name in shapes.Rollback.__struct_fields__}
    renamed = dict(zip(shapes.Rollback.__struct_encode_fields__, values.values(), strict=True))
    return msgspec.convert(msgspec.to_builtins(renamed), shapes.Rollback)
