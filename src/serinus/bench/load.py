"""The load: keep-alive connections with one request under way on each, closed or open.

Closed: a connection sends its next request once the last is answered; what a server can do at
most. Open: requests fall due at a fixed rate whatever the server does, and a latency begins when
its request fell due, not when a connection was free to send it: a server that stalls pays for
everything that it kept waiting.

Runs as a process of its own (``python -m serinus.bench.load``) and does next to nothing per
request, so that one core of it can keep one core of any server busy; ``busy`` tells whether it
could.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import selectors
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from serinus.errors import Unavailable

_END = b"\r\n\r\n"
_LENGTH = b"content-length: "
_STALLED_SECONDS = 30.0
_BUFFER = 262_144


class Order(msgspec.Struct, frozen=True):
    """What to ask, of whom, and for how long.

    ``bodies`` take turns, so that no server gains from being asked the same again. ``rate`` is
    in requests per second; 0 is a closed loop.
    """

    port: int
    path: str
    bodies: tuple[bytes, ...]
    connections: int
    seconds: float
    rate: float = 0.0
    content_type: str = "application/json"


class Tally(msgspec.Struct, frozen=True):
    """What came of it. Latencies in milliseconds; ``refused`` is every answer but 200.

    ``busy`` is the share of the time in which the load itself was at work: near 1 in a closed
    loop, it is the load that was measured. ``late_ms`` (open loop) is the 99th percentile of how
    long a request that was due, and had a connection, was not sent: the load's own fault, or that
    of whatever else the machine does. ``cpu_us`` is the server's processor time for an answer in
    microseconds; whoever knows the server's processes adds it.
    """

    answered: int
    refused: int
    seconds: float
    p50_ms: float
    p99_ms: float
    busy: float = 0.0
    late_ms: float = 0.0
    cpu_us: float = 0.0

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return self.answered / self.seconds


class _Connection:
    # When its request was sent, or fell due; while it has none, since when it is free.
    __slots__ = ("begun", "receive", "received", "send", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # With a time limit each call would ask the system twice: first whether it may.
        self.socket.settimeout(None)
        self.send = self.socket.sendall
        self.receive = self.socket.recv
        self.received = b""
        self.begun = 0.0


def drive(order: Order) -> Tally:
    """Send requests for the ordered time and count the answers.

    Raises:
        Unavailable: the server closed a connection, or stopped answering.
    """
    requests = itertools.cycle(_requests(order))
    run = _Run(order.path)
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as opened, _no_collector():
        connections = [_Connection(order.port) for _ in range(order.connections)]
        for connection in connections:
            opened.enter_context(connection.socket)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        worked = time.process_time()
        started = time.perf_counter()
        if order.rate:
            run.open(selector, connections, requests, order)
        else:
            run.closed(selector, connections, requests, order.seconds)
        seconds = time.perf_counter() - started
        worked = time.process_time() - worked
    p50, p99 = _quantiles(run.latencies, (0.5, 0.99))
    [late] = _quantiles(run.late, (0.99,))
    return Tally(len(run.latencies), run.refused, seconds, p50, p99, worked / seconds, late)


class _Run:
    """What one run has seen so far."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.latencies: list[float] = []
        self.late: list[float] = []
        self.refused = 0

    def closed(
        self,
        selector: selectors.BaseSelector,
        connections: Sequence[_Connection],
        requests: Iterator[bytes],
        seconds: float,
    ) -> None:
        """Each connection sends again once it is answered."""
        clock = time.perf_counter
        latencies, answered = self.latencies, self._answered
        now = clock()
        end = now + seconds
        for connection in connections:
            connection.begun = clock()
            connection.send(next(requests))
        while now < end:
            for key, _ in self._ready(selector, _STALLED_SECONDS):
                connection = key.data
                if answered(connection):
                    now = clock()
                    latencies.append(now - connection.begun)
                    connection.begun = now
                    connection.send(next(requests))

    def open(
        self,
        selector: selectors.BaseSelector,
        connections: Sequence[_Connection],
        requests: Iterator[bytes],
        order: Order,
    ) -> None:
        """Requests at their times, by whichever connection is free; then the rest of the answers.

        Never sleeps, for the system wakes nobody to the tenth of a millisecond.
        """
        clock = time.perf_counter
        total = max(1, round(order.seconds * order.rate))
        free = deque(connections)
        started = alive = clock()
        sent = done = 0
        while done < total:
            now = clock()
            while free and sent < total and started + sent / order.rate <= now:
                connection = free.popleft()
                free_since = connection.begun
                connection.begun = started + sent / order.rate
                self.late.append(now - max(connection.begun, free_since))
                connection.send(next(requests))
                sent += 1
                now = clock()
            for key, _ in selector.select(0):
                connection = key.data
                if self._answered(connection):
                    alive = clock()
                    self.latencies.append(alive - connection.begun)
                    connection.begun = alive
                    free.append(connection)
                    done += 1
            if done < sent and clock() - alive > _STALLED_SECONDS:
                raise self._stalled()

    def _ready(
        self, selector: selectors.BaseSelector, seconds: float
    ) -> list[tuple[selectors.SelectorKey, int]]:
        ready = selector.select(seconds)
        if not ready:
            raise self._stalled()
        return ready

    def _stalled(self) -> Unavailable:
        return Unavailable("the server stopped answering", where=self._path)

    def _answered(self, connection: _Connection) -> bool:
        """Read what came; whether that makes an answer."""
        part = connection.receive(_BUFFER)
        if not part:
            raise Unavailable("the server closed a connection", where=self._path)
        data = connection.received + part if connection.received else part
        head = data.find(_END)
        if head < 0 or len(data) < head + 4 + _length(data, head):
            connection.received = data
            return False
        connection.received = b""
        if data[9:12] != b"200":
            self.refused += 1
        return True


def _length(data: bytes, head: int) -> int:
    """The bytes of an answer's body, from its head."""
    at = data.find(_LENGTH, 0, head)
    if at < 0:
        at = data[:head].lower().find(_LENGTH)
        if at < 0:
            raise Unavailable("the server does not say how long its answer is")
    at += len(_LENGTH)
    return int(data[at : data.index(b"\r", at)])


def _requests(order: Order) -> list[bytes]:
    return [
        (
            f"POST {order.path} HTTP/1.1\r\nhost: 127.0.0.1:{order.port}\r\n"
            f"content-type: {order.content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode()
        + body
        for body in order.bodies
    ]


def _quantiles(seconds: Sequence[float], levels: Sequence[float]) -> list[float]:
    """In milliseconds; zeros of nothing."""
    if not seconds:
        return [0.0] * len(levels)
    found: list[float] = (np.quantile(seconds, levels) * 1e3).tolist()
    return found


@contextlib.contextmanager
def _no_collector() -> Iterator[None]:
    """Python's collector would walk over every latency, and be seen in them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


if __name__ == "__main__":
    sys.stdout.buffer.write(
        msgspec.json.encode(drive(msgspec.json.decode(sys.stdin.buffer.read(), type=Order)))
    )
