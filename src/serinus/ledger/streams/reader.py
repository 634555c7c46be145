"""Reads the streams of all writers: offsets -> records and the offsets behind them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from serinus.errors import NotFound
from serinus.ledger import frames, ids
from serinus.ledger.events import decode
from serinus.ledger.scanning import scan
from serinus.ledger.streams.course import LAST, START, Course, entry_id, just_before, ranges
from serinus.ledger.streams.server import Script, Server
from serinus.ledger.types import Batch, Offset, Offsets, Record
from serinus.wire import Event

CHUNK_BYTES = 1 << 22
"""So much is asked for at once, over all writers."""

_LEAST_CHUNK = 1 << 16
_LOOKUPS = 500
_STRETCH = 1_000

# KEYS: a stream. ARGV: ids. Frames, false where there is none.
_FIND = """
local found = {}
for i = 1, #ARGV do
  local there = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])
  found[i] = there[1] and there[1][2][2] or false
end
return found
"""


class Reader:
    """Reads all writers of a ledger at a server.

    Args:
        address: of the ledger. Nothing is connected before something is asked for.

    Raises:
        InvalidInput: the address is none.
    """

    def __init__(self, address: str) -> None:
        self._server = Server(address, retries=1)
        self._find = Script(_FIND)
        self._ends: dict[str, Offset] = {}

    def read(self, offsets: Offsets, limit: int) -> Batch:
        """Up to ``limit`` records behind ``offsets``, each writer's in order.

        No writer waits for another: each gets an equal part of ``limit``, and what some leave
        goes to the others. All are asked at once.

        Raises:
            Unavailable: the server cannot be reached.
        """
        # Asked before reading: what a writer wrote before it closed is then surely seen.
        answers = self._server.ask_all(
            [("SMEMBERS", self._server.writers), ("SMEMBERS", self._server.closed)]
        )
        names, closed = ({name.decode() for name in answer} for answer in answers)
        courses = [
            Course(name, at.segment, at.offset, name in closed)
            for name in sorted(names)
            if (at := offsets.get(name, START)) != self._ends.get(name)
        ]
        left = limit
        while left > 0 and (active := [course for course in courses if not course.is_done]):
            self._advance(active, left)
            left = limit - sum(len(course.records) for course in courses)
        after = dict(offsets)
        for course in courses:
            if course.here != START:
                after[course.name] = course.here
            if course.is_done and course.is_closed:
                self._ends[course.name] = course.here
        return Batch(
            [record for course in courses for record in course.records],
            after,
            sum(course.damaged for course in courses),
            all(course.is_done for course in courses),
        )

    def between(self, writer: str, start: Offset, end: Offset) -> list[Record]:
        """One writer's records from ``start`` to just before ``end``, both of earlier reads.

        Raises:
            NotFound: a part of them is not there any more.
            Unavailable: the server cannot be reached.
        """
        if start >= end:
            return []
        key = self._server.stream(writer)
        before = self._behind(key, start)
        course = Course(writer, before.segment, before.offset)
        while before == start and not course.gaps and course.here < end:
            found, more = self._server.ask_all(
                ranges(key, course.here, _STRETCH, CHUNK_BYTES, just_before(end))
            )
            if not (found or more):
                break
            for entry in found or more:
                course.take(entry)
        if course.gaps or course.here != end:
            raise NotFound(
                f"a part of the log {writer} is not there any more",
                where=self._server.place,
                remedy="Keep the ledger for as long as its verdicts are to be replayed.",
            )
        return course.records

    def lookup(self, id: bytes) -> Event | None:
        """The event at this address; None if there is none (or none of this checksum).

        Raises:
            InvalidInput: the id is not 16 bytes long.
            Unavailable: the server cannot be reached.
        """
        return self.lookup_many([id])[0]

    def lookup_many(self, wanted: Sequence[bytes]) -> list[Event | None]:
        """For each id its event, None where there is none (or none of its checksum).

        Raises:
            InvalidInput: an id is not 16 bytes long.
            Unavailable: the server cannot be reached.
        """
        found: list[Event | None] = [None] * len(wanted)
        by_writer: defaultdict[str, list[tuple[bytes, int, int]]] = defaultdict(list)
        for place, id in enumerate(wanted):
            writer, segment, offset, crc = ids.unpack(id)
            by_writer[writer].append((b"%d-%d" % (segment, offset), crc, place))
        for writer, some in by_writer.items():
            key = self._server.stream(writer)
            for start in range(0, len(some), _LOOKUPS):
                part = some[start : start + _LOOKUPS]
                with self._server.explained():
                    [answers] = self._find.run(self._server, [key], *[item[0] for item in part])
                for (_, crc, place), data in zip(part, answers, strict=True):
                    frame = frames.at(memoryview(data), 0) if data is not None else None
                    if frame is not None and frame.crc == crc:
                        found[place] = decode(frame.payload)
        return found

    def scan(self, model: str | None = None, since_us: int | None = None) -> Iterator[Record]:
        """Every record of the ledger, writer by writer; for replays, not for serving.

        Args:
            model: only events of this model (worker status events belong to none).
            since_us: only events at or after this moment, in epoch microseconds.

        Raises:
            Unavailable: the server cannot be reached.
        """
        return scan(self, model, since_us)

    def close(self) -> None:
        """Let go of the connections; the next call makes a new one."""
        self._server.close()

    def _advance(self, courses: Sequence[Course], limit: int) -> None:
        """Read each of some streams further, up to ``limit`` records together."""
        share, extra = divmod(limit, len(courses))
        chunk = max(CHUNK_BYTES // len(courses), _LEAST_CHUNK)
        asked = [
            (course, quota)
            for place, course in enumerate(courses)
            if (quota := share + (place < extra))
        ]
        answers = self._server.ask_all(
            [
                command
                for course, quota in asked
                for command in ranges(
                    self._server.stream(course.name), course.here, quota, chunk, LAST
                )
            ]
        )
        for (course, quota), found, more in zip(asked, answers[::2], answers[1::2], strict=True):
            for entry in found:
                course.take(entry)
            if len(found) < quota:
                for entry in more:
                    course.take(entry)
                course.is_done = not more

    def _behind(self, key: str, start: Offset) -> Offset:
        """The end of the entry before ``start``, if there is one: ``start``, unless it is lost."""
        if start == START:
            return start
        found = self._server.ask("XREVRANGE", key, entry_id(just_before(start)), "-", "COUNT", 1)
        course = Course("00000000", 0, 0)
        for entry in found:
            course.take(entry)
        return course.here
