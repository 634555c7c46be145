"""Deployments: propose and begin them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Response

from serinus.api.messages import Json, body, call
from serinus.api.services import Actor, Services
from serinus.app import views
from serinus.client import foresight, types
from serinus.delivery.types import Deployment, DeploymentSpec
from serinus.errors import InvalidInput

router = APIRouter(tags=["deployments"])


class CanaryRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A canary in the words of REQUIREMENTS E1; ``traffic_percentage`` is the first step's."""

    model_name: str
    candidate_version: str
    production_version: str | None = None
    traffic_percentage: float = 10.0
    min_samples: int = 200
    max_duration_hours: float = 72.0
    auto_promote_on_success: bool = True


class BlueGreenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A switch of all traffic at once, after the new version was watched in shadow."""

    model_name: str
    candidate_version: str
    production_version: str | None = None
    min_samples: int = 200
    max_duration_hours: float = 72.0
    auto_promote_on_success: bool = True


CANARY_SHARES = (0.10, 0.25, 0.50)


def canary_spec(asked: CanaryRequest) -> DeploymentSpec:
    """The specification that a canary request means: its share first, then the larger usual ones.

    Raises:
        InvalidInput: the percentage is no share of the traffic.
    """
    if not 0 < asked.traffic_percentage < 100:
        raise InvalidInput(
            f"{asked.traffic_percentage:g} is no percentage of traffic for a canary",
            where="body.traffic_percentage",
            remedy="Give a percentage above 0 and below 100, such as 10.",
        )
    first = asked.traffic_percentage / 100
    return DeploymentSpec(
        model=asked.model_name,
        challenger=asked.candidate_version,
        champion=asked.production_version,
        shares=(first, *(share for share in CANARY_SHARES if share > first)),
        min_requests=asked.min_samples,
        max_hours=asked.max_duration_hours,
        auto_promote=asked.auto_promote_on_success,
    )


def blue_green_spec(asked: BlueGreenRequest) -> DeploymentSpec:
    """The specification that a blue-green request means."""
    return DeploymentSpec(
        model=asked.model_name,
        challenger=asked.candidate_version,
        champion=asked.production_version,
        strategy="blue_green",
        min_requests=asked.min_samples,
        max_hours=asked.max_duration_hours,
        auto_promote=asked.auto_promote_on_success,
    )


@router.post("/deployments", **call(takes=DeploymentSpec, gives=types.Deployment, status=201))
def create(
    spec: Annotated[DeploymentSpec, Depends(body(DeploymentSpec))],
    app: Services,
    actor: Actor = "api",
) -> Response:
    """Begin bringing a challenger to traffic."""
    return Json(_view(app.delivery.create(spec, actor=actor)), status_code=201)


@router.post("/deployments/forecast", **call(takes=DeploymentSpec, gives=foresight.Proposal))
def forecast(
    spec: Annotated[DeploymentSpec, Depends(body(DeploymentSpec))], app: Services
) -> Response:
    """The plan that a specification means, and how it would go; nothing begins.

    What would be refused is told as faults, with remedies.
    """
    return Json(views.view(app.delivery.propose(spec), foresight.Proposal))


@router.post("/deployments/canary", **call(takes=CanaryRequest, gives=types.Deployment, status=201))
def create_canary(
    asked: Annotated[CanaryRequest, Depends(body(CanaryRequest))],
    app: Services,
    actor: Actor = "api",
) -> Response:
    """Begin a canary."""
    return Json(_view(app.delivery.create(canary_spec(asked), actor=actor)), status_code=201)


@router.post(
    "/deployments/blue-green", **call(takes=BlueGreenRequest, gives=types.Deployment, status=201)
)
def create_blue_green(
    asked: Annotated[BlueGreenRequest, Depends(body(BlueGreenRequest))],
    app: Services,
    actor: Actor = "api",
) -> Response:
    """Begin a blue-green switch."""
    return Json(_view(app.delivery.create(blue_green_spec(asked), actor=actor)), status_code=201)


def _view(deployment: Deployment) -> types.Deployment:
    return views.view(deployment, types.Deployment)
