"""Folds the ledger into evidence; evidence and offsets are saved in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
import structlog
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    delete,
    func,
    insert,
    literal_column,
    select,
    text,
    tuple_,
    update,
)

from serinus import clock
from serinus.delivery import halves, journal, repository, turns
from serinus.delivery.experiments import comparisons
from serinus.delivery.leases import Guard, unguarded
from serinus.delivery.roster import Roster
from serinus.delivery.types import Deployment, Kind
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts import fold
from serinus.delivery.verdicts.evidence import Evidence, Sight
from serinus.delivery.verdicts.fold import Facts, Waiting
from serinus.delivery.verdicts.watch import Watch
from serinus.ledger import consumer as offsets_of
from serinus.ledger.types import Batch, Offset, Reader
from serinus.store import schema
from serinus.store.engine import reading
from serinus.wire import Answer, Event, WorkerStatus

NAME = "delivery"
BATCH = 5_000
# Two writers are read one after the other, so a label may be read before its request.
ORPHAN_SECONDS = 60.0
_CHUNK = 500
_PAGE = 2_000
_AWAITING = schema.awaiting
# Rows of requests, and (few, with an index of their own) of what came before its request. In these
# very words, which are those of that index.
_ASKED = func.length(_AWAITING.c.facts) > literal_column("0")
_ORPHANED = func.length(_AWAITING.c.facts) == literal_column("0")
_ORPHAN_US = round(ORPHAN_SECONDS * 1e6)
_NEVER = 1 << 62
_log = structlog.get_logger(__name__)
_pack = msgspec.msgpack.Encoder().encode
_FACTS = msgspec.msgpack.Decoder(Facts)
_OUTCOME: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)
# A request and what came of it may be read in either order, and the first that came counts. As
# text, since both databases take it and it costs half as much as an expression.
_WAIT = text(
    "INSERT INTO awaiting (prediction, deployment, kind, predicted_at, facts, outcome)"
    " VALUES (:prediction, :deployment, :kind, :predicted_at, :facts, :outcome)"
    " ON CONFLICT (prediction, deployment, kind) DO UPDATE SET"
    " facts = CASE WHEN length(awaiting.facts) = 0 THEN excluded.facts ELSE awaiting.facts END,"
    " outcome = coalesce(awaiting.outcome, excluded.outcome)"
)
_KINDS: dict[str, tuple[Kind, ...]] = {
    fold.LABEL: ("quality", "shadow_quality"),
    fold.VALUE: ("business",),
}


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
        self._due: dict[str, int] = {}
        self._blamed: set[tuple[str, ...]] = set()
        self.roster = Roster()

    def forget(self) -> None:
        """Drop what is remembered of the store, since others may have changed it."""
        self._offsets = None
        self._due = {}

    def fold(self, guard: Guard = unguarded) -> int:
        """Fold at most one batch of new events; the number of events read.

        Without new events nothing is written, but about once a second labels that will not come
        any more are given up.

        Args:
            guard: what makes sure that this process may still write.
        """
        if self._offsets is None:
            with reading(self._engine) as connection:
                self._saved = offsets_of.load_offsets(connection, NAME)
            self._offsets = self._saved
        batch = self._reader.read(self._offsets, BATCH)
        if not batch.records and clock.monotonic() < self._next_look:
            return 0
        self._next_look = clock.monotonic() + 1.0
        now = clock.now()
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
        if batch.records:
            self._saved = {**self._saved, **self._offsets}
        return len(batch.records)

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


def absorb(
    connection: Connection,
    records: Sequence[tuple[bytes, Event]],
    live: Sequence[Deployment],
    now: datetime,
    *,
    complete: bool,
    due: dict[str, int] | None = None,
) -> list[str]:
    """Fold a batch into the evidence of the live deployments, in the caller's transaction.

    It depends on its arguments and the store alone, so that a replay of the same batches gives the
    same evidence, bit for bit: ``due`` only spares looks that would find nothing.

    Args:
        connection: the transaction.
        records: ids and events, in ledger order.
        live: the deployments that may learn from them.
        now: the present time: what was predicted a label window before it is given up.
        complete: whether all of the ledger was read. Only then may labels be given up, since after
            a pause of the controller they may lie behind what was read so far.
        due: by deployment, when (microseconds since 1970) something that waits may be given up
            although no event came; kept up to date here. None looks at all deployments.

    Returns:
        The deployments whose state changed.
    """
    found, workers = fold.sort(records, {item.id: item for item in live})
    _write_workers(connection, workers.values())
    moment = clock.to_epoch_us(now)
    due = {} if due is None else due
    touched = [item for item in live if found[item.id] or due.get(item.id, 0) <= moment]
    watches = repository.watches_of(connection, [item.id for item in touched])
    changed, added = [], []
    for deployment in touched:
        events, watch = found[deployment.id], watches[deployment.id]
        gathered = _gather(connection, deployment, events, watch)
        more, ended, due[deployment.id] = _mature(connection, deployment, now, give_up=complete)
        evidence = gathered.evidence + more
        if evidence.tables or gathered.watch is not watch:
            added.append((deployment.id, evidence, gathered.watch))
        if events or ended:
            changed.append(deployment.id)
    repository.add_evidence(connection, added, now)
    return changed


def _gather(
    connection: Connection, deployment: Deployment, events: fold.Events, watch: Watch
) -> fold.Gathered:
    """What the events of a batch add; what has to wait or to be remembered is written down."""
    if not events:
        return fold.Gathered(ev.EMPTY, watch)
    known = _known_units(connection, deployment.id, fold.units_of(deployment, events))
    gathered = fold.gather(deployment, events, watch, known)
    _write_units(connection, deployment.id, gathered.units, known)
    _write_waiting(connection, deployment.id, fold.LABEL, gathered.labels)
    _write_waiting(connection, deployment.id, fold.VALUE, gathered.values)
    gathered.evidence += halves.join(connection, deployment.id, gathered.halves)
    return gathered


def _write_workers(connection: Connection, statuses: Iterable[WorkerStatus]) -> None:
    for status in statuses:
        try:
            with connection.begin_nested():
                _write_worker(connection, status)
        except Exception as error:
            if turns.is_everybodys(error):
                raise
            _log.exception("a worker's status cannot be kept", worker=status.worker)


def _write_worker(connection: Connection, status: WorkerStatus) -> None:
    table = schema.gateway_workers
    values = {
        "revision": status.revision,
        "ready": list(status.ready),
        "failed": status.failed,
        "circuits": status.circuits,
        "at": clock.from_epoch_us(status.at),
    }
    changed = connection.execute(
        update(table).where(table.c.worker == status.worker).values(**values)
    )
    if changed.rowcount == 0:
        connection.execute(insert(table).values(worker=status.worker, **values))


def _known_units(connection: Connection, deployment: str, units: set[int]) -> dict[int, bool]:
    table = schema.evidence_units
    known: dict[int, bool] = {}
    for chunk in _chunks(sorted(units)):
        rows = connection.execute(
            select(table.c.unit, table.c.failed).where(
                table.c.deployment == deployment, table.c.unit.in_(chunk)
            )
        )
        known.update((row.unit, row.failed) for row in rows)
    return known


def _write_units(
    connection: Connection, deployment: str, units: dict[int, bool], known: dict[int, bool]
) -> None:
    table = schema.evidence_units
    fresh = [
        {"deployment": deployment, "unit": unit, "failed": failed}
        for unit, failed in units.items()
        if unit not in known
    ]
    if fresh:
        connection.execute(insert(table), fresh)
    failed = [unit for unit, has_failed in units.items() if unit in known and has_failed]
    for chunk in _chunks(failed):
        connection.execute(
            update(table)
            .where(table.c.deployment == deployment, table.c.unit.in_(chunk))
            .values(failed=True)
        )


def _write_waiting(connection: Connection, deployment: str, kind: str, waiting: Waiting) -> None:
    rows = [
        {
            "prediction": prediction,
            "deployment": deployment,
            "kind": kind,
            "predicted_at": at,
            "facts": _pack(facts),
            "outcome": _pack(waiting.told[prediction][1]) if prediction in waiting.told else None,
        }
        for prediction, (at, facts) in waiting.asked.items()
    ] + [
        {
            "prediction": prediction,
            "deployment": deployment,
            "kind": kind,
            "predicted_at": at,
            "facts": b"",
            "outcome": _pack(outcome),
        }
        for prediction, (at, outcome) in waiting.told.items()
        if prediction not in waiting.asked
    ]
    if rows:
        connection.execute(_WAIT, rows)


def _mature(
    connection: Connection, deployment: Deployment, now: datetime, *, give_up: bool
) -> tuple[Evidence, bool, int]:
    """Fold outcomes in the order of their requests, up to the first that may still come.

    Returns:
        What they add, whether anything waits no longer, and when (microseconds since 1970) the
        first that still waits may be given up.
    """
    plan = deployment.plan
    moment, window = clock.to_epoch_us(now), round(plan.label_window_seconds * 1e6)
    given_up = moment - window if give_up else 0
    seen: Counter[Sight] = Counter()
    ended, due = 0, _NEVER
    if not (plan.clone or any(plan.has(*guardrails) for guardrails in _KINDS.values())):
        return ev.EMPTY, False, _NEVER
    for kind, guardrails in _KINDS.items():
        if not plan.has(*guardrails):
            continue
        here = (_AWAITING.c.deployment == deployment.id) & (_AWAITING.c.kind == kind) & _ASKED
        first = _first_waiting(connection, here, given_up)
        for rows in _settled(connection, here, first):
            # What is alike is decoded once: classes and shares are few.
            for (facts, outcome), times in Counter((row[2], row[3]) for row in rows).items():
                for sight in fold.mature(plan, kind, _FACTS.decode(facts), _unpacked(outcome)):
                    seen[sight] += times
            ended += len(rows)
        due = min(due, first[0] + window if first else _NEVER)
    dropped, orphans_due = _drop_orphans(connection, deployment, moment, give_up=give_up)
    return ev.count(seen), ended + dropped > 0, min(due, orphans_due)


def _drop_orphans(
    connection: Connection, deployment: Deployment, moment: int, *, give_up: bool
) -> tuple[int, int]:
    """Drop what was told long ago of requests that never came; how many, and when the next is."""
    orphans = (_AWAITING.c.deployment == deployment.id) & _ORPHANED
    first = select(func.min(_AWAITING.c.predicted_at)).where(orphans)
    oldest = connection.execute(first).scalar()
    if oldest is None:
        return 0, _NEVER
    if not give_up or oldest >= moment - _ORPHAN_US:
        return 0, oldest + _ORPHAN_US + 1
    late = _AWAITING.c.predicted_at < moment - _ORPHAN_US
    dropped = connection.execute(delete(_AWAITING).where(orphans, late)).rowcount
    oldest = connection.execute(first).scalar()
    return dropped, _NEVER if oldest is None else oldest + _ORPHAN_US + 1


def _first_waiting(
    connection: Connection, here: ColumnElement[bool], given_up: int
) -> tuple[int, bytes] | None:
    """Time and id of the oldest request of which something may still come; None if there is none.

    What was predicted until ``given_up`` (microseconds since 1970) is not waited for.
    """
    order = (_AWAITING.c.predicted_at, _AWAITING.c.prediction)
    row = connection.execute(
        select(*order)
        .where(here, _AWAITING.c.predicted_at > given_up, _AWAITING.c.outcome.is_(None))
        .order_by(*order)
        .limit(1)
    ).first()
    return None if row is None else (row[0], row[1])


def _settled(
    connection: Connection, here: ColumnElement[bool], first: tuple[int, bytes] | None
) -> Iterator[list[Any]]:
    """By the page, the rows before the first that waits; deleted before the next page is read."""
    order = (_AWAITING.c.predicted_at, _AWAITING.c.prediction)
    place = tuple_(*order)
    if first is not None:
        # Said twice, here and below, because only the time finds its rows by the index.
        here &= (_AWAITING.c.predicted_at <= first[0]) & (place < tuple_(*first))
    query = select(*order, _AWAITING.c.facts, _AWAITING.c.outcome).where(here)
    settled = _PAGE
    while settled == _PAGE:
        done = list(connection.execute(query.order_by(*order).limit(_PAGE)))
        settled = len(done)
        if done:
            last = done[-1]
            connection.execute(
                delete(_AWAITING).where(
                    here,
                    _AWAITING.c.predicted_at <= last[0],
                    place <= tuple_(last[0], last[1]),
                )
            )
            yield done


def _unpacked(outcome: bytes | None) -> Answer | None:
    return None if outcome is None else _OUTCOME.decode(outcome)


def _chunks(items: Sequence[int] | Sequence[bytes]) -> Iterator[Sequence[int] | Sequence[bytes]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
