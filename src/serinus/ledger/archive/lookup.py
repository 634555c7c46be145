"""Single records out of the archive again: the very events, by their ids or by their stretch.

pyarrow is imported with the first look-up that comes this far: a gateway whose labels are all
younger than the ledger's retention never pays for it.
"""

from __future__ import annotations

import importlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from serinus.errors import NotFound
from serinus.ledger import ids
from serinus.ledger.archive.catalog import Catalog
from serinus.ledger.archive.rows import Kind
from serinus.ledger.archive.types import Entry, File
from serinus.ledger.types import Offset, Record
from serinus.wire import Event

# A row group is a few megabytes, a file's description a few kilobytes.
_MOST_GROUPS = 12
_MOST_FILES = 64
# Behind every offset that an id can spell.
_END = (1 << 32) - 1
# Of a whole segment, so many of its bytes are rebuilt at a time.
_STRIDE = 1 << 20


class Archive:
    """An archive's folder, which need not exist yet. Several threads may ask; one is answered.

    Args:
        folder: of the archive.
    """

    def __init__(self, folder: Path) -> None:
        self._catalog = Catalog(folder)
        self._files: OrderedDict[str, Any] = OrderedDict()
        self._groups: Any = None
        self._lock = threading.Lock()

    def entries(self) -> list[Entry]:
        """Every segment that is in the archive, by writer and number."""
        return self._catalog.entries()

    def entry(self, writer: str, number: int) -> Entry | None:
        """What is known of one segment; None if it is not archived."""
        return self._catalog.entry(writer, number)

    def lookup(self, wanted: Sequence[bytes]) -> list[Event | None]:
        """For each id its event; None where the archive has none (or none of its checksum).

        Raises:
            InvalidInput: an id is not 16 bytes long.
        """
        by_segment: dict[tuple[str, int], list[bytes]] = {}
        for id in wanted:
            address = ids.unpack(id)
            by_segment.setdefault((address.writer, address.segment), []).append(id)
        found: dict[bytes, Event] = {}
        with self._lock:
            for (writer, number), here in by_segment.items():
                found.update(self._find(self._catalog.entry(writer, number), here))
        return [found.get(id) for id in wanted]

    def between(self, writer: str, start: Offset, end: Offset) -> list[Record]:
        """One writer's records from ``start`` to just before ``end``, in order.

        Raises:
            NotFound: a part of them is not in the archive, or not any more.
        """
        records: list[Record] = []
        for number in range(start.segment, end.segment + 1):
            first = start.offset if number == start.segment else 0
            last = end.offset if number == end.segment else _END
            if first < last:
                with self._lock:
                    records += self._segment(writer, number, first, last)
        return records

    def segment(self, entry: Entry, start: int = 0) -> Iterator[Record]:
        """Every record of one segment from the offset ``start`` on, in order.

        Raises:
            NotFound: the archive's retention took a part of it away.
        """
        for first in range(start, entry.size, _STRIDE):
            with self._lock:
                records = self._segment(entry.writer, entry.number, first, first + _STRIDE)
            yield from records

    def _find(self, entry: Entry | None, here: Sequence[bytes]) -> dict[bytes, Event]:
        found: dict[bytes, Event] = {}
        for file in entry.files if entry else ():
            inside = [id for id in here if file.first <= ids.unpack(id).offset <= file.last]
            if inside and (reader := self._reader(file)) is not None:
                found.update(_read(reader.find(inside)))
        return found

    def _segment(self, writer: str, number: int, first: int, last: int) -> list[Record]:
        entry = self._catalog.entry(writer, number)
        if entry is None or entry.removed:
            raise _gone(writer, number, self._catalog.folder)
        raw = bytes.fromhex(writer)
        low, high = ids.pack(raw, number, first, 0), ids.pack(raw, number, last, 0)
        found: dict[bytes, Event] = {}
        for file in entry.files:
            if file.first < last and file.last >= first:
                reader = self._reader(file)
                if reader is None:
                    raise _gone(writer, number, self._catalog.folder)
                found.update(_read(reader.between(low, high)))
        return [Record(id, found[id]) for id in sorted(found)]

    def _reader(self, file: File) -> Any:
        """The reader of a file; None if retention took it away a moment ago."""
        known = self._files.get(file.path)
        if known is not None:
            self._files.move_to_end(file.path)
            return known
        parquet = importlib.import_module("serinus.ledger.archive.parquet")
        if self._groups is None:
            self._groups = parquet.Groups(_MOST_GROUPS)
        try:
            made = parquet.FileReader(
                self._catalog.folder / file.path, Kind(file.kind), self._groups
            )
        except FileNotFoundError:
            return None
        self._files[file.path] = made
        if len(self._files) > _MOST_FILES:
            self._files.popitem(last=False)
        return made


def _read(found: Iterator[Record]) -> dict[bytes, Event]:
    """What a file holds; nothing if retention took it away a moment ago."""
    try:
        return {record.id: record.event for record in found}
    except FileNotFoundError:
        return {}


def _gone(writer: str, number: int, folder: Path) -> NotFound:
    return NotFound(
        f"segment {number} of the log {writer} is neither in the ledger nor in the archive",
        where=str(folder),
        remedy="Keep the archive for as long as its verdicts are to be replayed.",
    )
