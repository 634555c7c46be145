"""Opens the database, and brings it up to the newest migration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# SQLAlchemy imports this one when it first needs it; two threads that do so at once, as in a
# control process that has just begun, may find it half made.
import sqlalchemy.orm  # noqa: F401
from sqlalchemy import Connection, Engine, create_engine, event, func, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from serinus import clock
from serinus.errors import Conflict, InvalidInput, Unavailable
from serinus.store import schema

MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 5373
_BUSY_SECONDS = 30.0


def open_engine(url: str) -> Engine:
    """An engine for ``url`` (SQLite or PostgreSQL), set up but not migrated.

    SQLite runs in WAL mode with a busy time-out, and each transaction takes the write lock at
    its beginning, so that two processes wait for each other and never fail in the middle.

    Raises:
        InvalidInput: the address is of no database that Serinus knows.
    """
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise InvalidInput(
            "the database address cannot be read",
            where="database_url",
            remedy="Use sqlite:///FILE or postgresql://USER@HOST/NAME.",
        ) from error
    backend = address.get_backend_name()
    if backend == "postgresql":
        return create_engine(address.set(drivername="postgresql+psycopg"), pool_pre_ping=True)
    if backend != "sqlite":
        raise InvalidInput(
            f"the database {backend!r} is not supported",
            where="database_url",
            remedy="Use sqlite:///FILE or postgresql://USER@HOST/NAME.",
        )
    engine = create_engine(
        address.set(drivername="sqlite"), connect_args={"timeout": _BUSY_SECONDS}
    )
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def exclusive(connection: Connection, lock: int) -> None:
    """Wait until no other transaction holds ``lock``; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(lock)))


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads: one consistent view, which never waits for a writer."""
    options = (
        {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        if engine.dialect.name == "postgresql"
        else {"reads": True}
    )
    with engine.connect() as connection:
        yield connection.execution_options(**options)


def migrate(engine: Engine) -> None:
    """Bring the database to the newest revision; safe to call from several processes.

    All migrations happen in one transaction under one lock: a database is never half-migrated.
    One that is up to date is left alone, at the cost of one query.

    Raises:
        Unavailable: the database cannot be reached or written.
        Conflict: the database was written by a newer Serinus.
    """
    try:
        _create_folder(engine.url)
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            if _revision(connection) != schema.REVISION:
                _upgrade(connection)
    except (DBAPIError, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error.strerror
        raise Unavailable(
            f"the database cannot be used ({cause})",
            where=engine.url.render_as_string(hide_password=True),
            remedy="Check that the server runs, or that the folder exists and can be written.",
        ) from error


def _create_folder(address: URL) -> None:
    if address.get_backend_name() == "sqlite" and address.database not in {None, "", ":memory:"}:
        Path(str(address.database)).parent.mkdir(parents=True, exist_ok=True)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def _upgrade(connection: Connection) -> None:
    # Imported here because it takes longer than the rest of a start that has nothing to migrate.
    import alembic.command
    import alembic.config
    import alembic.util

    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        alembic.command.upgrade(config, "head")
    except alembic.util.CommandError as error:
        raise Conflict(
            f"the database is at revision {_revision(connection)}, unknown to this Serinus",
            where=connection.engine.url.render_as_string(hide_password=True),
            remedy="Start the newer Serinus that wrote it, or restore a backup made before.",
        ) from error


def _configure_sqlite(connection: Any, _record: object) -> None:
    # The driver must not open transactions by itself, or BEGIN below would come too late.
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")
    _enter_wal(connection)


def _enter_wal(connection: Any) -> None:
    # Changing the mode of a new file does not honour the busy time-out as a transaction does.
    deadline = clock.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except connection.OperationalError as error:
            if "locked" not in str(error) or clock.monotonic() > deadline:
                raise
            clock.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get("reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
