"""An open-loop load: requests leave when they are due, however long earlier ones take.

Over a few kept connections with one request under way on each. A request that is due while all
are busy waits, and its latency counts from when it was due: a server that stalls cannot hide that
by holding back its clients.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import cast

from serinus import clock
from serinus.errors import InvalidInput
from serinus.stress.answers import Answer, Parser

_LAST_SECONDS = 15.0
_RETRY_SECONDS = 0.02


@dataclass(frozen=True)
class Reply:
    """An answer to request ``number``, over the connection ``connection``; monotonic seconds."""

    number: int
    connection: int
    due: float
    done: float
    answer: Answer

    @property
    def latency(self) -> float:
        """Seconds from when the request was due."""
        return self.done - self.due


class OpenLoad:
    """Sends requests at a steady rate for as long as the ``async with`` block lasts.

    Args:
        port: of the server on this machine.
        request: the bytes of request number n.
        take: is called with each reply.
        rate: requests a second.
        connections: that are kept open.
        chance: draws when requests are due, as from many clients that know nothing of each other;
            None is at even intervals.

    Attributes:
        sent: requests that were due.
        dropped: requests without an answer: their connection broke, or none came in time.
    """

    def __init__(
        self,
        port: int,
        request: Callable[[int], bytes],
        take: Callable[[Reply], None],
        *,
        rate: float,
        connections: int,
        chance: Random | None = None,
    ) -> None:
        self._port = port
        self._request = request
        self._take = take
        self._rate = rate
        self._connections = connections
        self._chance = chance
        self._open: set[_Connection] = set()
        self._idle: deque[_Connection] = deque()
        self._waiting: deque[tuple[int, float]] = deque()
        self._under_way = 0
        self.opened = 0
        self._ended = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.sent = 0
        self.dropped: list[str] = []

    async def __aenter__(self) -> OpenLoad:
        self.widen(self._connections)
        self._pacing = asyncio.create_task(self._pace())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pacing.cancel()
        deadline = clock.monotonic() + _LAST_SECONDS
        while self._under_way + len(self._waiting) and clock.monotonic() < deadline:
            await asyncio.sleep(0.01)
        self._ended = True
        unanswered = self._under_way + len(self._waiting)
        self.dropped += [f"no answer within {_LAST_SECONDS:g} s"] * unanswered
        for task in self._tasks:
            task.cancel()
        for connection in self._open:
            connection.close()
        # Connections are closed by the loop's next turns.
        await asyncio.sleep(0)

    def widen(self, connections: int) -> None:
        """Keep so many connections more."""
        for _ in range(connections):
            self._start()

    async def _pace(self) -> None:
        due, chance = clock.monotonic(), self._chance
        while True:
            now = clock.monotonic()
            while due <= now:
                self._send(self.sent, due)
                self.sent += 1
                due += 1.0 / self._rate if chance is None else chance.expovariate(self._rate)
            await asyncio.sleep(due - now)

    def _send(self, number: int, due: float) -> None:
        if self._idle:
            self._under_way += 1
            self._idle.popleft().ask(number, due, self._request(number))
        else:
            self._waiting.append((number, due))

    def _start(self) -> None:
        task = asyncio.create_task(self._connect())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        place, self.opened = self.opened, self.opened + 1
        while True:
            try:
                await loop.create_connection(
                    lambda: _Connection(self, place), "127.0.0.1", self._port
                )
            except OSError:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    # ------------------------------------------------------------------ told by connections

    def joined(self, connection: _Connection) -> None:
        """A connection is there."""
        self._open.add(connection)
        self.free(connection)

    def free(self, connection: _Connection) -> None:
        """A connection has nothing under way: it takes what has waited the longest."""
        self._idle.append(connection)
        if self._waiting:
            self._send(*self._waiting.popleft())

    def answered(self, connection: _Connection, reply: Reply) -> None:
        """A connection has received an answer."""
        self._under_way -= 1
        self._take(reply)
        if not reply.answer.closes:
            self.free(connection)

    def lost(self, connection: _Connection, asked: int | None, why: str) -> None:
        """A connection is gone; ``asked`` was under way on it."""
        self._open.discard(connection)
        if self._ended:
            return
        if asked is not None:
            self._under_way -= 1
            self.dropped.append(why)
        elif connection in self._idle:
            self._idle.remove(connection)
        self._start()


class _Connection(asyncio.Protocol):
    def __init__(self, load: OpenLoad, place: int) -> None:
        self._load = load
        self._place = place
        self._parser = Parser()
        self._asked: tuple[int, float] | None = None
        self._transport: asyncio.WriteTransport | None = None

    def ask(self, number: int, due: float, request: bytes) -> None:
        """Send a request; ``answered`` or ``lost`` of the load is called later."""
        assert self._transport is not None
        self._asked = (number, due)
        self._transport.write(request)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take part in the load."""
        # Uvloop's own transports are of no class that could be asked for.
        self._transport = cast(asyncio.WriteTransport, transport)
        self._load.joined(self)

    def data_received(self, data: bytes) -> None:
        """Hand an answer on; one that nobody asked for breaks the connection."""
        try:
            answers = self._parser.feed(data)
        except InvalidInput:
            self.close()
            return
        for answer in answers:
            if self._asked is None:
                self.close()
                return
            (number, due), self._asked = self._asked, None
            done = clock.monotonic()
            self._load.answered(self, Reply(number, self._place, due, done, answer))

    def connection_lost(self, error: Exception | None) -> None:
        """Tell what was under way."""
        number, asked = None, self._asked
        if asked is not None:
            number, self._asked = asked[0], None
        rest = self._parser.rest[:80]
        self._load.lost(self, number, f"request {number}: connection lost ({error}, {rest!r})")
