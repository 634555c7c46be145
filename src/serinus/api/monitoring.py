"""Monitoring: how a model does, how far its inputs moved, and what is recommended."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from serinus.api.messages import Json, Limit, call
from serinus.api.services import Services
from serinus.client import types

router = APIRouter(tags=["monitoring"])


@router.get("/models/{model}/performance-history", **call(gives=types.Page[dict[str, Any]]))
def performance_history(app: Services, model: str, limit: Limit = 100) -> Response:
    """Performance by window from the labels that came, newest first."""
    app.registry.versions(model, 1)
    return Json({"items": app.monitor.performance_history(model, limit), "next": None})


@router.get("/models/{model}/drift-history", **call(gives=types.Page[dict[str, Any]]))
def drift_history(app: Services, model: str, limit: Limit = 100) -> Response:
    """Drift of the inputs and of the answers by window against training, newest first."""
    app.registry.versions(model, 1)
    return Json({"items": app.monitor.drift_history(model, limit), "next": None})


@router.get("/models/{model}/recommendation", **call(gives=types.Recommendation))
def recommendation(app: Services, model: str) -> Response:
    """NO_ACTION_NEEDED, LOOK_AT_FAILURES, RETRAIN_SOON or RETRAIN_IMMEDIATELY, with reasons."""
    app.registry.versions(model, 1)
    return Json(app.monitor.recommendation(model))


@router.get("/monitoring/start", **call(gives=types.Monitoring))
def start(request: Request, app: Services) -> Response:
    """Monitoring runs as long as the control plane does; this says so, as often as asked."""
    return status(request, app)


@router.get("/monitoring/status", **call(gives=types.Monitoring))
def status(request: Request, app: Services) -> Response:
    """Whether monitoring runs, by which settings, and what it recommends for each champion."""
    settings = app.settings
    parts = [loop.part() for loop in request.app.state.loops]
    running = any(part.name == "monitoring" and part.status == "ok" for part in parts)
    return Json(
        types.Monitoring(
            running=running,
            window_seconds=settings.monitoring_window_seconds,
            window_rows=settings.monitoring_window_rows,
            false_alarm_windows=settings.drift_false_alarm_windows,
            retrain_automatically=settings.retrain_automatically,
            models={name: app.monitor.recommendation(name).action for name in champions(app)},
        )
    )


def champions(app: Services) -> list[str]:
    """The models that have a champion, and so are watched."""
    return sorted(app.registry.champions())
