"""Deployments: look at them, replay them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Response

from serinus.api.messages import After, Json, Limit, body, call, page
from serinus.api.services import Services
from serinus.app import views
from serinus.client import foresight, types
from serinus.delivery.types import Deployment
from serinus.errors import NotFound

router = APIRouter(tags=["deployments"])


# ------------------------------------------------------------------ look


@router.get("/deployments", **call(gives=types.Page[types.Deployment]))
def listing(
    app: Services, model: str | None = None, limit: Limit = 50, after: After = None
) -> Response:
    """Deployments, newest first."""
    found = app.delivery.list(model, limit=limit, after=after)
    return page([_view(item) for item in found], limit, lambda item: item.id)


@router.get("/deployments/status", **call(gives=types.Page[types.DeploymentStatus]))
def statuses(app: Services, limit: Limit = 50, after: After = None) -> Response:
    """Every model's newest deployment with all that is known of it, by the models' names."""
    found = app.delivery.statuses(limit, after)
    items = [views.status(item) for item in found]
    return page(items, limit, lambda item: item.deployment.model)


@router.get("/deployments/status/{model}", **call(gives=types.DeploymentStatus))
def status_of_model(app: Services, model: str) -> Response:
    """A model's newest deployment with all that is known of it."""
    found = app.delivery.list(model, limit=1, after=None)
    if not found:
        raise NotFound(
            f"the model {model} has no deployment",
            where=model,
            remedy="Begin one: POST /deployments, or serinus deploy.",
        )
    return Json(views.status(app.delivery.status(found[0].id)))


@router.get("/deployments/{deployment}", **call(gives=types.DeploymentStatus))
def one(app: Services, deployment: str) -> Response:
    """A deployment with all that is known of it: position, traffic, evidence, what is ahead."""
    return Json(views.status(app.delivery.status(deployment)))


@router.get("/deployments/{deployment}/history", **call(gives=types.Page[types.Transition]))
def history(app: Services, deployment: str) -> Response:
    """Every transition, oldest first; their number is bounded by the plan's."""
    return Json({"items": app.delivery.history(deployment), "next": None})


@router.get("/deployments/{deployment}/verdicts", **call(gives=types.Page[types.Look]))
def verdicts(app: Services, deployment: str, limit: Limit = 200) -> Response:
    """The newest recorded looks at the evidence, oldest first."""
    looks = app.delivery.verdicts(deployment, limit=limit)
    items = [
        types.Look(at, step, views.view(verdict, types.Verdict)) for at, step, verdict in looks
    ]
    return Json({"items": items, "next": None})


class WhatIfRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields of a deployment's specification that are to be others, such as ``error_odds``."""

    policy: dict[str, Any]


@router.get("/deployments/{deployment}/replay", **call(gives=foresight.Replay))
def replay(app: Services, deployment: str) -> Response:
    """Compute every recorded verdict again from the ledger; ``exact`` says that all were equal."""
    return Json(views.view(app.replays.replay(deployment), foresight.Replay))


@router.post(
    "/deployments/{deployment}/whatif", **call(takes=WhatIfRequest, gives=foresight.WhatIf)
)
def whatif(
    deployment: str,
    asked: Annotated[WhatIfRequest, Depends(body(WhatIfRequest))],
    app: Services,
) -> Response:
    """What the deployment's traffic would have decided under another policy; nothing changes."""
    return Json(views.view(app.replays.whatif(deployment, asked.policy), foresight.WhatIf))


def _view(deployment: Deployment) -> types.Deployment:
    return views.view(deployment, types.Deployment)
