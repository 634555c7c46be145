"""One connection: its bytes -> requests, one after the other, and their answers in that order.

Written on httptools, the parser of uvicorn, without an ASGI server between: a request costs no
task, no future and no dictionary, and its answer is one write.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import httptools

from serinus.serving.http.exchange import Exchange, Header, head, too_large
from serinus.serving.http.refusal import Refusal, Refused

SWEEP_SECONDS = 0.5
MAX_HEAD_BYTES = 65_536
MAX_DISCARDED_BYTES = 1 << 26
IDLE_SECONDS = 75.0
LINGER_SECONDS = 1.0
UNREAD_SECONDS = 30.0
"""How long an answer may wait for its client to read it, also one behind which all ends."""

_VERSIONS = ("1.1", "1.0")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE = b"connection: close\r\n"
_KEEP = b"connection: keep-alive\r\n"


@dataclass(frozen=True)
class Limits:
    """What one request may cost: bytes of its body, seconds until all of it is there."""

    max_bytes: int
    timeout_seconds: float


class Shared:
    """What all connections of a server share; ``left`` is called whenever one is gone.

    Args:
        limits: for each request.
        handle: is given each request, and must not raise.
        refuse: makes the answer to a request that never became one, by its path so far.
    """

    def __init__(
        self,
        limits: Limits,
        handle: Callable[[Exchange], None],
        refuse: Callable[[bytes, Refusal], Refused],
    ) -> None:
        self.limits = limits
        self.handle = handle
        self.refuse = refuse
        self.connections: set[Connection] = set()
        self.left: Callable[[], None] = lambda: None
        self.is_draining = False


class Connection(asyncio.Protocol):
    """The server's end of one connection."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._current: Exchange | None = None
        self._behind: deque[tuple[Exchange, bool, bool]] = deque()
        self._keep = self._greet = True
        self._is_starting = False
        self._ended = False
        self._is_lingering = False
        self._unread = False
        self._ticks = self._stuck_ticks = 0
        self._headers: list[Header] = []
        self._body: list[bytes] = []
        self._begin()
        self._reading = False

    # -------------------------------------------------------------- from the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self._transport = cast("asyncio.Transport", transport)
        self._shared.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: what it asked is still recorded, and answered to nobody."""
        self._shared.connections.discard(self)
        self._shared.left()
        self._transport = None
        if self._current is not None:
            self._current.abandon()
        self._behind.clear()
        # The parser knows this connection and this the parser: such a ring, with all that was read,
        # would stay until the collector looks at the old, which in a worker is almost never.
        self._ended = True
        self._parser = None
        self._headers, self._body = [], []

    def data_received(self, data: bytes) -> None:
        """Some bytes of requests."""
        parser = self._parser
        if self._ended or parser is None:
            return
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Answered as plain HTTP/1.1, which whoever offers an upgrade must accept.
            self._ended = True
        except httptools.HttpParserError as error:
            self._ended = True
            if self._refusal is None:
                self._refuse(Refusal(400, f"this is not HTTP/1.1 ({error})"))
            self._linger()
        if self._reading:
            self._weigh(len(data))

    def eof_received(self) -> bool:
        """The client sends no more; it may still wait for an answer."""
        self._ended = True
        return self._is_awaited()

    def pause_writing(self) -> None:
        """The client does not read its answers: it is asked for no more, and gets no more."""
        self._unread = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client reads again: what waited goes on."""
        self._unread = False
        self._stuck_ticks = 0
        if not self._is_starting:
            self._next()

    # -------------------------------------------------------------- from the parser

    def on_message_begin(self) -> None:
        """A request begins."""
        self._begin()

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        if self._refusal is None:
            self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or behind a body a trailer, which nobody asked for."""
        if not self._has_head and self._refusal is None:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is there: what cannot be taken is refused before it is sent."""
        self._has_head = self._has_come_on = True
        limit = self._shared.limits.max_bytes
        size, waits = len(self._url), False
        for name, value in self._headers:
            size += len(name) + len(value)
            if name == b"content-length":
                if value.isdigit() and int(value) > limit:
                    self._refuse(too_large(limit))
            elif name == b"expect":
                waits = value.lower() == b"100-continue"
        if size > MAX_HEAD_BYTES and self._refusal is None:
            # However it came, in one piece or in many.
            self._refuse(_head_too_large())
        if waits and self._refusal is None and self._transport is not None:
            self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._size += len(body)
        self._has_come_on = True
        if self._refusal is not None:
            if self._size > MAX_DISCARDED_BYTES:
                self._leave()
        elif self._size > self._shared.limits.max_bytes:
            self._body.clear()
            self._refuse(too_large(self._shared.limits.max_bytes))
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """A whole request is there."""
        self._reading = False
        self._ticks = 0
        parser = self._parser
        version = "" if parser is None else parser.get_http_version()
        if version not in _VERSIONS and self._refusal is None:
            # The parser takes 0.9 and 2.0 as well, whose answers look otherwise.
            self._refuse(Refusal(400, f"this is HTTP/{version}, not HTTP/1.1"))
        if self._refusal is not None or parser is None or self._ended:
            self._leave()
            return
        path, _, query = self._url.partition(b"?")
        if not path.startswith(b"/") and (found := _absolute(self._url)) is not None:
            path, query = found
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        exchange = Exchange(parser.get_method(), path, query, self._headers, body, self._finish)
        # Behind the offer of an upgrade the parser takes no more requests.
        keep = bool(parser.should_keep_alive()) and not parser.should_upgrade()
        # A client of HTTP/1.0 has to be told that its connection is kept.
        greet = keep and version == "1.0"
        if self._is_free():
            self._start(exchange, keep=keep, greet=greet)
        else:
            self._behind.append((exchange, keep, greet))
            if self._transport is not None:
                self._transport.pause_reading()

    # -------------------------------------------------------------- answering

    def _begin(self) -> None:
        self._reading = True
        self._has_head = False
        self._has_come_on = True
        self._beside = 0
        self._url = b""
        self._headers = []
        self._body = []
        self._size = 0
        self._refusal: Refusal | None = None
        self._ticks = 0

    def _start(self, exchange: Exchange, *, keep: bool, greet: bool) -> None:
        self._keep, self._greet = keep, greet
        self._current = exchange
        # An answer may be there before ``handle`` returns: then the next one must not nest in it.
        self._is_starting = True
        self._shared.handle(exchange)
        self._is_starting = False

    def _next(self) -> None:
        while self._behind and self._is_free():
            exchange, keep, greet = self._behind.popleft()
            self._start(exchange, keep=keep, greet=greet)
        transport = self._transport
        if self._behind or self._unread or transport is None or transport.is_closing():
            return
        transport.resume_reading()

    def _is_free(self) -> bool:
        return self._current is None and not self._unread and not self._is_starting

    def _is_awaited(self) -> bool:
        return self._current is not None or bool(self._behind)

    def _finish(self, lines: bytes, body: bytes) -> None:
        exchange, transport = self._current, self._transport
        self._current = None
        self._ticks = 0
        if exchange is None or transport is None:
            return
        is_last = self._shared.is_draining or (self._ended and not self._behind)
        keep = self._keep and not is_last
        if not keep:
            lines += _CLOSE
        elif self._greet:
            lines += _KEEP
        end = b"%bcontent-length: %d\r\n\r\n" % (lines, len(body))
        transport.write(end if exchange.method == b"HEAD" else end + body)
        if not keep:
            self._ended = True
            self._behind.clear()
            transport.close()
        elif self._behind and not self._is_starting:
            self._next()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer a request that is not read to its end, and read the rest only to drop it."""
        self._refusal = refusal
        answer = self._shared.refuse(self._url.partition(b"?")[0], refusal)
        if self._transport is None or self._transport.is_closing() or self._is_awaited():
            # An answer is still to come on this connection, which then simply ends.
            return
        lines = head(answer.status, answer.kind) + _CLOSE
        end = b"%bcontent-length: %d\r\n\r\n" % (lines, len(answer.body))
        self._transport.write(end + answer.body)

    def _weigh(self, size: int) -> None:
        """Count what came of a head, of trailers or between chunks: of these there is an end.

        A piece in which a request began, its head ended or its body came on holds other things as
        well and counts nothing; the whole of a head is looked at when it has ended.
        """
        if self._has_come_on:
            self._has_come_on = False
            self._beside = 0
            return
        self._beside += size
        if self._beside > MAX_HEAD_BYTES:
            if self._refusal is None:
                self._refuse(_head_too_large())
            # The parser would keep the rest of it.
            self._linger()

    def _linger(self) -> None:
        """Say that nothing more comes, and close once the client has had time to read why.

        A connection that is closed while its client still sends takes the answer with it.
        """
        transport = self._transport
        if self._is_awaited() or transport is None or transport.is_closing():
            self._leave()
            return
        self._ended = self._is_lingering = True
        self._ticks = 0
        if transport.can_write_eof():
            transport.write_eof()

    def _leave(self) -> None:
        self._ended = True
        self._keep = False
        self._behind.clear()
        if self._current is None and self._transport is not None:
            self._transport.close()

    # -------------------------------------------------------------- time

    def sweep(self) -> None:
        """Look whether the client takes too long; called twice a second.

        One look at all connections now and then costs less than a timer for each request.
        """
        transport = self._transport
        if transport is not None and (self._unread or transport.is_closing()):
            # Answers of other exchanges that come meanwhile are no sign of life.
            self._stuck_ticks += 1
            if self._stuck_ticks * SWEEP_SECONDS > UNREAD_SECONDS:
                transport.abort()
            return
        self._ticks += 1
        waited = self._ticks * SWEEP_SECONDS
        if self._is_lingering:
            if waited >= LINGER_SECONDS:
                self._leave()
        elif self._reading:
            limit = self._shared.limits.timeout_seconds
            if waited > limit and self._refusal is None:
                self._refuse(Refusal(408, f"the request did not arrive within {limit:g} s"))
                self._leave()
            elif waited > 2 * limit:
                self._leave()
        elif self._current is None and (waited > IDLE_SECONDS or self._shared.is_draining):
            self._leave()

    def close_if_idle(self) -> None:
        """Close unless a request is being read or answered; what is written still leaves."""
        if not self._reading and not self._is_awaited():
            self._leave()

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()


def _head_too_large() -> Refusal:
    return Refusal(431, f"the head is larger than {MAX_HEAD_BYTES} bytes")


def _absolute(target: bytes) -> tuple[bytes, bytes] | None:
    """Path and query of a target that names its server, as proxies send it."""
    try:
        found = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        return None
    return found.path or b"/", found.query or b""
