import contextlib
import socket
import threading
import time

import pytest

from serinus.bench import load
from serinus.errors import Unavailable

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine"
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"


class Server:
    """Answers on each connection what it is told, in the pieces it is told."""

    def __init__(self, *pieces, pause=0.0):
        self._pieces = pieces
        self._pause = pause
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.requests = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                accepted = self._listener.accept()[0]
                threading.Thread(target=self._answer, args=(accepted,), daemon=True).start()

    def _answer(self, accepted):
        with accepted, contextlib.suppress(OSError):
            while request := accepted.recv(65_536):
                self.requests.append(request)
                if not self._pieces:
                    return
                time.sleep(self._pause)
                for piece in self._pieces:
                    accepted.sendall(piece)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()


def order(port, **changes):
    given = {"path": "/p", "bodies": (b"{}",), "connections": 3, "seconds": 0.3, **changes}
    return load.Order(port, **given)


@pytest.mark.parametrize(
    "pieces",
    [
        (ANSWER,),
        (ANSWER[:20], ANSWER[20:]),
        (ANSWER[:-1], b"e"),
        (ANSWER.replace(b"content-length", b"Content-Length"),),
    ],
)
def test_load_counts_whole_answers(pieces):
    with Server(*pieces) as server:
        tally = load.drive(order(server.port))
    assert tally.answered > 3
    assert tally.refused == 0
    assert tally.seconds >= 0.3
    assert 0 < tally.p50_ms <= tally.p99_ms
    assert tally.busy > 0
    assert tally.per_second == pytest.approx(tally.answered / tally.seconds)
    assert server.requests[0].startswith(b"POST /p HTTP/1.1\r\n")
    assert server.requests[0].endswith(b"content-length: 2\r\n\r\n{}")


def test_load_takes_the_bodies_in_turn():
    bodies = (b"first", b"second", b"third!!")
    with Server(ANSWER) as server:
        load.drive(order(server.port, bodies=bodies, connections=1))
    assert [asked.rpartition(b"\r\n\r\n")[2] for asked in server.requests[:4]] == [
        *bodies,
        bodies[0],
    ]


def test_load_counts_refusals():
    with Server(REFUSAL) as server:
        tally = load.drive(order(server.port))
    assert tally.refused == tally.answered > 0


@pytest.mark.parametrize("rate", [0, 100])
def test_load_of_a_server_that_closes(rate):
    with Server() as server, pytest.raises(Unavailable):
        load.drive(order(server.port, rate=rate))


def test_load_of_a_server_that_does_not_say_how_long():
    silent = b"HTTP/1.1 200 OK\r\n\r\nfine"
    with Server(silent) as server, pytest.raises(Unavailable, match="how long"):
        load.drive(order(server.port))


def test_load_at_a_rate_keeps_it():
    with Server(ANSWER) as server:
        tally = load.drive(order(server.port, rate=200, seconds=0.5))
    assert tally.answered == 100
    assert tally.seconds == pytest.approx(0.5, abs=0.1)
    assert len(server.requests) == 100


def test_load_at_a_rate_counts_the_time_that_requests_wait_to_be_sent():
    # One connection and a server that takes 20 ms for each of 50 requests due every 10 ms: the
    # last one is sent half a second late. Timed from when it was sent, each would take 20 ms.
    with Server(ANSWER, pause=0.02) as server:
        tally = load.drive(order(server.port, rate=100, seconds=0.5, connections=1))
    assert tally.answered == 50
    assert tally.p50_ms > 150
    assert tally.p99_ms > 400
    # Nor was it the load that was late: there was no connection to send on.
    assert tally.late_ms < 100
