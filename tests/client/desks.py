"""Servers that do as they are told, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from serinus.client import Serinus

Reply = tuple[int, dict[str, Any], dict[str, str]]
Script = Callable[[list[dict[str, Any]], int], Reply | None]


class Desk:
    """A gateway's feedback call: takes what ``script`` does not refuse, and keeps it."""

    def __init__(self) -> None:
        self.script: Script = lambda labels, turn: None
        self.taken: list[dict[str, Any]] = []
        self.bodies: list[int] = []
        self.lock = threading.Lock()
        desk = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, document, headers = desk.answer(json.loads(body)["labels"])
                content = json.dumps(document).encode()
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, labels: list[dict[str, Any]]) -> Reply:
        with self.lock:
            self.bodies.append(len(labels))
            reply = self.script(labels, len(self.bodies))
            if reply is None:
                self.taken += labels
                reply = 202, {"accepted": len(labels)}, {}
            return reply

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def answering(
    *answers: tuple[int, str, bytes], **given: float
) -> Iterator[tuple[Serinus, list[str]]]:
    """A client of a server that gives these answers, one a request; the positions asked for."""
    asked: list[str] = []
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("last-event-id", ""))
            status_, kind, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status_)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        with Serinus(f"http://127.0.0.1:{server.server_port}", **given) as client:
            yield client, asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
