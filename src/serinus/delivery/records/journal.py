"""What was folded when: the memory by which every verdict can be computed again.

One row for each batch that changed a deployment: which stretch of which writer's log was read, in
what order, and at what time. With the ledger itself that determines the evidence of every look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection, bindparam, insert, select, update

from serinus.ledger.types import Batch, Offset, Offsets
from serinus.store import schema

_START = Offset(0, 0)
_PAGE = 500


class Span(msgspec.Struct, frozen=True, array_like=True):
    """A stretch of one writer's log: from an offset to just before another."""

    writer: str
    start: tuple[int, int]
    end: tuple[int, int]


class Fold(msgspec.Struct, frozen=True):
    """One batch: what was read, when, and whether that was all there was."""

    id: int
    at: datetime
    complete: bool
    spans: tuple[Span, ...]


def note(
    connection: Connection,
    before: Offsets,
    batch: Batch,
    at: datetime,
    deployments: Sequence[str],
) -> None:
    """Keep what a batch was made of, for each deployment that it changed."""
    if not deployments:
        return
    spans = msgspec.msgpack.encode(_spans(before, batch.offsets))
    table, evidence = schema.folds, schema.evidence
    rows = [
        {"deployment": deployment, "at": at, "complete": batch.complete, "spans": spans}
        for deployment in deployments
    ]
    made = insert(table).returning(table.c.id, table.c.deployment)
    folds = [
        {"folded": fold, "identity": deployment}
        for fold, deployment in connection.execute(made, rows)
    ]
    here = evidence.c.deployment == bindparam("identity")
    connection.execute(update(evidence).where(here).values(fold=bindparam("folded")), folds)


def folds(connection: Connection, *deployments: str) -> Iterator[Fold]:
    """Every batch that changed any of these deployments, once, in the order they were folded.

    What changed several of them has the least of their numbers.
    """
    table = schema.folds
    last, told = 0, None
    while True:
        rows = connection.execute(
            select(table)
            .where(table.c.deployment.in_(deployments), table.c.id > last)
            .order_by(table.c.id)
            .limit(_PAGE)
        ).all()
        for row in rows:
            if (row.at, row.spans) == told:
                continue
            told = (row.at, row.spans)
            spans = msgspec.msgpack.decode(row.spans, type=tuple[Span, ...])
            yield Fold(row.id, row.at, row.complete, spans)
        if len(rows) < _PAGE:
            return
        last = rows[-1].id


def _spans(before: Offsets, after: Mapping[str, Offset]) -> list[Span]:
    found = []
    for writer in sorted(after):
        start, end = before.get(writer, _START), after[writer]
        if start != end:
            found.append(Span(writer, (start.segment, start.offset), (end.segment, end.offset)))
    return found
