"""Opens the database, and brings it up to the newest migration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from serinus.errors import InvalidInput, Unavailable

MIGRATIONS = Path(__file__).parent / "migrations"


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
    engine = create_engine(address, connect_args={"timeout": 30.0})
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: object) -> None:
    # The driver must not open transactions by itself, or BEGIN below would come too late.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def migrate(engine: Engine) -> None:
    """Bring the database to the newest revision; safe to call from several processes.

    Raises:
        Unavailable: the database cannot be reached or written.
    """
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(5373)")
            script = ScriptDirectory(str(MIGRATIONS))
            if MigrationContext.configure(connection).get_current_revision() == (
                script.get_current_head()
            ):
                return
            config = alembic.config.Config()
            config.set_main_option("script_location", str(MIGRATIONS))
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, "head")
    except OperationalError as error:
        raise Unavailable(
            f"the database cannot be used ({error.orig})",
            where=engine.url.render_as_string(hide_password=True),
            remedy="Check that the server runs, or that the folder exists and can be written.",
        ) from error
