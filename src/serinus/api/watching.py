"""Deployments as they go: server-sent events of one or of all, and how long they will take.

A stream tells the present state at once and then each change. Its ids are positions: who comes back
with ``Last-Event-ID`` gets what changed since, or everything if the control plane was restarted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Annotated

import structlog
from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.exc import SQLAlchemyError

from serinus import clock
from serinus.api.messages import Json, call
from serinus.api.services import Services
from serinus.app import views
from serinus.app.lookout import TICK_SECONDS, Lookout, Sight
from serinus.client import foresight
from serinus.errors import SerinusError

router = APIRouter(tags=["deployments"])

KEEPALIVE_SECONDS = 5.0
"""A silent stream gives a sign so often: a client that hears nothing for longer comes back."""

_log = structlog.get_logger(__name__)

Position = Annotated[
    str | None, Header(alias="last-event-id", description="the id of the last event that came")
]


@router.get("/deployments/events")
async def all_events(
    request: Request, app: Services, model: str | None = None, last: Position = None
) -> StreamingResponse:
    """Server-sent events: every live deployment in a line, at once and whenever one changed.

    The event is ``glance``. A deployment that ends comes a last time.
    """
    if model is not None:
        await asyncio.to_thread(app.model, model)
    lookout = app.lookout

    def news(after: int) -> list[Sight]:
        return lookout.glances(after, model)

    return _answer(_Stream(lookout, None, "glance", news, request.app.state.stopping), last)


@router.get("/deployments/{deployment}/events")
async def events(
    request: Request, app: Services, deployment: str, last: Position = None
) -> StreamingResponse:
    """Server-sent events: the deployment's status, at once and whenever it changed.

    The stream ends after the deployment did.
    """
    await asyncio.to_thread(app.delivery.get, deployment)
    lookout = app.lookout

    def news(after: int) -> list[Sight]:
        found = lookout.status(deployment, after)
        return [found] if found else []

    return _answer(_Stream(lookout, deployment, "status", news, request.app.state.stopping), last)


@router.get("/deployments/{deployment}/forecast", **call(gives=foresight.Forecast))
def prognosis(app: Services, deployment: str) -> Response:
    """How the deployment's plan goes with the traffic of late: simulated, nothing changes."""
    return Json(views.view(app.prognoses.of(deployment), foresight.Forecast))


class _Stream:
    """One watcher: what is new to it, as the bytes of its events."""

    def __init__(
        self,
        lookout: Lookout,
        deployment: str | None,
        name: str,
        news: Callable[[int], list[Sight]],
        stopping: Callable[[], bool],
    ) -> None:
        self._lookout = lookout
        self._deployment = deployment
        self._name = name.encode()
        self._news = news
        self._stopping = stopping

    async def run(self, last: str | None) -> AsyncIterator[bytes]:
        """The events from a position on."""
        after = self._position(last)
        told = clock.monotonic()
        # A proxy or a client that waits for the first byte has it.
        yield b": watching\n\n"
        with self._lookout.watching(self._deployment):
            while not self._stopping():
                found = await self._fresh(after)
                for sight in found:
                    after, told = sight.number, clock.monotonic()
                    yield self._event(sight)
                if self._deployment is not None and any(not sight.live for sight in found):
                    yield b"event: end\ndata: {}\n\n"
                    return
                if clock.monotonic() - told >= KEEPALIVE_SECONDS:
                    told = clock.monotonic()
                    yield b": still here\n\n"
                # All watchers wake together, so that one look serves them.
                await asyncio.sleep(TICK_SECONDS - clock.monotonic() % TICK_SECONDS)

    async def _fresh(self, after: int) -> list[Sight]:
        try:
            await self._lookout.fresh()
        except (SQLAlchemyError, SerinusError) as error:
            # The store is away for a moment; the stream stays and goes on when it is back.
            _log.warning("watchers could not be served", why=str(error).partition("\n")[0])
            return []
        return self._news(after)

    def _position(self, last: str | None) -> int:
        run, _, number = (last or "").partition("-")
        known = run == self._lookout.run and number.isascii() and number.isdigit()
        return int(number) if known else 0

    def _event(self, sight: Sight) -> bytes:
        place = f"{self._lookout.run}-{sight.number}".encode()
        return b"id: %b\nevent: %b\ndata: %b\n\n" % (place, self._name, sight.data)


def _answer(stream: _Stream, last: str | None) -> StreamingResponse:
    return StreamingResponse(
        stream.run(last),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )
