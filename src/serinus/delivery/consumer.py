"""Folds the ledger into evidence; evidence and offsets are saved in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection, Engine, bindparam, delete, insert, select, update

from serinus import clock
from serinus.delivery import evidence as ev
from serinus.delivery import fold, repository
from serinus.delivery.evidence import Cell
from serinus.delivery.fold import Facts, Harvest, Waiting
from serinus.delivery.types import Deployment
from serinus.ledger import consumer as offsets_of
from serinus.ledger.reader import Offset, Reader
from serinus.store import schema
from serinus.store.engine import exclusive, reading
from serinus.wire import Answer, WorkerStatus

NAME = "delivery"
BATCH = 5_000
# Two writers are read one after the other, so a label may be read before its request.
ORPHAN_SECONDS = 60.0
_CHUNK = 500
_LOCK = 5376
_AWAITING = schema.awaiting_labels


class Consumer:
    """The controller's side of the ledger."""

    def __init__(self, engine: Engine, reader: Reader) -> None:
        self._engine = engine
        self._reader = reader
        self._offsets: dict[str, Offset] | None = None
        self._next_look = 0.0

    def fold(self) -> int:
        """Fold at most one batch of new events; the number of events read.

        Without new events nothing is written, but about once a second labels that will not come
        any more are given up.
        """
        if self._offsets is None:
            with reading(self._engine) as connection:
                self._offsets = offsets_of.load_offsets(connection, NAME)
        batch = self._reader.read(self._offsets, BATCH)
        if not batch.records and clock.monotonic() < self._next_look:
            return 0
        self._next_look = clock.monotonic() + 1.0
        with self._engine.begin() as connection:
            exclusive(connection, _LOCK)
            if offsets_of.load_offsets(connection, NAME) != self._offsets:
                # Another controller was faster: its transaction holds these events already.
                self._offsets = None
                return 0
            live = {item.id: item for item in repository.live(connection)}
            records = [(record.id, record.event) for record in batch.records]
            found = fold.harvest(records, live)
            now = clock.now()
            _write_workers(connection, found.workers.values())
            _write_units(connection, found)
            _write_waiting(connection, found)
            for deployment in live.values():
                cells = found.cells.get(deployment.id, [])
                cells.extend(_mature(connection, deployment, now, give_up=batch.complete))
                if cells:
                    repository.add_evidence(connection, deployment.id, ev.count(cells), now)
            if batch.records:
                offsets_of.save_offsets(connection, NAME, batch.offsets)
        self._offsets = dict(batch.offsets)
        return len(batch.records)


def _write_workers(connection: Connection, statuses: Iterable[WorkerStatus]) -> None:
    table = schema.gateway_workers
    for status in statuses:
        values = {
            "revision": status.revision,
            "ready": list(status.ready),
            "failed": status.failed,
            "at": clock.from_epoch_us(status.at),
        }
        changed = connection.execute(
            update(table).where(table.c.worker == status.worker).values(**values)
        )
        if changed.rowcount == 0:
            connection.execute(insert(table).values(worker=status.worker, **values))


def _write_units(connection: Connection, found: Harvest) -> None:
    """Count the entities that are new to their deployment; forget the requests of the others."""
    table = schema.evidence_units
    for deployment, units in found.units.items():
        known: set[int] = set()
        for chunk in _chunks(list(units)):
            known.update(
                connection.scalars(
                    select(table.c.unit).where(
                        table.c.deployment == deployment, table.c.unit.in_(chunk)
                    )
                )
            )
        fresh = {unit: cells for unit, cells in units.items() if unit not in known}
        if fresh:
            rows = [{"deployment": deployment, "unit": unit} for unit in fresh]
            connection.execute(insert(table), rows)
        found.cells.setdefault(deployment, []).extend(
            cell for cells in fresh.values() for cell in cells
        )
        for key, unit in found.unit_of.items():
            if key[0] == deployment and unit in known:
                found.waiting.pop(key, None)


def _write_waiting(connection: Connection, found: Harvest) -> None:
    by_deployment: dict[str, dict[bytes, Waiting]] = {}
    for (deployment, prediction), entry in found.waiting.items():
        by_deployment.setdefault(deployment, {})[prediction] = entry
    for deployment, entries in by_deployment.items():
        known = _known(connection, deployment, list(entries))
        new = [
            _row(deployment, prediction, entry)
            for prediction, entry in entries.items()
            if prediction not in known
        ]
        if new:
            connection.execute(insert(_AWAITING), new)
        for column in ("facts", "label"):
            changes = [
                {"of": prediction, "to": _packed(getattr(entry, column))}
                for prediction, entry in entries.items()
                if prediction in known and getattr(entry, column) is not None
            ]
            if changes:
                empty = (
                    _AWAITING.c.label.is_(None) if column == "label" else (_AWAITING.c.facts == b"")
                )
                connection.execute(
                    update(_AWAITING)
                    .where(
                        _AWAITING.c.deployment == deployment,
                        _AWAITING.c.prediction == bindparam("of"),
                        empty,
                    )
                    .values({column: bindparam("to")}),
                    changes,
                )


def _known(connection: Connection, deployment: str, predictions: list[bytes]) -> set[bytes]:
    known: set[bytes] = set()
    for chunk in _chunks(predictions):
        known.update(
            connection.scalars(
                select(_AWAITING.c.prediction).where(
                    _AWAITING.c.deployment == deployment, _AWAITING.c.prediction.in_(chunk)
                )
            )
        )
    return known


def _row(deployment: str, prediction: bytes, entry: Waiting) -> dict[str, object]:
    return {
        "prediction": prediction,
        "deployment": deployment,
        "predicted_at": entry.predicted_at,
        "facts": b"" if entry.facts is None else _packed(entry.facts),
        "label": None if entry.label is None else _packed(entry.label),
    }


def _mature(
    connection: Connection, deployment: Deployment, now: datetime, *, give_up: bool
) -> list[Cell]:
    """Fold labels in the order of their requests, up to the first that may still come.

    Args:
        connection: the transaction.
        deployment: whose labels.
        now: the present time.
        give_up: whether overdue labels may be given up: only when all of the ledger was read, since
            after a pause of the controller the labels may lie behind what was read so far.
    """
    window = deployment.plan.label_window_seconds
    given_up = clock.to_epoch_us(now) - round(window * 1e6) if give_up else 0
    cells: list[Cell] = []
    while True:
        rows = connection.execute(
            select(
                _AWAITING.c.prediction,
                _AWAITING.c.predicted_at,
                _AWAITING.c.facts,
                _AWAITING.c.label,
            )
            .where(_AWAITING.c.deployment == deployment.id, _AWAITING.c.facts != b"")
            .order_by(_AWAITING.c.predicted_at, _AWAITING.c.prediction)
            .limit(_CHUNK)
        ).all()
        done: list[bytes] = []
        for row in rows:
            if row.label is None and row.predicted_at > given_up:
                break
            facts = msgspec.msgpack.decode(row.facts, type=Facts)
            label: Answer | None = (
                None if row.label is None else msgspec.msgpack.decode(row.label, type=Answer)
            )
            cells.extend(fold.mature(deployment.plan.quality, facts, label))
            done.append(row.prediction)
        if done:
            connection.execute(
                delete(_AWAITING).where(
                    _AWAITING.c.deployment == deployment.id, _AWAITING.c.prediction.in_(done)
                )
            )
        if len(done) < _CHUNK:
            break
    if not give_up:
        return cells
    connection.execute(
        delete(_AWAITING).where(
            _AWAITING.c.deployment == deployment.id,
            _AWAITING.c.facts == b"",
            _AWAITING.c.predicted_at < clock.to_epoch_us(now) - round(ORPHAN_SECONDS * 1e6),
        )
    )
    return cells


def _packed(value: Facts | Answer) -> bytes:
    return msgspec.msgpack.encode(value)


def _chunks(items: Sequence[int] | Sequence[bytes]) -> Iterator[Sequence[int] | Sequence[bytes]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
