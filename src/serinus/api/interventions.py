"""What a person may have done to a deployment: each call is idempotent and keeps its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import APIRouter, Depends, Response

from serinus.api.messages import Json, body, call
from serinus.api.services import Actor, Services
from serinus.app import views
from serinus.client import types
from serinus.delivery.types import Deployment

router = APIRouter(tags=["deployments"])


class Intervention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why somebody intervenes."""

    reason: str = ""


class Approval(Intervention, frozen=True, forbid_unknown_fields=True):
    """Why somebody approves, and of which step's gate; None is the one that waits."""

    step: int | None = None


def _intervention(verb: str, doc: str, takes: type[Intervention] = Intervention) -> None:
    """Add ``POST /deployments/{id}/<verb>``."""
    written = Depends(body(takes))

    def intervene(
        deployment: str, app: Services, said: Intervention = written, actor: Actor = "api"
    ) -> Response:
        act: Callable[..., Deployment] = getattr(app.delivery, verb)
        done = act(deployment, actor=actor, **msgspec.structs.asdict(said))
        return Json(views.view(done, types.Deployment))

    intervene.__doc__ = doc
    described: dict[str, Any] = call(takes=takes, gives=types.Deployment)
    router.add_api_route(
        f"/deployments/{{deployment}}/{verb}",
        intervene,
        methods=["POST"],
        name=verb,
        **described,
    )


_intervention("pause", "Hold a deployment where it is; evidence goes on, rollback stays live.")
_intervention("resume", "Go on with a deployment that a person held; this approves nothing.")
_intervention("approve", "Let through a gate that has passed; refused where none waits.", Approval)
_intervention("promote", "Give the challenger all traffic now, whatever the evidence says.")
_intervention("abort", "Give all traffic back to the champion and end the deployment.")
_intervention("retry", "Take up again what ended without success: same plan, step and evidence.")
