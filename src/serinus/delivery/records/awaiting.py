"""Requests that wait in the store for what comes of them, whoever waits.

A row is a request as one of the ``kind``s sees it: ``facts`` is what must be remembered of it
(empty while only what came of it was read), ``outcome`` what came first (NULL while nothing has).
What is settled is taken in the order of the requests, up to the first that still waits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    delete,
    func,
    literal,
    literal_column,
    select,
    text,
    tuple_,
    union_all,
    update,
)

from serinus.store import schema
from serinus.wire import Answer

_AWAITING = schema.awaiting
_ORDER = (_AWAITING.c.predicted_at, _AWAITING.c.prediction)
# Rows of requests, and (few, with an index of their own) of what came before its request. In these
# very words, which are those of that index.
_ASKED = func.length(_AWAITING.c.facts) > literal_column("0")
_ORPHANED = func.length(_AWAITING.c.facts) == literal_column("0")
_PAGE = 2_000
# A status is asked for every second, and a long label window keeps millions of requests.
_MOST_COUNTED = 50_000
# SQLite joins no more than 500 queries to one.
_UNION = 200
_pack = msgspec.msgpack.Encoder().encode
_ANSWER: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)
# A request and what came of it may be read in either order, and the first that came counts. As
# text, since both databases take it and it costs half as much as an expression.
_WAIT = text(
    "INSERT INTO awaiting (prediction, deployment, kind, predicted_at, facts, outcome)"
    " VALUES (:prediction, :deployment, :kind, :predicted_at, :facts, :outcome)"
    " ON CONFLICT (prediction, deployment, kind) DO UPDATE SET"
    " facts = CASE WHEN length(awaiting.facts) = 0 THEN excluded.facts ELSE awaiting.facts END,"
    " outcome = coalesce(awaiting.outcome, excluded.outcome)"
)
Place: TypeAlias = tuple[int, bytes]
"""When a request was predicted (microseconds since 1970), and its id: its place in the order."""


def add(
    connection: Connection,
    deployment: str,
    kind: str,
    asked: Mapping[bytes, tuple[int, Any]],
    told: Mapping[bytes, tuple[int, Answer]],
) -> None:
    """Remember requests until they are settled, and what came of some.

    Args:
        connection: the transaction.
        deployment: whose.
        kind: who waits, and for what.
        asked: by prediction, when it was made (microseconds since 1970) and its facts.
        told: by prediction, when it was made and what came of it.
    """
    rows = [
        {
            "prediction": prediction,
            "deployment": deployment,
            "kind": kind,
            "predicted_at": at,
            "facts": _pack(facts),
            "outcome": _pack(told[prediction][1]) if prediction in told else None,
        }
        for prediction, (at, facts) in asked.items()
    ] + [
        {
            "prediction": prediction,
            "deployment": deployment,
            "kind": kind,
            "predicted_at": at,
            "facts": b"",
            "outcome": _pack(outcome),
        }
        for prediction, (at, outcome) in told.items()
        if prediction not in asked
    ]
    if rows:
        connection.execute(_WAIT, rows)


def first(connection: Connection, deployment: str, kind: str, given_up: int = 0) -> Place | None:
    """The oldest request of which something may still come; None if there is none.

    What was predicted until ``given_up`` (microseconds since 1970) is not waited for.
    """
    row = connection.execute(
        select(*_ORDER)
        .where(
            *_here(deployment, kind),
            _AWAITING.c.predicted_at > given_up,
            _AWAITING.c.outcome.is_(None),
        )
        .order_by(*_ORDER)
        .limit(1)
    ).first()
    return None if row is None else (row[0], row[1])


def settled(
    connection: Connection, deployment: str, kind: str, until: Place | None
) -> Iterator[Sequence[Row[Any, Any, Any, Any]]]:
    """By the page, the requests before the first that waits; deleted before the next page is read.

    Args:
        connection: the transaction.
        deployment: whose.
        kind: who waited.
        until: the first that waits, see :func:`first`; None takes them all.

    Returns:
        Rows with ``predicted_at``, ``prediction``, ``facts`` and ``outcome``, the latter two as
        they are stored: what is alike need be decoded once only.
    """
    here, place = _here(deployment, kind), tuple_(*_ORDER)
    if until is not None:
        # Said twice, here and below, because only the time finds its rows by the index.
        here = (*here, _AWAITING.c.predicted_at <= until[0], place < tuple_(*until))
    query = select(*_ORDER, _AWAITING.c.facts, _AWAITING.c.outcome).where(*here)
    count = _PAGE
    while count == _PAGE:
        page = connection.execute(query.order_by(*_ORDER).limit(_PAGE)).all()
        count = len(page)
        if page:
            last = page[-1]
            connection.execute(
                delete(_AWAITING).where(
                    *here,
                    _AWAITING.c.predicted_at <= last.predicted_at,
                    place <= tuple_(last.predicted_at, last.prediction),
                )
            )
            yield page


def answer_of(outcome: bytes | None) -> Answer | None:
    """What came of a request, as it is stored."""
    return None if outcome is None else _ANSWER.decode(outcome)


def oldest_orphan(connection: Connection, deployment: str) -> int | None:
    """When the oldest request was predicted that was told of and never read; None without one."""
    orphans = (_AWAITING.c.deployment == deployment) & _ORPHANED
    found: int | None = connection.execute(
        select(func.min(_AWAITING.c.predicted_at)).where(orphans)
    ).scalar()
    return found


def drop_orphans(connection: Connection, deployment: str, before: int) -> int:
    """Forget what was told of requests that were never read; how many there were.

    Args:
        connection: the transaction.
        deployment: whose.
        before: those predicted before then, in microseconds since 1970.
    """
    orphans = (_AWAITING.c.deployment == deployment) & _ORPHANED
    late = _AWAITING.c.predicted_at < before
    return connection.execute(delete(_AWAITING).where(orphans, late)).rowcount


def forget(connection: Connection, deployments: Collection[str], kind: str | None = None) -> None:
    """Wait no longer for what may come of deployments' requests, or of one kind only."""
    query = delete(_AWAITING).where(_AWAITING.c.deployment.in_(deployments))
    if kind is not None:
        query = query.where(_AWAITING.c.kind == kind)
    connection.execute(query)


def rename(connection: Connection, old: str, new: str, *, all_but: str) -> None:
    """Let what waits for one comparison wait for another, but for the kind ``all_but``."""
    here = (_AWAITING.c.deployment == old) & (_AWAITING.c.kind != all_but)
    connection.execute(update(_AWAITING).where(here).values(deployment=new))


def delayed(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Labels that came and do not count yet, as an earlier request still waits for its own.

    Returns:
        By deployment in which a request waits: how many such labels there are (among no more than
        50,000 requests), and when the oldest such request was predicted (microseconds since 1970).
    """
    deployments = schema.deployments
    asked = (_AWAITING.c.kind == "label") & (_AWAITING.c.facts != b"")
    oldest = (
        select(_AWAITING.c.predicted_at)
        .where(_AWAITING.c.deployment == deployments.c.id, asked, _AWAITING.c.outcome.is_(None))
        .order_by(_AWAITING.c.predicted_at)
        .limit(1)
        .scalar_subquery()
    )
    rows = connection.execute(select(deployments.c.id, oldest).where(deployments.c.id.in_(ids)))
    since = {row[0]: row[1] for row in rows if row[1] is not None}
    counted: dict[str, int] = {}
    waiting = list(since.items())
    for start in range(0, len(waiting), _UNION):
        parts = []
        for identity, moment in waiting[start : start + _UNION]:
            behind = (
                select(_AWAITING.c.outcome)
                .where(
                    _AWAITING.c.deployment == identity,
                    asked,
                    _AWAITING.c.predicted_at >= moment,
                )
                .order_by(_AWAITING.c.predicted_at)
                .limit(_MOST_COUNTED)
                .subquery()
            )
            parts.append(select(literal(identity), func.count(behind.c.outcome)))
        counted.update({row[0]: row[1] for row in connection.execute(union_all(*parts))})
    return {identity: (counted[identity], moment) for identity, moment in since.items()}


def _here(deployment: str, kind: str) -> tuple[ColumnElement[bool], ...]:
    return (_AWAITING.c.deployment == deployment, _AWAITING.c.kind == kind, _ASKED)
