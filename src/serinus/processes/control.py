"""The control plane's process: API and pages, the loops of controller, monitor and archive."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
import uvicorn

from serinus import logs
from serinus.app import App
from serinus.deferred import Deferred
from serinus.processes import home, ports
from serinus.processes.loop import Loop
from serinus.processes.watch import Watch
from serinus.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from serinus.api import application
    from serinus.dashboard import pages
else:
    # Deployments are led again while these are still being imported.
    application = Deferred("serinus.api.application")
    pages = Deferred("serinus.dashboard.pages")

log = structlog.get_logger(__name__)

# An idle controller rests this many times longer: only new deployments wait for it.
_IDLE_FACTOR = 10
# Monitoring closes windows of minutes or hours: a look a second is plenty, fewer when idle.
_MONITOR_SECONDS = 1.0
_MONITOR_IDLE_SECONDS = 5.0
# Segments are finished every few minutes at most, and nobody waits for their archive.
_ARCHIVE_SECONDS = 5.0
_ARCHIVE_IDLE_SECONDS = 60.0
_LOOP_END_SECONDS = 5.0
# How long open answers (event streams above all) may take to end.
_DRAIN_SECONDS = 3


def run(settings: Settings, *, ready: Callable[[], None] = lambda: None) -> None:
    """Serve the control plane until SIGTERM or SIGINT.

    Args:
        settings: the installation.
        ready: called once requests are answered.

    Raises:
        InvalidInput: the port is taken, or the state folder cannot be written.
        Unavailable: the database cannot be reached.
    """
    logs.configure(settings.log_level, process="control")
    listener = ports.listen(settings.host, settings.control_port, setting="control_port")
    home.prepare(settings.home)
    app = App(settings)
    # What cannot be used stops the start, not the first who asks for it.
    _ = app.engine, app.types
    stop = threading.Event()
    loops = _loops(app, stop)
    app.wakers += [app.controller.wake, loops[0].wake]
    loops[0].start()
    try:
        faces = application.create(app, loops=loops, stopping=lambda: server.should_exit)
        pages.install(faces)
        server = _Server(faces, ready)
        for loop in loops[1:]:
            loop.start()
        log.info("control plane answers", url=_url(listener))
        server.run(sockets=[listener])
    finally:
        stop.set()
        for loop in loops:
            loop.join(_LOOP_END_SECONDS)
        _give_up_lead(app)
        app.engine.dispose()
        log.info("control plane stopped")


def _give_up_lead(app: App) -> None:
    try:
        app.controller.close()
    except Exception:
        # The store is away: the lease runs out by itself.
        log.exception("the controller's lease could not be given up")


def _loops(app: App, stop: threading.Event) -> list[Loop]:
    interval = app.settings.controller_interval_seconds
    return [
        Loop(
            "controller",
            app.controller.step,
            stop,
            shortest=interval,
            longest=_IDLE_FACTOR * interval,
        ),
        Loop(
            "monitoring",
            Watch(app).look,
            stop,
            shortest=_MONITOR_SECONDS,
            longest=_MONITOR_IDLE_SECONDS,
        ),
        Loop(
            "archive",
            app.archiving.step,
            stop,
            shortest=_ARCHIVE_SECONDS,
            longest=_ARCHIVE_IDLE_SECONDS,
        ),
    ]


class _Server(uvicorn.Server):
    """A server that says when it answers."""

    def __init__(self, faces: FastAPI, ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                faces,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=_DRAIN_SECONDS,
            )
        )
        self._ready = ready

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT; uvicorn's own would end the process before its loops."""
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        if self.started:
            self._ready()


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}"
