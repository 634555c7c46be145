"""HTTP answers from the bytes that a server sends, strictly: what is badly framed is a fault."""

from __future__ import annotations

import re
from dataclasses import dataclass

from serinus.errors import InvalidInput

_END = b"\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) [\t\x20-\x7e]*")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
_NO_BODY = (204, 304)


@dataclass(frozen=True)
class Answer:
    """One answer. The names of headers are in lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the server said that the connection ends here."""
        return self.headers.get(b"connection", b"").lower() == b"close"


class Parser:
    """Reads the answers of one connection.

    Args:
        bodiless: whether they answer HEAD, which is never followed by a body.
    """

    def __init__(self, *, bodiless: bool = False) -> None:
        self._bodiless = bodiless
        self._data = b""

    @property
    def rest(self) -> bytes:
        """What was received and is no whole answer."""
        return self._data

    def feed(self, data: bytes) -> list[Answer]:
        """The answers that are complete now; the interim ones (1xx) are passed over.

        Raises:
            InvalidInput: that is no HTTP answer with a length.
        """
        self._data += data
        found = []
        while (answer := self._next()) is not None:
            if answer.status >= 200:
                found.append(answer)
        return found

    def _next(self) -> Answer | None:
        end = self._data.find(_END)
        if end < 0:
            return None
        first, *lines = self._data[:end].split(b"\r\n")
        status = _STATUS.fullmatch(first)
        if status is None:
            raise InvalidInput(f"no status line of HTTP/1.1: {first[:80]!r}")
        headers = _headers(lines)
        code = int(status[1])
        length = 0
        if code >= 200 and code not in _NO_BODY:
            told = headers.get(b"content-length", b"")
            if not told.isdigit():
                raise InvalidInput(f"no content-length in an answer {code}")
            length = 0 if self._bodiless else int(told)
        stop = end + len(_END) + length
        if len(self._data) < stop:
            return None
        body, self._data = self._data[end + len(_END) : stop], self._data[stop:]
        return Answer(code, headers, body)


def _headers(lines: list[bytes]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise InvalidInput(f"no header: {line[:80]!r}")
        name = header[1].lower()
        if name in found and name == b"content-length":
            raise InvalidInput("content-length is there twice")
        found[name] = header[2]
    return found
