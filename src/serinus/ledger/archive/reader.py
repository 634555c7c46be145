"""A ledger's reader that goes on in the archive where retention has taken segments away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from serinus.errors import NotFound
from serinus.ledger import ids as addresses
from serinus.ledger.archive.lookup import Archive
from serinus.ledger.archive.sources import open_segments
from serinus.ledger.archive.types import Entry, Segments
from serinus.ledger.opening import Address, open_reader
from serinus.ledger.types import Batch, Offset, Offsets, Reader, Record
from serinus.wire import Event, WorkerStatus


def open_archived(address: Address, folder: Path | None) -> Reader:
    """A reader of the ledger at this address and of its archive in this folder, if there is one.

    Neither need exist yet.

    Raises:
        InvalidInput: the address is none, or what it needs is not installed.
    """
    if folder is None:
        return open_reader(address)
    return ArchivedReader(open_reader(address), open_segments(address), Archive(folder))


class ArchivedReader:
    """A :class:`Reader` of the ledger and its archive, for as many threads as the ledger's own.

    ``read`` is the ledger's own: retention leaves what a consumer has not read.

    Args:
        reader: of the ledger.
        segments: of the same ledger.
        archive: of the same ledger.
    """

    def __init__(self, reader: Reader, segments: Segments, archive: Archive) -> None:
        self._reader = reader
        self._segments = segments
        self._archive = archive

    def read(self, offsets: Offsets, limit: int) -> Batch:
        """Up to ``limit`` records behind ``offsets``, each writer's in order.

        Raises:
            Unavailable: the ledger cannot be reached now.
        """
        return self._reader.read(offsets, limit)

    def between(self, writer: str, start: Offset, end: Offset) -> list[Record]:
        """One writer's records from ``start`` to just before ``end``, both of earlier reads.

        Raises:
            NotFound: a part of them is neither in the ledger nor in the archive.
            Unavailable: the ledger cannot be reached now.
        """
        try:
            return self._reader.between(writer, start, end)
        except NotFound:
            records: list[Record] = []
            for number in range(max(start.segment, self._segments.first), end.segment + 1):
                begin = max(start, Offset(number, 0))
                stop = min(end, Offset(number + 1, 0))
                if begin < stop:
                    records += self._stretch(writer, number, begin, stop)
            return records

    def lookup(self, id: bytes) -> Event | None:
        """The event of this id; None if there is none.

        Raises:
            InvalidInput: the id is not 16 bytes long.
            Unavailable: the ledger cannot be reached now.
        """
        found = self._reader.lookup(id)
        return self._archive.lookup([id])[0] if found is None else found

    def lookup_many(self, ids: Sequence[bytes]) -> list[Event | None]:
        """For each id its event, None where there is none; much faster than one by one.

        Raises:
            InvalidInput: an id is not 16 bytes long.
            Unavailable: the ledger cannot be reached now.
        """
        found = self._reader.lookup_many(ids)
        missing = [place for place, event in enumerate(found) if event is None]
        if missing:
            archived = self._archive.lookup([ids[place] for place in missing])
            for place, event in zip(missing, archived, strict=True):
                found[place] = event
        return found

    def scan(self, model: str | None = None, since_us: int | None = None) -> Iterator[Record]:
        """Every record of the archive and the ledger, each writer's in order and none twice.

        For replays, not for serving.

        Args:
            model: only events of this model (worker status events belong to none).
            since_us: only events at or after this moment, in epoch microseconds.

        Raises:
            Unavailable: the ledger cannot be reached now.
        """
        for record in self._everything(since_us):
            if _matches(record.event, model, since_us):
                yield record

    def close(self) -> None:
        """Let go of open files or connections; the next call opens them again."""
        self._reader.close()
        self._segments.close()

    def _everything(self, since_us: int | None) -> Iterator[Record]:
        """The ledger's records, and before each what the archive has of what was there.

        What retention removes while this runs is looked for like what it removed before. Archived
        segments without an event since ``since_us`` may be left out.
        """
        told: dict[str, Offset] = {}
        beginning = Offset(self._segments.first, 0)
        for record in self._reader.scan():
            at = addresses.unpack(record.id)
            before = told.get(at.writer, beginning)
            for number in range(before.segment, at.segment):
                entry = self._archive.entry(at.writer, number)
                yield from self._archived(entry, before, since_us)
            told[at.writer] = Offset(at.segment, at.offset + 1)
            yield record
        for entry in self._archive.entries():
            yield from self._archived(entry, told.get(entry.writer, beginning), since_us)

    def _archived(
        self, entry: Entry | None, start: Offset, since_us: int | None
    ) -> Iterator[Record]:
        """A segment's records from ``start`` on, which may lie before it or behind it."""
        if entry is None or entry.removed or entry.number < start.segment:
            return
        if since_us is None or entry.newest_us >= since_us:
            first = start.offset if entry.number == start.segment else 0
            yield from self._archive.segment(entry, first)

    def _stretch(self, writer: str, number: int, begin: Offset, stop: Offset) -> list[Record]:
        """A part of one segment, from wherever it is."""
        for segment in self._segments.listed():
            # Finished segments are in both for a while; the archive is quicker to search.
            if (segment.writer, segment.number) == (writer, number) and not segment.is_finished:
                return [
                    record
                    for piece in self._segments.read(segment)
                    for record in piece
                    if begin.offset <= addresses.unpack(record.id).offset < stop.offset
                ]
        return self._archive.between(writer, begin, stop)


def _matches(event: Event, model: str | None, since_us: int | None) -> bool:
    if since_us is not None and event.at < since_us:
        return False
    if model is None:
        return True
    return not isinstance(event, WorkerStatus) and event.assignment.model == model
