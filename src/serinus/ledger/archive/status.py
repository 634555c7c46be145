"""How a ledger and its archive are: sizes, ages, and how far everybody has read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from serinus import clock
from serinus.ledger.archive.retention import Consumers
from serinus.ledger.archive.types import Entry, Segment
from serinus.ledger.types import Offsets


class Lag(msgspec.Struct, frozen=True):
    """What a consumer has still to read: bytes, in so many segments."""

    consumer: str
    segments: int
    bytes: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger and its archive at one moment.

    ``living`` writers may still write; ``waiting`` segments are finished and not archived yet.
    ``oldest`` and ``newest`` are of archived events; None while there are none.
    """

    writers: int
    living: int
    segments: int
    bytes: int
    waiting: int
    waiting_bytes: int
    consumers: tuple[Lag, ...]
    archived_segments: int
    archived_records: int
    archived_files: int
    archived_bytes: int
    oldest: datetime | None
    newest: datetime | None


def status_of(segments: Sequence[Segment], entries: Sequence[Entry], readers: Consumers) -> Status:
    """The status of what was listed."""
    archived = {(entry.writer, entry.number) for entry in entries}
    waiting = [
        segment
        for segment in segments
        if segment.is_finished and (segment.writer, segment.number) not in archived
    ]
    files = [file for entry in entries for file in entry.files]
    return Status(
        writers=len({segment.writer for segment in segments}),
        living=sum(not segment.is_finished for segment in segments),
        segments=len(segments),
        bytes=sum(segment.size for segment in segments),
        waiting=len(waiting),
        waiting_bytes=sum(segment.size for segment in waiting),
        consumers=tuple(_lag(name, at, segments) for name, at in sorted(readers.items())),
        archived_segments=len(entries),
        archived_records=sum(entry.records for entry in entries),
        archived_files=len(files),
        archived_bytes=sum(file.bytes for file in files),
        oldest=clock.from_epoch_us(min(file.oldest_us for file in files)) if files else None,
        newest=clock.from_epoch_us(max(file.newest_us for file in files)) if files else None,
    )


def _lag(name: str, read: Offsets, segments: Sequence[Segment]) -> Lag:
    left = [size for segment in segments if (size := _unread(segment, read)) > 0]
    return Lag(name, len(left), sum(left))


def _unread(segment: Segment, read: Offsets) -> int:
    at = read.get(segment.writer)
    if at is None or at.segment < segment.number:
        return segment.size
    return segment.size - at.offset if at.segment == segment.number else 0
