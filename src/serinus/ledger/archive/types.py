"""What the archive knows of segments and of its own files, and what it needs of a ledger for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import msgspec

from serinus.ledger.types import Record


@dataclass(frozen=True, order=True)
class Segment:
    """A segment that the ledger still has.

    ``size`` is the offset behind its last record. ``is_finished`` is whether nothing more will be
    written to it: it has a successor, or its writer is closed.
    """

    writer: str
    number: int
    size: int
    is_finished: bool


class Segments(Protocol):
    """The segments of a ledger: which there are, what is in one, and away with it.

    ``first`` is the number of each writer's first segment.
    """

    first: int

    def listed(self) -> list[Segment]:
        """Every segment that is there, by writer and number.

        Raises:
            Unavailable: the ledger cannot be reached now.
        """
        ...

    def read(self, segment: Segment) -> Iterator[list[Record]]:
        """A segment's records in order, up to its size, a few megabytes at a time.

        Raises:
            NotFound: it is gone.
            Unavailable: the ledger cannot be reached now.
        """
        ...

    def remove(self, writer: str, number: int) -> None:
        """Remove a segment; nothing happens if it is gone already.

        Raises:
            Unavailable: the ledger cannot be reached now.
        """
        ...

    def close(self) -> None:
        """Let go of open files or connections; the next call opens them again."""
        ...


class File(msgspec.Struct, frozen=True):
    """One Parquet file: rows of one kind and one day, out of one segment.

    ``path`` is relative to the archive's folder, ``first`` and ``last`` are the least and the
    greatest offset of its records in the segment, times are microseconds since 1970.
    """

    path: str
    kind: str
    rows: int
    bytes: int
    first: int
    last: int
    oldest_us: int
    newest_us: int


class Entry(msgspec.Struct, frozen=True):
    """That a segment is archived, and where.

    ``size`` is the segment's: the offset behind its last record. ``oldest_us`` and ``newest_us``
    are zero if it had no records. ``removed`` are the places of files that retention took away.
    """

    writer: str
    number: int
    size: int
    records: int
    oldest_us: int
    newest_us: int
    archived_us: int
    files: tuple[File, ...]
    removed: tuple[str, ...] = ()
