"""Monitoring: how a model does, how far its inputs moved, and what is recommended."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from serinus import clock
from serinus.api.messages import After, Json, Limit, call, page
from serinus.api.services import Services
from serinus.client import monitoring, types
from serinus.errors import InvalidInput
from serinus.monitoring.minutes import Range, minute_of
from serinus.monitoring.types import Profile

Since = Annotated[datetime | None, Query(description="from this minute on; the last day")]
Until = Annotated[datetime | None, Query(description="up to this minute, which is included")]
Resolution = Annotated[
    Literal["minute", "hour", "day", "all"], Query(description="what is summed up in one item")
]
_MINUTES = {"minute": 1, "hour": 60, "day": 1_440, "all": 0}

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


@router.get("/models/{model}/profiles", **call(gives=types.Page[monitoring.Profile]))
def profiles(
    app: Services,
    model: str,
    version: str | None = None,
    since: Since = None,
    until: Until = None,
    resolution: Resolution = "hour",
    after: After = None,
    limit: Limit = 100,
) -> Response:
    """What the traffic of a model's versions looked like by their own times, oldest first."""
    app.registry.versions(model, 1)
    now = clock.now()
    wanted = Range(
        since=minute_of(since or (until or now) - timedelta(days=1)),
        # Whole minutes, the one that has begun included.
        until=minute_of(until or now + timedelta(days=1)) + 1,
        step=_MINUTES[resolution],
        version=version,
        after=_place(after),
    )
    return page(app.monitor.profiles(model, wanted, limit), limit, _cursor)


def _cursor(item: Profile) -> str:
    return f"{minute_of(item.since)},{item.version}"


def _place(after: str | None) -> tuple[int, str] | None:
    if after is None:
        return None
    minute, comma, version = after.partition(",")
    if not (comma and minute.isascii() and minute.isdigit()):
        raise InvalidInput(
            f"{after[:100]!r} is no place in this list",
            where="after",
            remedy="Give the `next` of the page before.",
        )
    return int(minute), version


@router.get("/models/{model}/recommendation", **call(gives=monitoring.Recommendation))
def recommendation(app: Services, model: str) -> Response:
    """NO_ACTION_NEEDED, LOOK_AT_FAILURES, RETRAIN_SOON or RETRAIN_IMMEDIATELY, with reasons."""
    app.registry.versions(model, 1)
    return Json(app.monitor.recommendation(model))


@router.get("/monitoring/start", **call(gives=monitoring.Monitoring))
def start(request: Request, app: Services) -> Response:
    """Monitoring runs as long as the control plane does; this says so, as often as asked."""
    return status(request, app)


@router.get("/monitoring/status", **call(gives=monitoring.Monitoring))
def status(request: Request, app: Services) -> Response:
    """Whether monitoring runs, by which settings, and what it recommends for each champion."""
    settings = app.settings
    parts = [loop.part() for loop in request.app.state.loops]
    running = any(part.name == "monitoring" and part.status == "ok" for part in parts)
    return Json(
        monitoring.Monitoring(
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
