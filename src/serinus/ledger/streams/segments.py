"""The segments of streams: which there are, what is in one, and away with it; for the archive."""

from __future__ import annotations

from collections.abc import Iterator

from serinus.errors import NotFound
from serinus.ledger.archive.types import Segment
from serinus.ledger.streams.course import Course, ranges
from serinus.ledger.streams.server import Server
from serinus.ledger.streams.writer import FIRST_SEGMENT
from serinus.ledger.types import Offset, Record

_LAST_OFFSET = 0xFFFF_FFFF
_LAST_SEGMENT = 0xFFFF_FFFF
_REMOVED_AT_ONCE = 1_000
_READ_AT_ONCE = 10_000
_CHUNK_BYTES = 1 << 22


class StreamSegments:
    """The segments of a ledger at a server.

    Args:
        address: of the ledger.

    Raises:
        InvalidInput: the address is none.
    """

    first = FIRST_SEGMENT
    """The number of each writer's first segment."""

    def __init__(self, address: str) -> None:
        self._server = Server(address, retries=1)

    def listed(self) -> list[Segment]:
        """Every segment that is there, by writer and number.

        Raises:
            Unavailable: the server cannot be reached.
        """
        # Asked before the segments' sizes: of a closed writer they are then final.
        names, closed = self._server.ask_all(
            [("SMEMBERS", self._server.writers), ("SMEMBERS", self._server.closed)]
        )
        return [
            segment
            for name in sorted(names)
            for segment in self._of_writer(name.decode(), is_closed=name in closed)
        ]

    def read(self, segment: Segment) -> Iterator[list[Record]]:
        """A segment's records in order, up to its size, a few megabytes at a time.

        What the server lost of it is passed over, as damage is; the ledger's reader counts it.

        Raises:
            NotFound: it is gone, or goes while it is read.
            Unavailable: the server cannot be reached.
        """
        key = self._server.stream(segment.writer)
        course = Course(segment.writer, segment.number, 0)
        last = Offset(segment.number, segment.size - 1)
        first = None
        while course.offset < segment.size:
            found, more = self._server.ask_all(
                ranges(key, course.here, _READ_AT_ONCE, _CHUNK_BYTES, last)
            )
            for entry in found or more:
                course.take(entry)
            first = first or next((entry[0] for entry in found or more), None)
            if not (found or more):
                if first and self._server.ask("XRANGE", key, first, first):
                    # What is removed goes from its beginning on: its end alone was lost.
                    return
                raise NotFound(
                    f"segment {segment.number} of the log {segment.writer} is not there any more",
                    where=self._server.place,
                    remedy="See whether the server lost data, or somebody else removes it.",
                )
            if course.records:
                yield course.records
                course.records = []

    def remove(self, writer: str, number: int) -> None:
        """Remove a segment; nothing happens if it is gone already.

        Raises:
            Unavailable: the server cannot be reached.
        """
        key = self._server.stream(writer)
        if self._next(key, 0) == number:
            # What is at the beginning of a stream goes in one step.
            self._server.ask("XTRIM", key, "MINID", f"{number + 1}-0")
            return
        border = (f"{number}-0", f"{number}-{_LAST_OFFSET}")
        while entries := self._server.ask("XRANGE", key, *border, "COUNT", _REMOVED_AT_ONCE):
            self._server.ask("XDEL", key, *[entry[0] for entry in entries])

    def close(self) -> None:
        """Let go of the connections; the next call makes a new one."""
        self._server.close()

    def _of_writer(self, writer: str, *, is_closed: bool) -> list[Segment]:
        key = self._server.stream(writer)
        found = []
        number = self._next(key, 0)
        while number is not None:
            last = self._server.ask(
                "XREVRANGE", key, f"{number}-{_LAST_OFFSET}", f"{number}-0", "COUNT", 1
            )
            following = self._next(key, number + 1)
            if last:
                [[name, fields]] = last
                size = int(name.split(b"-")[1]) + len(fields[1])
                is_finished = is_closed or following is not None
                found.append(Segment(writer, number, size, is_finished))
            number = following
        return found

    def _next(self, key: str, number: int) -> int | None:
        """The first segment of at least this number."""
        last = f"{_LAST_SEGMENT}-{_LAST_OFFSET}"
        found = self._server.ask("XRANGE", key, f"{number}-0", last, "COUNT", 1)
        return int(found[0][0].split(b"-")[0]) if found else None
