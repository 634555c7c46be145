"""The ledger's port: what its writers and readers promise, wherever the records are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeAlias

from serinus.wire import Event

Sync = Literal["os", "disk"]
"""What an acknowledged record survives: the death of any process, or also a power cut."""


@dataclass(frozen=True, order=True)
class Offset:
    """How far one writer's records were read: the next byte to read."""

    segment: int
    offset: int


Offsets: TypeAlias = Mapping[str, Offset]
"""By writer. A writer that is missing was not read at all."""


class Record(NamedTuple):
    """An event and its address."""

    id: bytes
    event: Event


@dataclass(frozen=True)
class Batch:
    """What one read found.

    ``offsets`` is the complete new state, to be saved with whatever the records led to.
    ``damaged_bytes`` counts bytes that no whole frame could be made of and that were passed over.
    ``complete`` is whether everything was read that was there when the read began.
    """

    records: list[Record]
    offsets: dict[str, Offset]
    damaged_bytes: int = 0
    complete: bool = True


class Writer(Protocol):
    """One process run's own part of the ledger. Not for several threads at once."""

    @property
    def name(self) -> str:
        """The name of the writer: 8 hexadecimal digits, new in each process run."""
        ...

    @property
    def is_quick(self) -> bool:
        """Whether an append takes microseconds, so that an event loop may wait for it.

        If not, it is to be called in a thread.
        """
        ...

    def append(self, events: Sequence[Event]) -> list[bytes]:
        """Write events in their order: either all of them or none; their ids, once all are safe.

        Raises:
            InvalidInput: an event is larger than a record may be, or holds what cannot be packed.
            Unavailable: the ledger does not take them now; a later append may succeed.
        """
        ...

    def sync(self) -> None:
        """Wait until the disk has everything that was appended.

        Raises:
            Unavailable: it cannot be made sure.
        """
        ...

    def close(self) -> None:
        """End this writer: nothing more will come of it, and readers need not look again."""
        ...


class Reader(Protocol):
    """Reads what all writers of a ledger wrote. Not for several threads at once."""

    def read(self, offsets: Offsets, limit: int) -> Batch:
        """Up to ``limit`` records behind ``offsets``, each writer's in order.

        Raises:
            Unavailable: the ledger cannot be reached now.
        """
        ...

    def between(self, writer: str, start: Offset, end: Offset) -> list[Record]:
        """One writer's records from ``start`` to just before ``end``, both of earlier reads.

        Raises:
            NotFound: retention has taken a part of them away.
            Unavailable: the ledger cannot be reached now.
        """
        ...

    def lookup(self, id: bytes) -> Event | None:
        """The event of this id; None if there is none.

        Raises:
            InvalidInput: the id is not 16 bytes long.
            Unavailable: the ledger cannot be reached now.
        """
        ...

    def lookup_many(self, ids: Sequence[bytes]) -> list[Event | None]:
        """For each id its event, None where there is none; much faster than one by one.

        Raises:
            InvalidInput: an id is not 16 bytes long.
            Unavailable: the ledger cannot be reached now.
        """
        ...

    def scan(self, model: str | None = None, since_us: int | None = None) -> Iterator[Record]:
        """Every record of the ledger, writer by writer; for replays, not for serving.

        Args:
            model: only events of this model (worker status events belong to none).
            since_us: only events at or after this moment, in epoch microseconds.

        Raises:
            Unavailable: the ledger cannot be reached now.
        """
        ...

    def close(self) -> None:
        """Let go of open files or connections; the next call opens them again."""
        ...
