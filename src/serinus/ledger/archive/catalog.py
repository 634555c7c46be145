"""Where the archive's files lie, and which segments are in it: one small file an entry.

``folder/<kind>/day=<day>/<writer>-<segment>.parquet`` and
``folder/segments/<writer>/<segment>.json``. The entry is written last and never changes but for
the files that retention takes away, so it is what makes a segment archived.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from serinus import clock
from serinus.errors import Unavailable
from serinus.ledger.archive.rows import Kind
from serinus.ledger.archive.types import Entry, Segment

WORK = ".work"
"""Where files are written before they get their names."""

_SEGMENTS = "segments"
_SUFFIX = ".json"
_LAST_US = clock.to_epoch_us(datetime(9999, 12, 31, tzinfo=UTC))


class Catalog:
    """The entries of an archive's folder, which need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._decoder = msgspec.json.Decoder(Entry)
        self._known: dict[Path, tuple[tuple[int, int], Entry]] = {}

    def entries(self) -> list[Entry]:
        """Every segment in the archive, by writer and number.

        What has not changed since it was read is not read again.
        """
        paths = sorted((self.folder / _SEGMENTS).glob(f"*/*{_SUFFIX}"))
        return [entry for path in paths if (entry := self._read(path)) is not None]

    def entry(self, writer: str, number: int) -> Entry | None:
        """What is known of one segment; None if it is not archived."""
        return self._read(self._path(writer, number))

    def pending(self, segments: Iterable[Segment]) -> list[Segment]:
        """Those of a ledger's segments that are finished and not archived."""
        return [
            segment
            for segment in segments
            if segment.is_finished and self.entry(segment.writer, segment.number) is None
        ]

    def publish(self, entry: Entry) -> None:
        """Make an entry, or write one anew; whole or not at all.

        Raises:
            Unavailable: the folder cannot be written.
        """
        path = self._path(entry.writer, entry.number)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with fresh.open("wb") as file:
                file.write(msgspec.json.encode(entry))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
            sync_folder(path.parent)
        except OSError as error:
            raise unwritable(self.folder, error) from error

    def remove(self, entry: Entry) -> None:
        """Forget a segment, of which neither the ledger nor the archive has anything left.

        Raises:
            Unavailable: the folder cannot be written.
        """
        path = self._path(entry.writer, entry.number)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(self.folder, error) from error
        self._known.pop(path, None)

    def _path(self, writer: str, number: int) -> Path:
        return self.folder / _SEGMENTS / writer / f"{number:08d}{_SUFFIX}"

    def _read(self, path: Path) -> Entry | None:
        try:
            status = path.stat()
            stamp = (status.st_ino, status.st_mtime_ns)
            known = self._known.get(path)
            if known is not None and known[0] == stamp:
                return known[1]
            entry = self._decoder.decode(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        self._known[path] = stamp, entry
        return entry


def file_path(kind: Kind, day: str, writer: str, number: int) -> str:
    """The place of a file in the archive's folder."""
    return f"{kind}/day={day}/{writer}-{number:08d}.parquet"


def day_of(at_us: int) -> str:
    """The day in UTC; what lies beyond the calendar is of its first or its last day."""
    return f"{clock.from_epoch_us(min(max(at_us, 0), _LAST_US)):%Y-%m-%d}"


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unwritable(folder: Path, error: OSError) -> Unavailable:
    """The error to raise for one of the operating system's."""
    return Unavailable(
        f"the archive cannot be written ({error.strerror})",
        where=str(folder),
        remedy="Free disk space, or make the folder writable.",
    )
