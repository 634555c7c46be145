"""A connection without a socket: what it was sent, byte by byte, and what became of it."""

from __future__ import annotations

import asyncio

from serinus.serving.http.connection import Connection, Limits, Shared
from serinus.serving.http.refusal import Refused


class Pipe(asyncio.Transport):
    """The other end of a connection: what it was sent, and whether it was closed."""

    def __init__(self):
        super().__init__()
        self.sent, self.closed, self.reads, self.has_ended = b"", False, True, False
        self.aborted = False

    def write(self, data):
        assert not self.closed
        self.sent += bytes(data)

    def close(self):
        self.closed = True

    def abort(self):
        self.closed = self.aborted = True

    def is_closing(self):
        return self.closed

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.has_ended = True

    def pause_reading(self):
        self.reads = False

    def resume_reading(self):
        self.reads = True


def echo(exchange):
    exchange.answer(200, exchange.method + b" " + exchange.path + b" " + exchange.body)


def opened(handle=echo, **limits):
    """A connection that is handled at once, and its pipe."""
    shared = Shared(
        Limits(**{"max_bytes": 100, "timeout_seconds": 2.0, **limits}),
        handle,
        lambda path, refusal: Refused(refusal.status, b"no", b"text/plain", ()),
    )
    made, pipe = Connection(shared), Pipe()
    made.connection_made(pipe)
    return made, pipe


def post(path, body, *headers):
    lines = [f"POST {path} HTTP/1.1", "host: x", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def bodies(sent):
    """The bodies of answers that came one after the other."""
    found = []
    while sent:
        head, _, rest = sent.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        found.append(rest[:length])
        sent = rest[length:]
    return found
