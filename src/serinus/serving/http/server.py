"""Accepts connections of a listening socket that several workers may share."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from serinus import clock
from serinus.serving.http.connection import SWEEP_SECONDS, Connection, Shared


class Server:
    """All connections of one worker.

    Args:
        loop: the event loop.
        shared: limits and the handler of requests.
        listener: listens already; other workers may accept from it as well.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, shared: Shared, listener: socket.socket
    ) -> None:
        self._loop = loop
        self._shared = shared
        self._listener = listener
        self._joining: set[asyncio.Task[object]] = set()

    def start(self) -> None:
        """Begin to accept."""
        self._listener.settimeout(0.0)
        # One connection a turn: of workers that share the listener, none takes a burst for itself.
        self._loop.add_reader(self._listener, self._accept)

    async def sweep(self) -> None:
        """End what takes too long; runs for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for connection in list(self._shared.connections):
                connection.sweep()

    async def stop(self, seconds: float) -> None:
        """Accept no more, answer what was asked within so many seconds, and close everything."""
        self._loop.remove_reader(self._listener)
        connections = self._shared.connections
        deadline = clock.monotonic() + seconds
        while (self._joining or connections) and clock.monotonic() < deadline:
            for connection in list(connections):
                connection.close_if_idle()
            await asyncio.sleep(0.01)
        for connection in list(connections):
            connection.abort()
        await asyncio.sleep(0)

    def _accept(self) -> None:
        # Another worker may have been faster, or the client gone.
        with contextlib.suppress(OSError):
            accepted, _ = self._listener.accept()
            accepted.settimeout(0.0)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            joining = self._loop.create_task(self._join(accepted))
            self._joining.add(joining)
            joining.add_done_callback(self._joining.discard)

    async def _join(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: Connection(self._shared), accepted)
        except OSError:
            accepted.close()
