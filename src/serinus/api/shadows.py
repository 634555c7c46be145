"""Shadow reports: what two versions answered to the same requests."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from serinus.api.messages import Json, call
from serinus.api.services import Services
from serinus.app import views
from serinus.client.shadows import ShadowReport
from serinus.delivery.shadows.report import MOST_PAIRS, PAIRS

router = APIRouter(tags=["deployments"])

Pairs = Annotated[int, Query(ge=1, le=MOST_PAIRS, description="at most so many, the newest")]


@router.get("/deployments/{deployment}/shadow", **call(gives=ShadowReport))
def shadow(app: Services, deployment: str, pairs: Pairs = PAIRS) -> Response:
    """Where the two versions of a deployment differ, and who was right.

    It is computed from the ledger: the newest pairs, of a live deployment or of an ended one.
    """
    return Json(views.view(app.shadows.report(deployment, pairs), ShadowReport))
