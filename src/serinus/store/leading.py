"""One process at a time: for work that takes longer than a transaction may be open."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, func, select

from serinus.errors import Unavailable


@contextmanager
def leading(engine: Engine, lock: int) -> Iterator[bool]:
    """Hold ``lock`` if no other process does; whether it is held, without waiting.

    No transaction is open meanwhile. PostgreSQL frees the lock with the connection, the kernel
    that of an SQLite database, a file beside it, with the process: however it ends.

    Raises:
        Unavailable: the file beside the database cannot be made.
    """
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            held = bool(connection.scalar(select(func.pg_try_advisory_lock(lock))))
            try:
                yield held
            finally:
                if held:
                    connection.execute(select(func.pg_advisory_unlock(lock)))
        return
    if engine.url.database in {None, "", ":memory:"}:
        yield True
        return
    with _opened(Path(f"{engine.url.database}-{lock}.lock")) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        file = path.open("w")
    except OSError as error:
        raise Unavailable(
            f"the folder of the database cannot be written ({error.strerror})",
            where=str(path),
            remedy="Free disk space, or make the folder writable.",
        ) from error
    with file:
        yield file.fileno()
