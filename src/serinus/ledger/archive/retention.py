"""What may go, and why: a segment once nobody can need it, an archived file once it is old enough.

A segment goes when it is archived, older than the retention, behind what every consumer has read,
and older than any deployment that is still live, and with it all that its writer wrote before: what
is left of a writer is always its end, without holes. An archived file goes when it is older than
the archive's retention and its segment has gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from serinus import clock
from serinus.ledger.archive.catalog import Catalog, unwritable
from serinus.ledger.archive.types import Entry, File, Segment, Segments
from serinus.ledger.types import Offset, Offsets

_DAY_US = 86_400_000_000

Consumers: TypeAlias = Mapping[str, Offsets]
"""How far each consumer has read; one that has read nothing yet has no offsets, but is named."""


class Rules(msgspec.Struct, frozen=True):
    """How long to keep.

    Attributes:
        ledger_days: for segments, counted from their newest event; 0 is for ever.
        archive_days: for archived files, likewise.
        needed_us: nothing with an event of this moment or later goes, whatever its age; None if
            nobody needs any.
    """

    ledger_days: float = 0
    archive_days: float = 0
    needed_us: int | None = None


class Decision(msgspec.Struct, frozen=True):
    """What becomes of a segment or of an archived file, and why."""

    subject: Literal["segment", "file"]
    name: str
    bytes: int
    newest_us: int
    goes: bool
    reason: str


class Retention:
    """Retention over a ledger and its archive.

    Args:
        segments: of the ledger.
        catalog: of its archive.
        rules: asked at each pass.
        consumers: asked at each pass.
    """

    def __init__(
        self,
        segments: Segments,
        catalog: Catalog,
        rules: Callable[[], Rules],
        consumers: Callable[[], Consumers],
    ) -> None:
        self._segments = segments
        self._catalog = catalog
        self._rules = rules
        self._consumers = consumers

    def decide(self) -> list[Decision]:
        """What a pass would do at this moment; nothing is changed.

        Raises:
            Unavailable: the ledger cannot be reached now.
        """
        return [decision for decision, _ in self._decided()]

    def run(self) -> list[Decision]:
        """Remove what may go; what was removed.

        Raises:
            Unavailable: the ledger cannot be reached now, or something cannot be removed.
        """
        done = []
        for decision, remove in self._decided():
            if decision.goes:
                remove()
                done.append(decision)
        for entry in self._catalog.entries():
            self._sweep(entry)
        return done

    def _decided(self) -> Iterator[tuple[Decision, Callable[[], None]]]:
        rules, consumers, now = self._rules(), self._consumers(), clock.epoch_us()
        # Listed before the entries are read: what is archived meanwhile is not missed.
        listed = self._segments.listed()
        entries = {(entry.writer, entry.number): entry for entry in self._catalog.entries()}
        staying: set[str] = set()
        for segment in listed:
            key = (segment.writer, segment.number)
            decision = of_segment(segment, entries.get(key), rules, consumers, now)
            if decision.goes and (lost := self._lost(entries[key])):
                decision = msgspec.structs.replace(
                    decision, goes=False, reason=f"its archived file {lost} is not whole"
                )
            if decision.goes and segment.writer in staying:
                decision = msgspec.structs.replace(
                    decision, goes=False, reason="an older segment of the same writer stays"
                )
            if not decision.goes:
                staying.add(segment.writer)
            yield decision, partial(self._segments.remove, segment.writer, segment.number)
        left = {(segment.writer, segment.number) for segment in listed}
        for key, entry in entries.items():
            for file in entry.files:
                decision = of_file(file, rules, now, has_segment=key in left)
                yield decision, partial(self._forget, entry.writer, entry.number, file)

    def _lost(self, entry: Entry) -> str:
        """The first of a segment's files that is not as it was written; empty if all are."""
        for file in entry.files:
            try:
                if (self._catalog.folder / file.path).stat().st_size != file.bytes:
                    return file.path
            except FileNotFoundError:
                return file.path
        return ""

    def _forget(self, writer: str, number: int, file: File) -> None:
        """Strike a file out of its entry first: no query may look for what is gone."""
        entry = self._catalog.entry(writer, number)
        if entry is not None:
            kept = tuple(other for other in entry.files if other.path != file.path)
            removed = (*entry.removed, file.path)
            self._catalog.publish(msgspec.structs.replace(entry, files=kept, removed=removed))

    def _sweep(self, entry: Entry) -> None:
        """Remove the files that were struck out, and an entry that has no others."""
        try:
            for path in entry.removed:
                (self._catalog.folder / path).unlink(missing_ok=True)
                _remove_if_empty((self._catalog.folder / path).parent)
        except OSError as error:
            raise unwritable(self._catalog.folder, error) from error
        if entry.removed and not entry.files:
            self._catalog.remove(entry)


def of_segment(
    segment: Segment, entry: Entry | None, rules: Rules, consumers: Consumers, now_us: int
) -> Decision:
    """Whether a segment may go."""
    if not segment.is_finished:
        reason = "it is still written"
    elif entry is None:
        reason = "it is not archived yet"
    else:
        reason = _young(entry.newest_us, rules.ledger_days, rules, now_us)
        unread = [name for name, at in sorted(consumers.items()) if not _is_behind(segment, at)]
        if not reason and unread:
            reason = f"not read to its end by: {', '.join(unread)}"
    return Decision(
        subject="segment",
        name=f"{segment.writer}/{segment.number:08d}",
        bytes=segment.size,
        newest_us=entry.newest_us if entry else 0,
        goes=not reason,
        reason=reason or "archived, read by all, and older than the ledger's retention",
    )


def of_file(file: File, rules: Rules, now_us: int, *, has_segment: bool) -> Decision:
    """Whether an archived file may go."""
    reason = _young(file.newest_us, rules.archive_days, rules, now_us)
    if not reason and has_segment:
        reason = "its segment is still in the ledger"
    return Decision(
        subject="file",
        name=file.path,
        bytes=file.bytes,
        newest_us=file.newest_us,
        goes=not reason,
        reason=reason or "older than the archive's retention",
    )


def totals(decisions: Iterable[Decision]) -> tuple[int, int]:
    """How many of them go, and their bytes."""
    going = [decision.bytes for decision in decisions if decision.goes]
    return len(going), sum(going)


def _young(newest_us: int, days: float, rules: Rules, now_us: int) -> str:
    """Why something with this newest event is not old enough; empty if it is."""
    if days <= 0:
        return "it is kept for ever"
    if newest_us > now_us - days * _DAY_US:
        return f"it is not {days:g} days old"
    if rules.needed_us is not None and newest_us >= rules.needed_us:
        return "a live deployment began before its end"
    return ""


def _is_behind(segment: Segment, read: Offsets) -> bool:
    at = read.get(segment.writer)
    # Of a writer that never wrote nobody has an offset.
    return segment.size == 0 or (at is not None and at >= Offset(segment.number, segment.size))


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        # Not empty, or gone already: both are well.
        return
