"""The least of HTTP that a bare ASGI application needs: a body with limits, and an answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

from serinus.serving.protocols import answers

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

ARM = b"x-serinus-arm"
REVISION = b"x-serinus-revision"
_CLOSE = (b"connection", b"close")


class Refusal(Exception):
    """A request that HTTP itself has a status for; the connection is closed after some.

    Args:
        status: of the answer.
        detail: what was wrong.
        remedy: what to do about it.
        headers: further ones, as ``Allow`` or ``Retry-After``.
        close: whether the rest of the request is not worth reading.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        remedy: str = "",
        headers: Headers = (),
        close: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.body = answers.encode(answers.problem(status, detail, remedy=remedy))
        self.headers = (*headers, _CLOSE) if close else tuple(headers)


class Left(Exception):
    """The client went away before its request was complete: there is nobody to answer."""


class Body:
    """Reads bodies of requests.

    Args:
        max_bytes: the largest body.
        timeout_seconds: how long a body may take to arrive.
    """

    def __init__(self, max_bytes: int, timeout_seconds: float) -> None:
        self._max_bytes = max_bytes
        self._timeout = timeout_seconds
        self._reading: dict[asyncio.Task[Any] | None, float] = {}

    async def read(self, scope: Scope, receive: Receive) -> tuple[bytes, bytes | None]:
        """The body of a JSON request, and the arm that its header forces.

        Raises:
            Refusal: wrong content type, too large, too slow.
            Left: the client went away.
        """
        kind = arm = None
        length = 0
        for name, value in scope["headers"]:
            if name == b"content-type":
                kind = value
            elif name == b"content-length":
                length = int(value)
            elif name == ARM:
                arm = value
            elif name == b"content-encoding" and value != b"identity":
                raise Refusal(415, "a compressed body cannot be read", remedy="Send it plain.")
        if kind is not None and kind != b"application/json" and not _is_json(kind):
            raise Refusal(
                415,
                f"the content type {kind.decode('latin-1')[:100]!r} cannot be read",
                remedy="Send content-type: application/json in UTF-8.",
                close=length > self._max_bytes,
            )
        if length > self._max_bytes:
            raise self._too_large()
        task = asyncio.current_task()
        self._reading[task] = time.monotonic() + self._timeout
        try:
            return await self._receive(receive), arm
        except asyncio.CancelledError:
            if self._reading[task] > 0.0:
                raise
            raise Refusal(
                408, f"the body did not arrive within {self._timeout:g} s", close=True
            ) from None
        finally:
            del self._reading[task]

    def expire(self) -> None:
        """End the reading of bodies whose time is over; to be called about once a second.

        One look at all readers now and then costs less than a timer for each request.
        """
        now = time.monotonic()
        for task, deadline in self._reading.items():
            if 0.0 < deadline < now and task is not None:
                self._reading[task] = 0.0
                task.cancel()

    async def _receive(self, receive: Receive) -> bytes:
        parts: bytes | bytearray = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Left
            parts = bytearray(parts) + message["body"] if parts else message["body"]
            if len(parts) > self._max_bytes:
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(parts)

    def _too_large(self) -> Refusal:
        return Refusal(
            413,
            f"the body is larger than {self._max_bytes} bytes",
            remedy="Send fewer rows per request.",
            close=True,
        )


def _is_json(kind: bytes) -> bool:
    media, _, parameters = kind.lower().partition(b";")
    media = media.strip()
    charset = parameters.replace(b" ", b"").replace(b'"', b"")
    utf8 = b"charset=" not in charset or b"charset=utf-8" in charset
    return utf8 and (media == b"application/json" or media.endswith(b"+json"))


async def respond(
    send: Send, status: int, body: bytes, kind: bytes = answers.JSON, headers: Headers = ()
) -> None:
    """Send an answer."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", kind),
                (b"content-length", b"%d" % len(body)),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
