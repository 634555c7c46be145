"""Reads the ledger: offsets -> whole records and the offsets behind them.

Polling is cheap: with nothing new, each living writer costs a few ``stat`` calls and a closed
one none at all. A frame that is still being written is left for the next poll.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from serinus.errors import NotFound
from serinus.ledger import frames, ids
from serinus.ledger.files import segments
from serinus.ledger.types import Batch, Offset, Offsets, Record
from serinus.wire import Event, WorkerStatus

CHUNK_BYTES = 1 << 22
_USUAL_FRAME = 128


class _Piece(NamedTuple):
    records: list[Record]
    offset: Offset
    damaged: int


class Reader:
    """Reads all writers of a ledger folder, which need not exist yet. Keeps no file open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)
        self._ends: dict[str, Offset] = {}

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
            size = segments.size(self._folder, writer, here.segment)
            if size is None:
                raise NotFound(
                    f"segment {here.segment} of the log {writer} is not there any more",
                    where=str(self._folder),
                    remedy="Keep the ledger for as long as its verdicts are to be replayed.",
                )
            limit = CHUNK_BYTES // 4096
            if here.segment == end.segment:
                # Short stretches are many: decode about as much as they hold, not all behind them.
                limit = min(limit, 1 + (end.offset - here.offset) // _USUAL_FRAME)
            piece = self._read_segment(writer, here, limit, closed=True)
            reached = piece.offset
            if reached == here:
                reached = Offset(here.segment + 1, 0)
            records += [record for record in piece.records if _address(record) < end]
            here = reached
        return records

    def lookup(self, id: bytes) -> Event | None:
        """The event at this address; None if there is none (or none of this checksum).

        Raises:
            InvalidInput: the id is not 16 bytes long.
        """
        address = ids.unpack(id)
        path = segments.path(self._folder, address.writer, address.segment)
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(address.offset)
                head = file.read(frames.HEADER_SIZE)
                length = int.from_bytes(head[:4], "big")
                if len(head) < frames.HEADER_SIZE or not 0 < length <= frames.MAX_PAYLOAD:
                    return None
                frame = frames.at(memoryview(head + file.read(length)), 0)
        except (FileNotFoundError, NotADirectoryError):
            return None
        if frame is None or frame.crc != address.crc:
            return None
        return self._decoder.decode(frame.payload)

    def lookup_many(self, ids: Sequence[bytes]) -> list[Event | None]:
        """For each id its event, None where there is none.

        Raises:
            InvalidInput: an id is not 16 bytes long.
        """
        return [self.lookup(id) for id in ids]

    def close(self) -> None:
        """Nothing stays open."""

    def scan(self, model: str | None = None, since_us: int | None = None) -> Iterator[Record]:
        """Every record of the ledger, writer by writer; for replays, not for serving.

        Args:
            model: only events of this model (worker status events belong to none).
            since_us: only events at or after this moment, in epoch microseconds.
        """
        offsets: Offsets = {}
        reader = Reader(self._folder)
        while (batch := reader.read(offsets, 4096)).records:
            for record in batch.records:
                if _matches(record.event, model, since_us):
                    yield record
            offsets = batch.offsets

    def _is_drained(self, name: str, offsets: Offsets) -> bool:
        end = self._ends.get(name)
        return end is not None and offsets.get(name) == end

    def _read_writer(self, name: str, offset: Offset | None, limit: int) -> _Piece:
        here = offset or Offset(0, 0)
        records: list[Record] = []
        damaged = 0
        while len(records) < limit:
            # Asked before reading: what a writer wrote before it closed is then surely seen.
            closed = segments.is_closed(self._folder, name)
            found, reached, lost = self._read_segment(
                name, here, limit - len(records), closed=closed
            )
            records += found
            damaged += lost
            if reached == here and (reached := self._following(name, here)) == here:
                if closed:
                    self._ends[name] = here
                break
            here = reached
        return _Piece(records, here, damaged)

    def _following(self, name: str, here: Offset) -> Offset:
        """The start of the next segment if there is one, else ``here``."""
        if segments.size(self._folder, name, here.segment + 1) is not None:
            return Offset(here.segment + 1, 0)
        if segments.size(self._folder, name, here.segment) is not None:
            return here
        # Retention took segments away: go on with the oldest that is left.
        later = [number for number in segments.numbers(self._folder, name) if number > here.segment]
        return Offset(later[0], 0) if later else here

    def _read_segment(self, name: str, here: Offset, limit: int, *, closed: bool) -> _Piece:
        size = segments.size(self._folder, name, here.segment)
        if size is None or size <= here.offset:
            return _Piece([], here, 0)
        # Asked before reading: the end of a segment is final only once it has a successor.
        final = closed or segments.size(self._folder, name, here.segment + 1) is not None
        with segments.path(self._folder, name, here.segment).open("rb", buffering=0) as file:
            file.seek(here.offset)
            data = file.read(min(CHUNK_BYTES, limit * 4096 + 65_536))
            if frames.is_cut_short(memoryview(data), 0):
                data += file.read(frames.HEADER_SIZE + frames.MAX_PAYLOAD - len(data))
        piece = self._decode(name, here, memoryview(data), limit)
        return piece if piece.offset != here else self._pass_damage(name, here, final=final)

    def _decode(self, name: str, here: Offset, data: memoryview, limit: int) -> _Piece:
        raw = bytes.fromhex(name)
        records: list[Record] = []
        end = damaged = 0
        for frame in frames.scan(data):
            end = frame.end
            try:
                event = self._decoder.decode(frame.payload)
            except msgspec.DecodeError:
                # Whole, but of a form that this version does not know.
                damaged += frame.end - frame.start
                continue
            id = ids.pack(raw, here.segment, here.offset + frame.start, frame.crc)
            records.append(Record(id, event))
            if len(records) == limit:
                break
        return _Piece(records, Offset(here.segment, here.offset + end), damaged)

    def _pass_damage(self, name: str, here: Offset, *, final: bool) -> _Piece:
        """Step over bytes that are no whole frame, if more came after them; else wait for more."""
        with segments.path(self._folder, name, here.segment).open("rb", buffering=0) as file:
            file.seek(here.offset)
            data = memoryview(file.read())
        if not final and frames.is_cut_short(data, 0):
            return _Piece([], here, 0)
        whole = frames.next_whole(data, 0)
        if whole is None:
            return (
                _Piece([], Offset(here.segment, here.offset + len(data)), len(data))
                if final
                else _Piece([], here, 0)
            )
        return _Piece([], Offset(here.segment, here.offset + whole), whole)


def _address(record: Record) -> Offset:
    address = ids.unpack(record.id)
    return Offset(address.segment, address.offset)


def _matches(event: Event, model: str | None, since_us: int | None) -> bool:
    if since_us is not None and event.at < since_us:
        return False
    if model is None:
        return True
    return not isinstance(event, WorkerStatus) and event.assignment.model == model
