"""Accepts connections of a listening socket that several workers may share."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket

from serinus import clock
from serinus.serving.http.connection import SWEEP_SECONDS, Connection, Shared
from serinus.serving.telling.board import Board

COURTESY_SECONDS = 0.001
"""How long a worker with more connections than others leaves a new one to these."""
EXHAUSTED_SECONDS = 0.5
"""How long no connection is taken when the system has no room for one."""

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_log = logging.getLogger("serinus.serving")


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
        self._is_exhausted = False
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
        if not self._board.has_fewest(self._slot):
            self._pause(COURTESY_SECONDS)
        elif not self._accept():
            self._pause(EXHAUSTED_SECONDS)

    def _pause(self, seconds: float) -> None:
        # Who waits in the listener's queue would be offered again at once.
        self._loop.remove_reader(self._listener)
        self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        if self._has_stopped:
            return
        if self._accept():
            self._loop.add_reader(self._listener, self._offered)
        else:
            self._loop.call_later(EXHAUSTED_SECONDS, self._resume)

    def _seat(self) -> None:
        self._board.seat(self._slot, len(self._shared.connections) + len(self._joining))

    def _accept(self) -> bool:
        """Take a connection if there is one; whether the system has room for another."""
        try:
            accepted, _ = self._listener.accept()
        except OSError as error:
            # Else another worker was faster, or the client is gone.
            if error.errno in _EXHAUSTED:
                self._note_exhausted(error)
                return False
            return True
        self._is_exhausted = False
        try:
            accepted.settimeout(0.0)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            accepted.close()
            return True
        joining = self._loop.create_task(self._join(accepted))
        self._joining.add(joining)
        joining.add_done_callback(self._joining.discard)
        self._seat()
        return True

    def _note_exhausted(self, error: OSError) -> None:
        if not self._is_exhausted:
            self._is_exhausted = True
            _log.error(
                "no room for more than %d connections (%s): the others wait. "
                "Raise the limit of open files, or run more workers.",
                len(self._shared.connections),
                error.strerror,
            )

    async def _join(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: Connection(self._shared), accepted)
        except OSError:
            accepted.close()
