"""One worker process: socket -> connections -> application, from its start to its drained end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import logging
import resource
import signal
import socket
import sys
import warnings
from collections.abc import Callable

import uvloop

from serinus import clock
from serinus.errors import SerinusError, Unavailable
from serinus.ledger.opening import open_writer, prepare
from serinus.ledger.types import Writer
from serinus.serving.http.application import Application
from serinus.serving.http.connection import Limits, Shared
from serinus.serving.http.server import Server
from serinus.serving.loading.table import RoutingFile
from serinus.serving.runtimes import preload
from serinus.serving.service import Service
from serinus.serving.telling.board import Board
from serinus.serving.types import GatewayOptions

FIRST_LOAD_SECONDS = 20.0
SLOWEST_SECONDS = 2.0
NOTICE_SECONDS = 0.25
SHADOW_SECONDS = 1.0
BACKLOG = 2_048
SWITCH_SECONDS = 0.000_5
EXPIRY_SECONDS = 0.02
"""How late a request may hear that its time is over."""

_log = logging.getLogger("serinus.serving")


def run(
    options: GatewayOptions,
    *,
    listener: socket.socket | None = None,
    board: Board | None = None,
    slot: int = 0,
    parent: int | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was begun and return.

    Args:
        options: of the gateway.
        listener: the socket that several workers share; made here if there is only this one.
        board: where the workers show their counts.
        slot: this worker's place there.
        parent: a pipe's reading end; when its other end closes, the worker ends.

    Raises:
        Unavailable: the port is taken, or the ledger cannot be written.
    """
    # Rows reach a model with or without names only where that was found to change nothing.
    warnings.filterwarnings("ignore", message="X (does not have valid|has) feature names")
    # A model's thread must not wait 5 ms, the default, each time the loop holds the interpreter.
    sys.setswitchinterval(SWITCH_SECONDS)
    # A connection is a descriptor; the soft limit, often 1,024, is for programs that use select().
    with contextlib.suppress(ValueError, OSError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    listener = listener or listen(options.host, options.port)
    prepare(options.ledger)
    writer = open_writer(
        options.ledger, segment_bytes=options.ledger_segment_bytes, sync=options.ledger_sync
    )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(
                _serve(options, listener, writer, board=board or Board(), slot=slot, parent=parent)
            )
    finally:
        writer.close()


def preloaded(options: GatewayOptions) -> tuple[str, ...]:
    """The modules that whoever forks workers imports first, so that these share them."""
    table = None
    with contextlib.suppress(SerinusError):
        table = RoutingFile(options.routing_table).read()
    return preload.modules(table)


def listen(host: str, port: int, *, patience_seconds: float = 3.0) -> socket.socket:
    """A socket that listens on an address.

    A predecessor that is ending may hold the port a moment longer, so it is tried for a while.

    Raises:
        Unavailable: somebody else listens there, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    deadline = clock.monotonic() + patience_seconds
    while True:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            if clock.monotonic() >= deadline:
                raise Unavailable(
                    f"the gateway cannot listen on {host}:{port} ({error.strerror})",
                    where="gateway_port",
                    remedy="End the other program, or choose another port.",
                ) from error
            clock.sleep(0.05)
        else:
            return listener


async def _serve(
    options: GatewayOptions,
    listener: socket.socket,
    writer: Writer,
    *,
    board: Board,
    slot: int,
    parent: int | None,
) -> None:
    loop = asyncio.get_running_loop()
    service = Service(options, writer, loop, board=board, slot=slot)
    application = Application(service, options, loop)
    limits = Limits(options.request_max_bytes, options.request_timeout_seconds)
    shared = Shared(limits, application.handle, application.refuse_early)
    server = Server(loop, shared, listener, board=board, slot=slot)
    stop = asyncio.Event()
    _on_end(loop, stop.set, parent)
    stopping = loop.create_task(stop.wait())
    await _first_load(service, stopping, is_alone=board.is_alone(slot))
    # What was loaded stays: looking through all of it for garbage again and again would stop
    # the loop for 100 ms each time.
    gc.collect()
    gc.freeze()
    remote = None
    if options.grpc_port:
        # An extra: whoever does not ask for it neither needs it nor pays for it.
        grpc = importlib.import_module("serinus.serving.grpc")
        remote = await grpc.start(service, options, application.is_ready)
    server.start()
    _log.info("worker %s listens on %s:%d", writer.name, options.host, options.port)
    lives = (service.follow(), _expire(service), server.sweep())
    beside = [loop.create_task(life) for life in lives]
    # Whatever ends first: nothing here ends by itself unless something is wrong.
    done, _ = await asyncio.wait([*beside, stopping], return_when=asyncio.FIRST_COMPLETED)
    # First the notice: answers ask clients to close, so that few meet a closed connection.
    application.is_draining = shared.is_draining = True
    await asyncio.sleep(NOTICE_SECONDS)
    limit = options.request_timeout_seconds + 1.0
    await asyncio.gather(server.stop(limit), *([remote.stop(limit)] if remote else ()))
    await service.drain(SHADOW_SECONDS)
    for task in [*beside, stopping]:
        task.cancel()
    for task in done - {stopping}:
        task.result()


async def _first_load(service: Service, stopping: asyncio.Task[object], *, is_alone: bool) -> None:
    """Wait until the first table is loaded, or this worker is to end.

    Connections wait in the listener's queue meanwhile, so few meet a gateway half loaded. One
    that has nobody beside it does not make all its models wait for the slowest.
    """
    loading = asyncio.ensure_future(service.reload())
    begun = clock.monotonic()
    while not (loading.done() or stopping.done()):
        waited = clock.monotonic() - begun
        if waited > FIRST_LOAD_SECONDS:
            break
        if is_alone and waited > SLOWEST_SECONDS and service.snapshot.serves:
            break
        await asyncio.wait({loading, stopping}, timeout=0.05, return_when=asyncio.FIRST_COMPLETED)
    loading.cancel()


def _on_end(loop: asyncio.AbstractEventLoop, stop: Callable[[], None], parent: int | None) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    if parent is not None:

        def orphaned() -> None:
            loop.remove_reader(parent)
            stop()

        # Readable means closed: nobody ever writes there.
        loop.add_reader(parent, orphaned)


async def _expire(service: Service) -> None:
    while True:
        await asyncio.sleep(EXPIRY_SECONDS)
        service.tickets.expire()
