"""One request and the way to answer it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable
from http import HTTPStatus

from serinus.serving.http.refusal import Refusal
from serinus.serving.protocols import answers

ARM = b"x-serinus-arm"
REVISION = b"x-serinus-revision"
TIMEOUT = b"x-serinus-timeout-ms"
COMPRESS_FROM_BYTES = 16_384

_COMPRESSED = (b"content-encoding: gzip\r\n", b"vary: accept-encoding\r\n")
_MAX_MEMBERS = 1_000
_PIECE_BYTES = 65_536
# How each coding is read, and how many streams may follow one another in it.
_CODINGS = {
    b"gzip": (zlib.MAX_WBITS | 16, _MAX_MEMBERS),
    b"x-gzip": (zlib.MAX_WBITS | 16, _MAX_MEMBERS),
    b"deflate": (zlib.MAX_WBITS, 1),
}

Header = tuple[bytes, bytes]
Finish = Callable[[bytes, bytes], None]
"""Takes the head of an answer, but for its last empty line, and its body."""


class Exchange:
    """A request that was read to its end, waiting for its one answer.

    Args:
        method: as ``POST``.
        path: as it was sent, without the query.
        query: what came behind the question mark.
        headers: names in lower case, in the order in which they came.
        body: decompressed only by ``content``.
        finish: takes the answer.
    """

    __slots__ = ("_finish", "body", "headers", "method", "path", "query")

    def __init__(
        self,
        method: bytes,
        path: bytes,
        query: bytes,
        headers: list[Header],
        body: bytes,
        finish: Finish,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self._finish: Finish | None = finish

    @property
    def is_open(self) -> bool:
        """Whether somebody still waits for the answer."""
        return self._finish is not None

    def header(self, name: bytes) -> bytes | None:
        """The value of a header, by its name in lower case; the last one if it came twice."""
        found = None
        for key, value in self.headers:
            if key == name:
                found = value
        return found

    def content(self, max_bytes: int) -> bytes:
        """The body, decompressed if it came compressed.

        Raises:
            Refusal: it is not what its header says, or larger than ``max_bytes``.
        """
        coding = (self.header(b"content-encoding") or b"identity").strip().lower()
        if coding == b"identity":
            return self.body
        if coding not in _CODINGS:
            raise Refusal(
                415, "the body's content encoding cannot be read", remedy="Send gzip, or plain."
            )
        try:
            return _unpacked(self.body, *_CODINGS[coding], max_bytes)
        except zlib.error as error:
            raise Refusal(400, f"the compressed body is damaged ({error})") from error

    def answer(
        self,
        status: int,
        body: bytes,
        kind: bytes = answers.JSON,
        headers: Iterable[Header] = (),
    ) -> None:
        """Send the answer; the client may have left, and only the first one counts."""
        lines = [head(status, kind)]
        lines += [b"%b: %b\r\n" % header for header in headers]
        if len(body) >= COMPRESS_FROM_BYTES and b"gzip" in (self.header(b"accept-encoding") or b""):
            body = gzip.compress(body, compresslevel=1)
            lines += _COMPRESSED
        self.send(b"".join(lines), body)

    def send(self, head: bytes, body: bytes) -> None:
        """Send an answer whose head is made already, but for its length and its end."""
        finish = self._finish
        if finish is not None:
            self._finish = None
            finish(head, body)

    def abandon(self) -> None:
        """Take note that nobody waits for the answer any more."""
        self._finish = None


def _unpacked(packed: bytes, window: int, members: int, max_bytes: int) -> bytes:
    """All that is in a compressed body; gzip may be several streams, one behind the other."""
    plain = bytearray()
    rest = memoryview(packed)
    for _ in range(members):
        unpack = zlib.decompressobj(window)
        # In pieces: zlib copies what is behind a stream, for each of them.
        while rest and not unpack.eof:
            piece = rest[:_PIECE_BYTES]
            plain += unpack.decompress(piece, max_bytes + 1 - len(plain))
            if len(plain) > max_bytes:
                raise too_large(max_bytes)
            rest = rest[len(piece) - len(unpack.unused_data) :]
        if not unpack.eof:
            raise Refusal(400, "the compressed body is cut short")
        if not rest:
            return bytes(plain)
    raise Refusal(400, "the compressed body goes on behind its end")


def head(status: int, kind: bytes = answers.JSON) -> bytes:
    """The first lines of an answer."""
    phrase = HTTPStatus(status).phrase.encode()
    return b"HTTP/1.1 %d %b\r\ncontent-type: %b\r\n" % (status, phrase, kind)


def too_large(max_bytes: int) -> Refusal:
    """What is said of a body that is too large."""
    return Refusal(
        413,
        f"the body is larger than {max_bytes} bytes",
        remedy="Send fewer rows per request.",
    )
