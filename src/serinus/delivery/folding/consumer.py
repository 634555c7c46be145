"""Folds the ledger into evidence; evidence and offsets are saved in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias

import structlog
from sqlalchemy import Connection, Engine

from serinus import clock
from serinus.delivery import turns
from serinus.delivery.experiments import comparisons
from serinus.delivery.folding.absorb import absorb
from serinus.delivery.folding.roster import Roster
from serinus.delivery.leases import Guard, unguarded
from serinus.delivery.records import journal
from serinus.delivery.types import Deployment
from serinus.ledger import consumer as offsets_of
from serinus.ledger.types import Batch, Offset, Reader
from serinus.store.engine import reading
from serinus.wire import Event

NAME = "delivery"
BATCH = 5_000
# A host that is starved may not get through this many while its lease lasts; then fewer.
_FEWEST = 50
_LONG_SECONDS = 1.0
_log = structlog.get_logger(__name__)

Absorb: TypeAlias = Callable[
    [Connection, Sequence[tuple[bytes, Event]], Sequence[Deployment], datetime],
    Sequence[str] | None,
]
"""Takes a batch of events into what somebody keeps, in the transaction that saves the offsets.

Called with the transaction, ids and events in ledger order, the live deployments, and the time.
Gives the deployments of which a replay must read the batch again, if there are any.
"""


class Consumer:
    """The controller's side of the ledger.

    Args:
        engine: the store.
        reader: of the ledger.
        others: who keeps something of the events beside the evidence.

    Attributes:
        roster: what was live at the last look.
    """

    def __init__(self, engine: Engine, reader: Reader, others: Sequence[Absorb] = ()) -> None:
        self._engine = engine
        self._reader = reader
        self._others = others
        self._offsets: dict[str, Offset] | None = None
        # What is read further than what is saved held nothing.
        self._saved: dict[str, Offset] = {}
        self._next_look = 0.0
        self._most = BATCH
        self._due: dict[str, int] = {}
        self._blamed: set[tuple[str, ...]] = set()
        self.roster = Roster()

    def forget(self) -> None:
        """Drop what is remembered of the store, since others may have changed it."""
        self._offsets = None
        self._due = {}

    def has_news(self) -> bool:
        """Whether there are events that were not folded, as far as is known what was."""
        return self._offsets is None or bool(self._reader.read(self._offsets, 1).records)

    def fold(self, guard: Guard = unguarded) -> int:
        """Fold at most one batch of new events; the number of events read.

        Without new events nothing is written, but about once a second labels that will not come
        any more are given up. A batch that took long and could not be saved is tried again by
        halves: the store ends a transaction in which a holder of the lease was silent for long.

        Args:
            guard: what makes sure that this process may still write.
        """
        if self._offsets is None:
            with reading(self._engine) as connection:
                self._saved = offsets_of.load_offsets(connection, NAME)
            self._offsets = self._saved
        batch = self._reader.read(self._offsets, self._most)
        now = clock.now()
        if not batch.records and not self._is_due(batch, now):
            return 0
        begun = clock.monotonic()
        try:
            return self._save(batch, now, guard)
        except Exception:
            if clock.monotonic() - begun > _LONG_SECONDS:
                self._most = max(_FEWEST, min(self._most, len(batch.records)) // 2)
            raise

    def _save(self, batch: Batch, now: datetime, guard: Guard) -> int:
        assert self._offsets is not None
        with turns.turn(self._engine, guard) as connection:
            if offsets_of.load_offsets(connection, NAME) != self._saved:
                # Another controller was faster: its transaction holds these events already.
                self.forget()
                return 0
            live = [standing.deployment for standing in self.roster.read(connection)]
            due: dict[str, int] = {}
            changed = self._absorb(connection, batch, live, now, due)
            if batch.records:
                for other in self._others:
                    kept = self._told(connection, other, batch, live, now)
                    changed += [item for item in kept if item not in changed]
                offsets_of.save_offsets(connection, NAME, batch.offsets)
            if changed:
                journal.note(connection, self._offsets, batch, now, changed)
        self._offsets, self._due = dict(batch.offsets), due
        self._most = min(BATCH, 2 * self._most)
        if batch.records:
            self._saved = {**self._saved, **self._offsets}
        return len(batch.records)

    def _is_due(self, batch: Batch, now: datetime) -> bool:
        """Whether a batch without events is worth a transaction: asked about once a second."""
        if clock.monotonic() < self._next_look:
            return False
        self._next_look = clock.monotonic() + 1.0
        if not self._due or batch.offsets != self._offsets:
            return True
        if not self.roster.known <= self._due.keys():
            return True
        # All of them: of an experiment each challenger waits for its own.
        return min(self._due.values()) <= clock.to_epoch_us(now)

    def _absorb(
        self,
        connection: Connection,
        batch: Batch,
        live: Sequence[Deployment],
        now: datetime,
        due: dict[str, int],
    ) -> list[str]:
        """Fold a batch; a deployment that cannot take it learns nothing of it, and all others do.

        Which one that is, is found by halves: one of a thousand costs twenty more tries.
        """
        found: dict[str, int] = {}
        try:
            with connection.begin_nested():
                records, judged = comparisons.project(batch.records, live)
                ids = [item.id for item in judged if item.id in self._due]
                found = {identity: self._due[identity] for identity in ids}
                changed = absorb(
                    connection, records, judged, now, complete=batch.complete, due=found
                )
        except Exception as error:
            if turns.is_everybodys(error):
                raise
            if len(live) <= 1:
                self._tell("a batch could not be folded", *(item.id for item in live))
                return []
            half = len(live) // 2
            first = self._absorb(connection, batch, live[:half], now, due)
            return first + self._absorb(connection, batch, live[half:], now, due)
        due.update(found)
        return changed

    def _told(
        self,
        connection: Connection,
        other: Absorb,
        batch: Batch,
        live: Sequence[Deployment],
        now: datetime,
    ) -> Sequence[str]:
        """What somebody else keeps of a batch; who cannot take it must not stop delivery."""
        try:
            with connection.begin_nested():
                return other(connection, batch.records, live, now) or ()
        except Exception as error:
            if turns.is_everybodys(error):
                raise
            self._tell("a batch could not be kept", type(other).__name__)
            return ()

    def _tell(self, what: str, *who: str) -> None:
        """Log the error at hand, of each deployment or consumer once."""
        if who not in self._blamed:
            self._blamed.add(who)
            _log.exception(what, who=who)
