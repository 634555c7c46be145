"""The load: keep-alive connections that each send their next request once the last is answered.

Runs as a process of its own (``python -m serinus.bench.load``) and does next to nothing per
request, so that one core of it can keep one core of any Python server busy.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import sys
import time

import msgspec
import numpy as np

from serinus.errors import Unavailable

_END = b"\r\n\r\n"
_LENGTH = b"content-length: "
_STALLED_SECONDS = 10.0


class Order(msgspec.Struct, frozen=True):
    """What to ask, of whom, and for how long."""

    port: int
    path: str
    body: bytes
    connections: int
    seconds: float


class Tally(msgspec.Struct, frozen=True):
    """What came of it. Latencies in milliseconds; ``refused`` is every answer but 200."""

    answered: int
    refused: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return self.answered / self.seconds


class _Connection:
    __slots__ = ("received", "sent_at", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)


def drive(order: Order) -> Tally:
    """Send requests for the ordered time and count the answers.

    Raises:
        Unavailable: the server closed a connection, or stopped answering.
    """
    request = _request(order)
    latencies: list[float] = []
    refused = 0
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as opened:
        connections = [_Connection(order.port) for _ in range(order.connections)]
        for connection in connections:
            opened.enter_context(connection.socket)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        started = time.perf_counter()
        for connection in connections:
            connection.send(request)
        end = started + order.seconds
        now = started
        while now < end:
            ready = selector.select(_STALLED_SECONDS)
            if not ready:
                raise Unavailable("the server stopped answering", where=order.path)
            for key, _ in ready:
                connection = key.data
                answer = _receive(connection)
                if answer is None:
                    continue
                now = time.perf_counter()
                latencies.append(now - connection.sent_at)
                refused += not answer.startswith(b"HTTP/1.1 200")
                connection.send(request)
    p50, p99 = np.quantile(latencies, (0.5, 0.99)) * 1e3
    return Tally(len(latencies), refused, now - started, float(p50), float(p99))


def _receive(connection: _Connection) -> bytes | None:
    """The answer, once all of it is there."""
    part = connection.socket.recv(65_536)
    if not part:
        raise Unavailable("the server closed a connection")
    data = connection.received + part if connection.received else part
    head = data.find(_END)
    if head >= 0:
        begin = data.index(_LENGTH) + len(_LENGTH)
        if len(data) >= head + 4 + int(data[begin : data.index(b"\r", begin)]):
            connection.received = b""
            return data
    connection.received = data
    return None


def _request(order: Order) -> bytes:
    head = (
        f"POST {order.path} HTTP/1.1\r\nhost: 127.0.0.1:{order.port}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(order.body)}\r\n\r\n"
    )
    return head.encode() + order.body


if __name__ == "__main__":
    sys.stdout.buffer.write(
        msgspec.json.encode(drive(msgspec.json.decode(sys.stdin.buffer.read(), type=Order)))
    )
