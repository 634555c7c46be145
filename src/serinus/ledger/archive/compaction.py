"""Finished segments -> Parquet files, each segment exactly once, however often this is killed.

Files are written in a folder of their own, named after their segment, moved to their places and
only then entered in the catalog. Whoever dies before the entry leaves files that the next attempt
writes again, under the same names and with the same rows.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from serinus import clock
from serinus.errors import SerinusError
from serinus.ledger import ids
from serinus.ledger.archive.catalog import WORK, Catalog, day_of, file_path, sync_folder, unwritable
from serinus.ledger.archive.parquet import GROUP_ROWS, FileWriter
from serinus.ledger.archive.rows import MODEL_AT, Kind, Names, Row, shape
from serinus.ledger.archive.types import Entry, File, Segment, Segments

# Rows held back until a row group is full: beyond this many the fullest group is written early.
_HELD_ROWS = 8 * GROUP_ROWS
_DAY_US = 86_400_000_000


class Compaction:
    """Archives the finished segments of a ledger.

    Args:
        segments: of the ledger.
        catalog: of its archive.
        names: of the inputs of models' versions.
    """

    def __init__(self, segments: Segments, catalog: Catalog, names: Names) -> None:
        self._segments = segments
        self._catalog = catalog
        self._names = names

    def pending(self) -> list[Segment]:
        """The finished segments that are not archived, by writer and number."""
        return self._catalog.pending(self._segments.listed())

    def run(self, seconds: float = float("inf")) -> list[Entry]:
        """Archive what is pending, until ``seconds`` have passed: at least one segment.

        One segment that cannot be archived does not keep the others from it.

        Raises:
            SerinusError: a segment could not be archived; the others are.
        """
        until = clock.monotonic() + seconds
        done: list[Entry] = []
        failed: SerinusError | None = None
        for segment in self.pending():
            try:
                done.append(self.archive(segment))
            except SerinusError as error:
                failed = failed or error
            if clock.monotonic() >= until:
                break
        if failed is not None:
            raise failed
        return done

    def archive(self, segment: Segment) -> Entry:
        """Archive one segment; doing it again changes nothing.

        Raises:
            Unavailable: the ledger cannot be read, or the archive cannot be written.
            NotFound: the segment is gone.
        """
        folder = self._catalog.folder
        try:
            with _workplace(folder) as work:
                written = write_segment(self._segments, segment, self._names, work)
                for file in written.files:
                    _move(work, folder, file.path)
        except OSError as error:
            raise unwritable(folder, error) from error
        self._catalog.publish(written)
        return written


def write_segment(
    segments: Segments,
    segment: Segment,
    names: Names,
    folder: Path,
    *,
    kinds: Collection[Kind] = tuple(Kind),
    quick: bool = False,
) -> Entry:
    """Write one segment's events below ``folder``; memory is bounded, whatever the segment's size.

    Args:
        segments: of the ledger.
        segment: of it, up to its present size.
        names: of the inputs of models' versions.
        folder: under which the files get the places that they have in an archive.
        kinds: of events; others are passed over.
        quick: see :class:`FileWriter`.

    Raises:
        Unavailable: the ledger cannot be read.
        NotFound: the segment is gone.
        OSError: the files cannot be written.
    """
    files = _Files(folder, segment, quick=quick)
    names = cache(names)
    records, oldest, newest = 0, 0, 0
    try:
        for piece in segments.read(segment):
            for record in piece:
                at = record.event.at
                oldest, newest = (min(oldest, at), max(newest, at)) if records else (at, at)
                records += 1
                kind, row = shape(record, names)
                if kind in kinds:
                    files.add(kind, row)
        written = files.close()
    except BaseException:
        files.abandon()
        raise
    return Entry(
        writer=segment.writer,
        number=segment.number,
        size=segment.size,
        records=records,
        oldest_us=oldest,
        newest_us=newest,
        archived_us=clock.epoch_us(),
        files=written,
    )


class _Files:
    """The files of one segment while they are written: one for each kind and day."""

    def __init__(self, folder: Path, segment: Segment, *, quick: bool) -> None:
        self._folder = folder
        self._segment = segment
        self._quick = quick
        self._writers: dict[tuple[Kind, str], FileWriter] = {}
        self._facts: dict[tuple[Kind, str], tuple[int, int, int, int]] = {}
        self._held: dict[tuple[Kind, str, str], list[Row]] = {}
        self._held_rows = 0
        self._days: dict[int, str] = {}

    def add(self, kind: Kind, row: Row) -> None:
        """One row, in the ledger's order."""
        place = MODEL_AT.get(kind)
        model = "" if place is None else row[place]
        key = (kind, self._day(row[1]), model)
        rows = self._held.setdefault(key, [])
        rows.append(row)
        self._held_rows += 1
        if len(rows) >= GROUP_ROWS:
            self._write(key)
        elif self._held_rows > _HELD_ROWS:
            self._write(max(self._held, key=lambda key: len(self._held[key])))

    def close(self) -> tuple[File, ...]:
        """Write what is held back and end all files."""
        for key in sorted(self._held):
            self._write(key)
        return tuple(
            self._described(kind, day, writer)
            for (kind, day), writer in sorted(self._writers.items())
        )

    def abandon(self) -> None:
        """End all files; they are of no use."""
        for writer in self._writers.values():
            writer.abandon()

    def _day(self, at_us: int) -> str:
        number = at_us // _DAY_US
        found = self._days.get(number)
        if found is None:
            found = self._days[number] = day_of(at_us)
        return found

    def _write(self, key: tuple[Kind, str, str]) -> None:
        rows = self._held.pop(key)
        self._held_rows -= len(rows)
        kind, day, _ = key
        writer = self._writers.get((kind, day))
        if writer is None:
            path = self._folder / file_path(kind, day, self._segment.writer, self._segment.number)
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = self._writers[kind, day] = FileWriter(path, kind, quick=self._quick)
        writer.write(rows)
        times = [row[1] for row in rows]
        bounds = (_offset(rows[0]), _offset(rows[-1]), min(times), max(times))
        known = self._facts.get((kind, day), bounds)
        self._facts[kind, day] = (
            min(known[0], bounds[0]),
            max(known[1], bounds[1]),
            min(known[2], bounds[2]),
            max(known[3], bounds[3]),
        )

    def _described(self, kind: Kind, day: str, writer: FileWriter) -> File:
        size = writer.close()
        first, last, oldest, newest = self._facts[kind, day]
        return File(
            path=file_path(kind, day, self._segment.writer, self._segment.number),
            kind=kind,
            rows=writer.rows,
            bytes=size,
            first=first,
            last=last,
            oldest_us=oldest,
            newest_us=newest,
        )


def _offset(row: Row) -> int:
    return ids.unpack(ids.decode(row[0])).offset


@contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    """A fresh folder inside the archive's; what the dead left in theirs is cleared away."""
    place = folder / WORK
    place.mkdir(parents=True, exist_ok=True)
    for left in place.iterdir():
        with _locked(left) as free:
            if free:
                shutil.rmtree(left, ignore_errors=True)
    mine = place / os.urandom(8).hex()
    mine.mkdir()
    with _locked(mine):
        try:
            yield mine
        finally:
            shutil.rmtree(mine, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold a folder, if nobody does; the kernel lets go however this process ends."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


def _move(work: Path, folder: Path, path: str) -> None:
    """Give a file its place, in the place of an equal one that was left there."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    (work / path).replace(target)
    sync_folder(target.parent)
