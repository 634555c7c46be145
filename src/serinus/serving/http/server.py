"""Accepts connections of a listening socket that several workers may share."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from serinus import clock
from serinus.serving.board import Board
from serinus.serving.http.connection import SWEEP_SECONDS, Connection, Shared

COURTESY_SECONDS = 0.001
"""How long a worker with more connections than others leaves a new one to these."""


class Server:
    """All connections of one worker.

    Args:
        loop: the event loop.
        shared: limits and the handler of requests.
        listener: listens already; other workers may accept from it as well.
        board: where the workers see how many connections the others have.
        slot: this worker's place there.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        shared: Shared,
        listener: socket.socket,
        *,
        board: Board,
        slot: int,
    ) -> None:
        self._loop = loop
        self._shared = shared
        self._listener = listener
        self._board = board
        self._slot = slot
        self._has_stopped = False
        self._joining: set[asyncio.Task[object]] = set()

    def start(self) -> None:
        """Begin to accept."""
        self._listener.settimeout(0.0)
        self._shared.left = self._seat
        self._seat()
        self._loop.add_reader(self._listener, self._offered)

    async def sweep(self) -> None:
        """End what takes too long; runs for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for connection in list(self._shared.connections):
                connection.sweep()
            self._seat()

    async def stop(self, seconds: float) -> None:
        """Accept no more, answer what was asked within so many seconds, and close everything."""
        self._has_stopped = True
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

    def _offered(self) -> None:
        """Take a connection, one a turn; one with fewer of them may be faster for a moment."""
        if self._board.has_fewest(self._slot):
            self._accept()
        else:
            self._loop.remove_reader(self._listener)
            self._loop.call_later(COURTESY_SECONDS, self._resume)

    def _resume(self) -> None:
        if not self._has_stopped:
            self._accept()
            self._loop.add_reader(self._listener, self._offered)

    def _seat(self) -> None:
        self._board.seat(self._slot, len(self._shared.connections) + len(self._joining))

    def _accept(self) -> None:
        # Another worker may have been faster, or the client gone.
        with contextlib.suppress(OSError):
            accepted, _ = self._listener.accept()
            accepted.settimeout(0.0)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            joining = self._loop.create_task(self._join(accepted))
            self._joining.add(joining)
            joining.add_done_callback(self._joining.discard)
            self._seat()

    async def _join(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: Connection(self._shared), accepted)
        except OSError:
            accepted.close()
