"""A way through one writer's stream: entry after entry, and what is missing between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from serinus.ledger import frames, ids
from serinus.ledger.events import decode
from serinus.ledger.types import Offset, Record

_MOST = 0xFFFF_FFFF
START = Offset(0, 0)
"""Before all records."""
LAST = Offset(_MOST, _MOST)
"""No record is behind it; what ends a stream is."""


@dataclass
class Course:
    """How far one writer's stream was read, and what was found there.

    ``damaged`` counts the bytes of entries of which no event could be made, and bytes of which
    there is no entry though there are some behind them; ``gaps`` how often any were missing.
    """

    name: str
    segment: int
    offset: int
    is_closed: bool = False
    is_done: bool = False
    records: list[Record] = field(default_factory=list)
    damaged: int = 0
    gaps: int = 0

    @property
    def here(self) -> Offset:
        """The place behind the last entry that was taken."""
        return Offset(self.segment, self.offset)

    def take(self, entry: Any) -> None:
        """Go past an entry as the server gave it."""
        name, fields = entry
        first, _, second = name.partition(b"-")
        segment, offset = int(first), int(second)
        missing = offset - self.offset if segment == self.segment else offset
        if missing or segment > self.segment + 1:
            self.gaps += 1
            self.damaged += missing
        data = fields[1] if fields else b""
        frame = frames.at(memoryview(data), 0)
        is_whole = frame is not None and frame.end == len(data) and offset <= _MOST
        event = decode(frame.payload) if frame is not None and is_whole else None
        if frame is None or event is None:
            self.damaged += len(data)
        else:
            id = ids.pack(bytes.fromhex(self.name), segment, offset, frame.crc)
            self.records.append(Record(id, event))
        self.segment, self.offset = segment, offset + max(len(data), 1)


def ranges(
    key: str, here: Offset, quota: int, chunk: int, last: Offset
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Two commands: the entries that begin within a chunk, and the first one behind it."""
    border = Offset(here.segment, here.offset + chunk)
    return (
        ("XRANGE", key, entry_id(here), entry_id(min(just_before(border), last)), "COUNT", quota),
        ("XRANGE", key, entry_id(border), entry_id(last), "COUNT", 1),
    )


def entry_id(at: Offset) -> str:
    """The id of the entry there, as the server spells it."""
    return f"{at.segment}-{at.offset}"


def just_before(end: Offset) -> Offset:
    """The last place where an entry may begin that begins before an offset."""
    return Offset(end.segment, end.offset - 1) if end.offset else Offset(end.segment - 1, _MOST)
