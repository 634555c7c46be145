"""Signs of life in the store: by version and ten seconds, later ten minutes, and then gone.

They are folded from the ledger in the transaction that saves the offsets, each event exactly once.
A model that is always asked has some 720 rows of ten seconds and 288 of ten minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from serinus import clock
from serinus.delivery.records import deployments
from serinus.delivery.rollback import counts as counting
from serinus.delivery.rollback import repository
from serinus.delivery.rollback.counts import BUCKET_SECONDS, Counts, Key
from serinus.delivery.rollback.types import Seen
from serinus.delivery.types import Deployment
from serinus.store import schema
from serinus.store.chunks import chunks
from serinus.wire import Arm, Assignment, Event, Prediction

BLOCK_SECONDS = 600
FINE_SECONDS = 7_200
KEPT_SECONDS = 2 * 86_400
"""Rows are of ten seconds for two hours, then of ten minutes, and after two days no more."""

_TABLE = schema.vitals
_KEY = (_TABLE.c.model, _TABLE.c.version, _TABLE.c.start, _TABLE.c.seconds)
_TIDY_SECONDS = 60.0
_MOST_TIDIED = 2_000
# Deployments that ended: labels of their requests come for days.
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True)
class Stretch:
    """What one version showed from ``start`` (seconds since 1970) on, for ``seconds``."""

    version: str
    start: int
    seconds: int
    counts: Counts


class _Versions(NamedTuple):
    """A deployment's own challenger, and all of them in the order of its plan."""

    own: str
    all: tuple[str, ...]

    @classmethod
    def of(cls, deployment: Deployment) -> _Versions:
        return cls(deployment.challenger, deployment.challengers)

    def asked(self, assignment: Assignment) -> str | None:
        """Who was drawn where another answered: for the champion one answers in the soak alone."""
        if assignment.arm is not Arm.CHALLENGER:
            return self.own
        return self.all[assignment.variant] if assignment.variant < len(self.all) else None


class Vitals:
    """Keeps the signs of life of all versions: one of the consumer's others."""

    def __init__(self) -> None:
        self._next_tidy = 0.0
        self._versions: dict[str, _Versions | None] = {}

    def __call__(
        self,
        connection: Connection,
        records: Sequence[tuple[bytes, Event]],
        live: Sequence[Deployment],
        now: datetime,
    ) -> None:
        """Count a batch in the caller's transaction, which must hold the lock of the fold."""
        self._versions.update((item.id, _Versions.of(item)) for item in live)
        present = int(now.timestamp())

        def key(model: str, version: str, at: int) -> Key:
            return place(model, version, at, present)

        def asked(assignment: Assignment) -> str | None:
            known = self._known(connection, assignment.deployment)
            return None if known is None else known.asked(assignment)

        events = [record[1] for record in records]
        oldest = present - KEPT_SECONDS
        found = counting.fold(events, asked, key)
        add(connection, {at: item for at, item in found.items() if at.start >= oldest})
        watched = repository.routed(connection)
        if watched:
            repository.note_seen(connection, watched, seen(events, watched))
        if clock.monotonic() >= self._next_tidy:
            self._next_tidy = clock.monotonic() + _TIDY_SECONDS
            if tidy(connection, present):
                self._next_tidy = 0.0

    def _known(self, connection: Connection, deployment: str) -> _Versions | None:
        if deployment not in self._versions:
            if len(self._versions) > _MOST_REMEMBERED:
                self._versions.clear()
            found = next(iter(deployments.some(connection, [deployment])), None)
            self._versions[deployment] = None if found is None else _Versions.of(found)
        return self._versions[deployment]


def place(model: str, version: str, at: int, present: int) -> Key:
    """Where an event of a time (microseconds since 1970) counts at ``present`` (seconds)."""
    second = at // 1_000_000
    width = BUCKET_SECONDS if second >= present - FINE_SECONDS else BLOCK_SECONDS
    return Key(model, version, second - second % width, width)


def seen(events: Iterable[Event], watched: Mapping[str, repository.Routed]) -> dict[str, Seen]:
    """What answers tell of the rollbacks that are under way, by model.

    Args:
        events: a batch.
        watched: those rollbacks by model.
    """
    target, astray, last = (dict.fromkeys(watched, 0) for _ in range(3))
    for event in events:
        if type(event) is not Prediction or counting.is_aside(event.assignment):
            continue
        model = event.assignment.model
        rollback = watched.get(model)
        if rollback is None:
            continue
        if event.version == rollback.to:
            target[model] += event.assignment.revision >= rollback.revision
        elif event.at >= rollback.routed_us:
            astray[model] += event.assignment.revision >= rollback.revision
            last[model] = max(last[model], event.at)
    return {model: Seen(target[model], astray[model], last[model]) for model in watched}


# ------------------------------------------------------------------ the table


def add(connection: Connection, more: Mapping[Key, Counts]) -> None:
    """Add to what is stored, in the caller's transaction."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(_TABLE)
    statement = statement.on_conflict_do_update(
        index_elements=[column.name for column in _KEY],
        set_={"counts": statement.excluded.counts},
    )
    for keys in chunks(more):
        held = _held(connection, keys)
        rows = [
            {
                **key._asdict(),
                "counts": counting.encode(
                    counting.total([held[key], more[key]]) if key in held else more[key]
                ),
            }
            for key in keys
        ]
        connection.execute(statement, rows)


def _held(connection: Connection, keys: Sequence[Key]) -> dict[Key, Counts]:
    rows = connection.execute(select(_TABLE).where(tuple_(*_KEY).in_(keys)))
    return {
        Key(row.model, row.version, row.start, row.seconds): counting.decode(row.counts)
        for row in rows
    }


def tidy(connection: Connection, present: int) -> bool:
    """Make blocks of old buckets and forget old blocks; whether there is more to be done.

    Args:
        connection: the transaction.
        present: seconds since 1970.
    """
    connection.execute(delete(_TABLE).where(_TABLE.c.start < present - KEPT_SECONDS))
    before = present - FINE_SECONDS
    rows = connection.execute(
        select(_TABLE)
        .where(_TABLE.c.seconds == BUCKET_SECONDS, _TABLE.c.start < before - before % BLOCK_SECONDS)
        .order_by(_TABLE.c.start)
        .limit(_MOST_TIDIED)
    ).all()
    blocks: dict[Key, list[Counts]] = {}
    for row in rows:
        start = row.start - row.start % BLOCK_SECONDS
        block = blocks.setdefault(Key(row.model, row.version, start, BLOCK_SECONDS), [])
        block.append(counting.decode(row.counts))
    add(connection, {key: counting.total(parts) for key, parts in blocks.items()})
    gone = [Key(row.model, row.version, row.start, row.seconds) for row in rows]
    for keys in chunks(gone):
        connection.execute(delete(_TABLE).where(tuple_(*_KEY).in_(keys)))
    return len(rows) == _MOST_TIDIED


def stretches(
    connection: Connection, model: str, since: datetime, until: datetime
) -> list[Stretch]:
    """What lies wholly between two times, oldest first."""
    rows = connection.execute(
        select(_TABLE)
        .where(
            _TABLE.c.model == model,
            _TABLE.c.start >= clock.to_epoch_us(since) / 1e6,
            _TABLE.c.start + _TABLE.c.seconds <= clock.to_epoch_us(until) / 1e6,
        )
        .order_by(_TABLE.c.start, _TABLE.c.version)
    )
    return [
        Stretch(row.version, row.start, row.seconds, counting.decode(row.counts)) for row in rows
    ]


def since(connection: Connection, start: int) -> dict[str, list[Stretch]]:
    """By model, every stretch of ten seconds that began at ``start`` (seconds) or later."""
    rows = connection.execute(
        select(_TABLE).where(_TABLE.c.seconds == BUCKET_SECONDS, _TABLE.c.start >= start)
    )
    found: dict[str, list[Stretch]] = {}
    for row in rows:
        seen = Stretch(row.version, row.start, row.seconds, counting.decode(row.counts))
        found.setdefault(row.model, []).append(seen)
    return found
