"""Whoever changes what is delivered takes a turn: one lock, before anything is read.

What is written follows of what was read: a routing table of every champion, live deployment and
rollback there is; a move of where a deployment stands; evidence of who is live. So all of these
transactions come one after the other, as they do on SQLite, which has one writer. As each takes
this lock before any row, no two can wait for each other. Whoever asks waits for at most one batch
of the ledger: PostgreSQL gives the lock in the order in which it was asked for.

Rows of the registry are locked within a turn, never the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from serinus.delivery.leases import Guard, unguarded
from serinus.store.engine import exclusive

_TURN = 5376


@contextmanager
def turn(engine: Engine, guard: Guard = unguarded) -> Iterator[Connection]:
    """A transaction in which nobody else changes what is delivered.

    Args:
        engine: the store.
        guard: what makes sure that a controller may still write. Its lock comes before this one,
            so that a controller which stands still while it waits can be deposed.
    """
    with engine.begin() as connection:
        guard(connection)
        take(connection)
        yield connection


def take(connection: Connection) -> None:
    """Wait for one's turn in a transaction that has touched nothing yet; it ends with that."""
    exclusive(connection, _TURN)


def is_everybodys(error: Exception) -> bool:
    """Whether it is the store that failed, and not what one deployment wanted to write there."""
    return isinstance(error, DBAPIError) and not isinstance(error, DataError | IntegrityError)
