"""Experiments: begin an A/B test, evaluate it, bring its winner to production."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Response

from serinus.api.deploying import FORMS, ABTestRequest, Asked, fields_of, in_words_of
from serinus.api.messages import After, Json, Limit, body, call, page
from serinus.api.services import Actor, Services
from serinus.app import views
from serinus.client import experiments, types
from serinus.delivery.types import Deployment

router = APIRouter(tags=["experiments"])


class WinnerRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which challenger is promoted (None: the proven winner), and why."""

    version: str | None = None
    reason: str = ""


@router.post(
    "/experiments", **call(takes=ABTestRequest, gives=types.Deployment, status=201, forms=FORMS)
)
def start(asked: Asked, app: Services, actor: Actor = "api") -> Response:
    """Begin an A/B test: versions side by side, to a planned end."""
    fields = fields_of(asked, "ab_test", {}, ABTestRequest)
    with in_words_of(asked, ABTestRequest):
        return Json(_view(app.delivery.create(fields, actor=actor)), status_code=201)


@router.get("/experiments/history", **call(gives=types.Page[types.Deployment]))
def history(
    app: Services,
    model: str | None = None,
    live: bool = False,  # noqa: FBT001, FBT002 - a query parameter has no other form
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """Experiments that ran or (with ``live`` only those that) still run, newest first."""
    found = app.experiments.page(model, limit=limit, after=after, live=live)
    return page([_view(item) for item in found], limit, lambda item: item.id)


@router.get("/experiments/{experiment}", **call(gives=experiments.ExperimentStatus))
def one(app: Services, experiment: str) -> Response:
    """An experiment: its deployment, and what may be said of it now."""
    found = app.experiments.evaluate(experiment)
    deployment = _view(app.delivery.get(experiment))
    evaluation = views.view(found, experiments.Evaluation)
    return Json(experiments.ExperimentStatus(deployment, evaluation))


@router.post("/experiments/{experiment}/evaluate", **call(gives=experiments.Evaluation))
def evaluate(app: Services, experiment: str) -> Response:
    """Winner, significance, confidence and recommendation.

    Before the planned end this is the view that is valid at every look, without any p-value; at
    the end it is the fixed-horizon report. ``title`` says which.
    """
    return Json(views.view(app.experiments.evaluate(experiment), experiments.Evaluation))


@router.post(
    "/experiments/{experiment}/promote-winner",
    **call(takes=WinnerRequest, gives=types.Deployment),
)
def promote_winner(
    experiment: str,
    asked: Annotated[WinnerRequest, Depends(body(WinnerRequest))],
    app: Services,
    actor: Actor = "api",
) -> Response:
    """Bring the proven winner to production now; refused where nobody has won."""
    promoted = app.experiments.promote_winner(
        experiment, version=asked.version, actor=actor, reason=asked.reason
    )
    return Json(_view(promoted))


def _view(deployment: Deployment) -> types.Deployment:
    return views.view(deployment, types.Deployment)
