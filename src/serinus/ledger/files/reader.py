"""Reads the ledger: offsets -> whole records and the offsets behind them.

Polling is cheap: with nothing new, each living writer costs a few ``stat`` calls and a closed
one none at all. A frame that is still being written is left for the next poll.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from serinus.errors import NotFound
from serinus.ledger import frames, ids
from serinus.ledger.events import decode
from serinus.ledger.files import segments
from serinus.ledger.scanning import scan
from serinus.ledger.types import Batch, Offset, Offsets, Record
from serinus.wire import Event

CHUNK_BYTES = 1 << 22
_USUAL_FRAME = 128
# A look-up reads so much at once: around records that are near each other, and for a lone one.
_BLOCK_BYTES = 1 << 18
_LONE_BYTES = 1 << 11
_NEAR_BYTES = 1 << 15

_Wanted: TypeAlias = list[tuple[int, int, int]]
"""Offset, checksum, and place in the answer."""


class _Piece(NamedTuple):
    records: list[Record]
    offset: Offset
    damaged: int


class Reader:
    """Reads all writers of a ledger folder, which need not exist yet. Keeps no file open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ends: dict[str, Offset] = {}
        # Where nothing came next, and the state of the writer's folder at that time.
        self._tails: dict[str, tuple[int, int]] = {}

    def read(self, offsets: Offsets, limit: int) -> Batch:
        """Up to ``limit`` records behind ``offsets``, each writer's in order.

        No writer waits for another: each gets an equal part of ``limit``, and what one leaves
        goes to those after it.
        """
        records: list[Record] = []
        after = dict(offsets)
        damaged = 0
        complete = True
        pending = [
            name for name in segments.writers(self._folder) if not self._is_drained(name, offsets)
        ]
        for position, name in enumerate(pending):
            quota = -(-(limit - len(records)) // (len(pending) - position))
            if quota <= 0:
                complete = False
                break
            found, after[name], lost = self._read_writer(name, offsets.get(name), quota)
            records += found
            damaged += lost
            complete = complete and len(found) < quota
        return Batch(records, after, damaged, complete)

    def between(self, writer: str, start: Offset, end: Offset) -> list[Record]:
        """One writer's records from ``start`` to just before ``end``, both of earlier reads.

        Raises:
            NotFound: retention has taken a part of them away.
        """
        records: list[Record] = []
        here = start
        while here < end:
            limit = CHUNK_BYTES // 4096
            if here.segment == end.segment:
                # Short stretches are many: decode about as much as they hold, not all behind them.
                limit = min(limit, 1 + (end.offset - here.offset) // _USUAL_FRAME)
            piece = self._read_segment(writer, here, limit, final=True)
            reached = piece.offset
            if reached == here:
                # Asked after reading: a segment may go at any moment, and never comes again.
                if segments.size(self._folder, writer, here.segment) is None:
                    raise NotFound(
                        f"segment {here.segment} of the log {writer} is not there any more",
                        where=str(self._folder),
                        remedy="Keep the ledger for as long as its verdicts are to be replayed.",
                    )
                reached = Offset(here.segment + 1, 0)
            records += [record for record in piece.records if _address(record) < end]
            here = reached
        return records

    def lookup(self, id: bytes) -> Event | None:
        """The event at this address; None if there is none (or none of this checksum).

        Raises:
            InvalidInput: the id is not 16 bytes long.
        """
        return self.lookup_many([id])[0]

    def lookup_many(self, wanted: Sequence[bytes]) -> list[Event | None]:
        """For each id its event, None where there is none (or none of its checksum).

        Each segment is opened once, and records that are near each other are read at once.

        Raises:
            InvalidInput: an id is not 16 bytes long.
        """
        found: list[Event | None] = [None] * len(wanted)
        by_segment: defaultdict[tuple[str, int], _Wanted] = defaultdict(list)
        for place, id in enumerate(wanted):
            writer, segment, offset, crc = ids.unpack(id)
            by_segment[writer, segment].append((offset, crc, place))
        for (writer, segment), some in by_segment.items():
            try:
                path = segments.path(self._folder, writer, segment)
                file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError):
                continue
            try:
                _look_up(file, sorted(some), found)
            finally:
                os.close(file)
        return found

    def scan(self, model: str | None = None, since_us: int | None = None) -> Iterator[Record]:
        """Every record of the ledger, writer by writer; for replays, not for serving.

        Args:
            model: only events of this model (worker status events belong to none).
            since_us: only events at or after this moment, in epoch microseconds.
        """
        return scan(self, model, since_us)

    def close(self) -> None:
        """Nothing stays open."""

    def _is_drained(self, name: str, offsets: Offsets) -> bool:
        end = self._ends.get(name)
        return end is not None and offsets.get(name) == end

    def _read_writer(self, name: str, offset: Offset | None, limit: int) -> _Piece:
        here = offset or Offset(0, 0)
        records: list[Record] = []
        damaged = 0
        while len(records) < limit:
            # Both asked before reading: what a writer wrote before it closed, or before it began
            # the next segment, is then surely seen.
            closed = segments.is_closed(self._folder, name)
            following = self._following(name, here)
            found, reached, lost = self._read_segment(
                name, here, limit - len(records), final=closed or following != here
            )
            records += found
            damaged += lost
            if reached == here and following == here:
                if closed:
                    self._ends[name] = here
                break
            here = reached if reached != here else following
        return _Piece(records, here, damaged)

    def _following(self, name: str, here: Offset) -> Offset:
        """The start of the next segment that is there, else ``here``."""
        if segments.size(self._folder, name, here.segment + 1) is not None:
            return Offset(here.segment + 1, 0)
        # Behind a hole is looked only when the folder has changed: a poll must stay cheap.
        tail = (here.segment, segments.changed_ns(self._folder, name))
        if self._tails.get(name) == tail:
            return here
        last = max(segments.numbers(self._folder, name), default=0)
        # A listing may lack what was begun while it was made, but whatever came before a segment
        # that it shows was begun earlier: if it is not there now, it was taken away.
        for number in range(here.segment + 1, last + 1):
            if segments.size(self._folder, name, number) is not None:
                return Offset(number, 0)
        self._tails[name] = tail
        return here

    def _read_segment(self, name: str, here: Offset, limit: int, *, final: bool) -> _Piece:
        """Some records of a segment; ``final`` is whether no more will be written to it."""
        size = segments.size(self._folder, name, here.segment)
        if size is None or size <= here.offset:
            return _Piece([], here, 0)
        try:
            file = os.open(segments.path(self._folder, name, here.segment), os.O_RDONLY)
        except FileNotFoundError:
            return _Piece([], here, 0)
        try:
            size = os.fstat(file).st_size
            data = os.pread(file, min(CHUNK_BYTES, limit * 4096 + 65_536), here.offset)
            if frames.is_cut_short(memoryview(data), 0):
                # No more than there is: a length may be damage.
                rest = min(frames.HEADER_SIZE + frames.MAX_PAYLOAD, size - here.offset) - len(data)
                data += os.pread(file, max(rest, 0), here.offset + len(data))
            piece = _decode(name, here, memoryview(data), limit)
            if piece.offset != here:
                return piece
            return _pass_damage(file, here, size, final=final)
        finally:
            os.close(file)


def _decode(name: str, here: Offset, data: memoryview, limit: int) -> _Piece:
    raw = bytes.fromhex(name)
    records: list[Record] = []
    end = damaged = 0
    for frame in frames.scan(data):
        end = frame.end
        event = decode(frame.payload)
        if event is None:
            # Whole, but of a form that this version does not know.
            damaged += frame.end - frame.start
            continue
        id = ids.pack(raw, here.segment, here.offset + frame.start, frame.crc)
        records.append(Record(id, event))
        if len(records) == limit:
            break
    return _Piece(records, Offset(here.segment, here.offset + end), damaged)


def _pass_damage(file: int, here: Offset, size: int, *, final: bool) -> _Piece:
    """Step over bytes that are no whole frame, if more came after them; else wait for more."""
    head = memoryview(os.pread(file, frames.HEADER_SIZE, here.offset))
    if not final and frames.reaches(head) > size - here.offset:
        return _Piece([], here, 0)
    start = here.offset
    while start < size:
        data = os.pread(file, min(CHUNK_BYTES, size - start), start)
        whole = frames.next_whole(memoryview(data), 0)
        if whole is not None:
            return _passed(here, start + whole)
        if not data or start + len(data) >= size:
            break
        # What begins in the last part of this window may be whole in the next.
        start += len(data) - frames.HEADER_SIZE - frames.FOUND_PAYLOAD
    return _passed(here, size) if final else _Piece([], here, 0)


def _passed(here: Offset, reached: int) -> _Piece:
    return _Piece([], Offset(here.segment, reached), reached - here.offset)


def _look_up(file: int, wanted: _Wanted, found: list[Event | None]) -> None:
    """Fill in the events of one segment; ``wanted`` in the order of offsets."""
    size = os.fstat(file).st_size
    data, start, end = memoryview(b""), 0, 0
    for index, (offset, crc, place) in enumerate(wanted):
        if offset >= size:
            break
        if offset >= end or offset < start:
            is_lone = index + 1 == len(wanted) or wanted[index + 1][0] - offset > _NEAR_BYTES
            data, start = _block(file, offset, _LONE_BYTES if is_lone else _BLOCK_BYTES), offset
            end = start + len(data)
        if frames.is_cut_short(data, offset - start):
            head = memoryview(os.pread(file, frames.HEADER_SIZE, offset))
            length = frames.reaches(head)
            if not 0 < length <= size - offset:
                continue
            data, start = _block(file, offset, max(length, _LONE_BYTES)), offset
            end = start + len(data)
        frame = frames.at(data, offset - start)
        if frame is not None and frame.crc == crc:
            found[place] = decode(frame.payload)


def _block(file: int, offset: int, length: int) -> memoryview:
    return memoryview(os.pread(file, length, offset))


def _address(record: Record) -> Offset:
    address = ids.unpack(record.id)
    return Offset(address.segment, address.offset)
