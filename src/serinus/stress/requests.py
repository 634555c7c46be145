"""Requests as bytes."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

JSON = b"application/json"


def build(
    method: bytes,
    path: bytes,
    body: bytes | None = None,
    headers: Iterable[tuple[bytes, bytes]] = (),
    *,
    kind: bytes = JSON,
) -> bytes:
    """A whole request with its length; without a body also without a content type."""
    lines = [b"%b %b HTTP/1.1" % (method, path), b"host: 127.0.0.1"]
    if body is not None:
        lines += [b"content-type: " + kind, b"content-length: %d" % len(body)]
    lines += [b"%b: %b" % header for header in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


def post(path: str, document: object) -> bytes:
    """A request with a document as JSON."""
    return build(b"POST", path.encode(), msgspec.json.encode(document))


def get(path: str) -> bytes:
    """A request without a body."""
    return build(b"GET", path.encode())
