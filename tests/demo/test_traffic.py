"""The demo's clients against a real server: paced, labelled, honest about what was dropped."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from serinus import clock
from serinus.demo.rows import Pool
from serinus.demo.traffic import Traffic


class Answering(ThreadingHTTPServer):
    """Answers predictions, notes labels, and refuses while told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.labels: list[dict[str, object]] = []
        self.asked = 0
        self.refusing = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Answering

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/feedback":
            self.server.labels += body["labels"]
            self.answer(202, {})
        elif self.server.refusing:
            self.answer(503, {})
        else:
            self.server.asked += 1
            self.answer(200, {"prediction_id": f"p{self.server.asked}", "version": "1.0.0"})

    def answer(self, status: int, content: dict[str, object]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Answering]:
    with Answering() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


POOL = Pool([{"x": 1.0}, {"x": 2.0}], [0, 1])


def test_traffic_counts_what_it_sends_and_labels_it_later(server: Answering) -> None:
    traffic = Traffic(server.url, "m", POOL, rate=200, label_delay=0.05)
    traffic.start()
    deadline = clock.monotonic() + 20
    while len(server.labels) < 50 and clock.monotonic() < deadline:
        clock.sleep(0.02)
    tally = traffic.stop()
    assert len(server.labels) >= 50
    assert tally.requests == len(tally.acknowledged) == tally.versions["1.0.0"]
    assert tally.dropped == 0
    assert {label["prediction_id"] for label in server.labels} <= set(tally.acknowledged)


def test_traffic_calls_a_refused_request_dropped(server: Answering) -> None:
    server.refusing = True
    traffic = Traffic(server.url, "m", POOL, rate=200, label_delay=0.05)
    traffic.start()
    deadline = clock.monotonic() + 20
    while traffic.tally.dropped < 5 and clock.monotonic() < deadline:
        clock.sleep(0.02)
    tally = traffic.stop()
    assert tally.dropped == tally.requests >= 5
    assert tally.acknowledged == []
