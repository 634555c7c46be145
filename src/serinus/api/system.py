"""Health, and the routing table in force."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import structlog
from fastapi import APIRouter, Request, Response
from sqlalchemy import text

from serinus.api.messages import Json, call
from serinus.api.services import Services
from serinus.app import App
from serinus.client.types import Health, Part
from serinus.errors import SerinusError
from serinus.wire import RoutingTable

router = APIRouter(tags=["system"])
log = structlog.get_logger(__name__)

VERSION = version("serinus")
# More than may be left at the end of a block that has begun.
_PROBE_BYTES = 65_536


class Watched(Protocol):
    """A loop of this process that can say how it is."""

    def part(self) -> Part:
        """Its health."""
        ...


@router.get("/health", **call(gives=Health))
def health(request: Request) -> Response:
    """Whether the control plane answers and its loops run. 503 if one does not."""
    loops = tuple(loop.part() for loop in _loops(request))
    return _answer(loops)


@router.get("/system/health", **call(gives=Health))
def system_health(request: Request, app: Services) -> Response:
    """The health of every part of the installation; 503 if one is not ok."""
    loops = (loop.part() for loop in _loops(request))
    return _answer((_database(app), _disk(app.settings.home), *_gateways(app), *loops))


@router.get("/routing", **call(gives=RoutingTable))
def routing(app: Services) -> Response:
    """The routing table that the gateways should have."""
    return Json(app.delivery.routing())


def _loops(request: Request) -> Sequence[Watched]:
    loops: Sequence[Watched] = request.app.state.loops
    return loops


def _answer(parts: tuple[Part, ...]) -> Response:
    fine = all(part.status == "ok" for part in parts)
    document = Health("ok" if fine else "degraded", VERSION, parts)
    return Json(document, status_code=200 if fine else 503)


def _database(app: App) -> Part:
    try:
        with app.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except Exception as error:
        # Whatever a driver raises, health must answer, with what is wrong.
        log.warning("the database does not answer", error=str(error))
        return Part("database", "failing", type(error).__name__)
    return Part("database", "ok", app.engine.dialect.name)


def _disk(home: Path) -> Part:
    """Whether something can be written: gateways and loops tell only once they have to."""
    probe = home / f".room-{secrets.token_hex(4)}"
    try:
        probe.write_bytes(bytes(_PROBE_BYTES))
    except OSError as error:
        return Part("disk", "failing", f"the state folder cannot be written ({error.strerror})")
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return Part("disk", "ok", f"{shutil.disk_usage(home).free / 1e9:,.1f} GB free")


def _gateways(app: App) -> list[Part]:
    try:
        workers = app.delivery.workers()
        revision = app.delivery.routing().revision
    except SerinusError as error:
        return [Part("gateway", "failing", error.what)]
    if not workers:
        return [Part("gateway", "failing", "no gateway worker reports; start `serinus gateway`")]
    return [
        Part(
            f"gateway {worker['worker']}",
            "failing" if worker["failed"] else "ok",
            "; ".join(f"{name}: {why}" for name, why in worker["failed"].items())
            or f"revision {worker['revision']} of {revision}",
        )
        for worker in workers
    ]
