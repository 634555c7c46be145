"""The segments of a ledger as the archive sees them, by the ledger's address."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

from serinus.errors import Unavailable
from serinus.ledger import ids
from serinus.ledger.archive.types import Segment, Segments
from serinus.ledger.files import segments
from serinus.ledger.files.reader import Reader
from serinus.ledger.opening import Address, open_reader
from serinus.ledger.types import Offset, Record

_STRIDE = 1 << 20


def open_segments(address: Address) -> Segments:
    """The segments of the ledger at this address, which need not exist yet.

    Raises:
        InvalidInput: the address is none, or what it needs is not installed.
    """
    if isinstance(address, Path):
        return FileSegments(address)
    # Whoever reads there has what it needs; else this says so.
    open_reader(address).close()
    opened: Segments = importlib.import_module("serinus.ledger.streams.segments").StreamSegments(
        address
    )
    return opened


class FileSegments:
    """The segments in a ledger's folder, which need not exist yet."""

    first = 0
    """The number of each writer's first segment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reader = Reader(folder)

    def listed(self) -> list[Segment]:
        """Every segment that is there, by writer and number."""
        return [
            segment
            for writer in segments.writers(self._folder)
            for segment in self._of_writer(writer)
        ]

    def read(self, segment: Segment) -> Iterator[list[Record]]:
        """A segment's records in order, up to its size, about a megabyte at a time.

        Where the next piece begins is not known before it is read, so each begins with the last
        record of the piece before.

        Raises:
            NotFound: it is gone.
        """
        number, stride, last = segment.number, _STRIDE, b""
        start = Offset(number, 0)
        while start.offset < segment.size:
            end = min(start.offset + stride, segment.size)
            found = self._reader.between(segment.writer, start, Offset(number, end))
            fresh = found[1:] if found and found[0].id == last else found
            if fresh:
                yield fresh
                last, stride = fresh[-1].id, _STRIDE
                start = Offset(number, ids.unpack(last).offset)
            if end == segment.size:
                return
            if not fresh:
                # A record or a damage is larger than the stride.
                stride *= 2

    def remove(self, writer: str, number: int) -> None:
        """Remove a segment; nothing happens if it is gone already.

        The writer's folder stays: its name must never be given again.

        Raises:
            Unavailable: the folder cannot be written.
        """
        try:
            segments.path(self._folder, writer, number).unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(
                f"a segment cannot be removed ({error.strerror})",
                where=str(self._folder),
                remedy="Make the folder writable.",
            ) from error

    def close(self) -> None:
        """Nothing stays open."""

    def _of_writer(self, writer: str) -> list[Segment]:
        # Asked before the segments' sizes: of a closed writer they are then final.
        closed = segments.is_closed(self._folder, writer)
        numbers = segments.numbers(self._folder, writer)
        found = []
        for number in numbers:
            finished = closed or number < numbers[-1]
            size = segments.size(self._folder, writer, number)
            if size is not None:
                found.append(Segment(writer, number, size, finished))
        return found
