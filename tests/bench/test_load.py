import contextlib
import socket
import threading

import pytest

from serinus.bench import load
from serinus.errors import Unavailable

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine"
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"


class Server:
    """Answers on each connection what it is told, in the pieces it is told."""

    def __init__(self, *pieces):
        self._pieces = pieces
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
                for piece in self._pieces:
                    accepted.sendall(piece)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()


def order(port, **changes):
    given = {"path": "/p", "body": b"{}", "connections": 3, "seconds": 0.1, **changes}
    return load.Order(port, **given)


@pytest.mark.parametrize("pieces", [(ANSWER,), (ANSWER[:20], ANSWER[20:]), (ANSWER[:-1], b"e")])
def test_load_counts_whole_answers(pieces):
    with Server(*pieces) as server:
        tally = load.drive(order(server.port))
    assert tally.answered > 3
    assert tally.refused == 0
    assert tally.seconds >= 0.1
    assert 0 < tally.p50_ms <= tally.p99_ms
    assert tally.per_second == pytest.approx(tally.answered / tally.seconds)
    assert server.requests[0].startswith(b"POST /p HTTP/1.1\r\n")
    assert server.requests[0].endswith(b"content-length: 2\r\n\r\n{}")


def test_load_counts_refusals():
    with Server(REFUSAL) as server:
        tally = load.drive(order(server.port))
    assert tally.refused == tally.answered > 0


def test_load_of_a_server_that_closes():
    with Server() as server, pytest.raises(Unavailable):
        load.drive(order(server.port))
