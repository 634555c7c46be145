"""The engine: two processes that write wait for each other; a database is never half-migrated."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, inspect, select, text, update

from serinus.errors import Conflict, InvalidInput, Unavailable
from serinus.store import schema
from serinus.store.engine import exclusive, migrate, open_engine, reading

# Reads a counter, waits, writes it back plus one: loses counts unless transactions exclude
# each other from their beginning.
COUNT_UP = """
import sys, time
from sqlalchemy import select, update
from serinus.store import schema
from serinus.store.engine import open_engine

engine = open_engine(sys.argv[1])
offset = schema.ledger_offsets.c.offset
for _ in range(25):
    with engine.begin() as connection:
        query = select(offset)
        if engine.dialect.name == "postgresql":
            query = query.with_for_update()
        count = connection.execute(query).scalar_one()
        time.sleep(0.001)
        connection.execute(update(schema.ledger_offsets).values(offset=count + 1))
"""

MIGRATE = """
import sys
from serinus.store.engine import migrate, open_engine

engine = open_engine(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
migrate(engine)
"""


def start(program: str, url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def address(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=False)


def finish(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url


def test_open_engine_puts_sqlite_into_wal_mode(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'x.db'}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()


def test_open_engine_takes_the_write_lock_at_the_beginning(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    first, second = open_engine(url), open_engine(url)
    with second.connect() as other:
        other.exec_driver_sql("PRAGMA busy_timeout=0")
    with first.begin() as connection:
        connection.exec_driver_sql("SELECT 1")
        with pytest.raises(Exception, match="locked"), second.begin():
            pass
    for engine in (first, second):
        engine.dispose()


def test_open_engine_lets_processes_write_at_once(engine: Engine) -> None:
    row = {"consumer": "c", "writer": "w", "segment": 0, "offset": 0}
    with engine.begin() as connection:
        connection.execute(insert(schema.ledger_offsets).values(row))
    finish([start(COUNT_UP, address(engine)) for _ in range(2)])
    with engine.begin() as connection:
        assert connection.execute(select(schema.ledger_offsets.c.offset)).scalar_one() == 50


def test_exclusive_lets_one_transaction_at_a_time(engine: Engine) -> None:
    entered = threading.Event()

    def enter() -> None:
        with engine.begin() as connection:
            exclusive(connection, 77)
            entered.set()

    other = threading.Thread(target=enter)
    with engine.begin() as connection:
        exclusive(connection, 77)
        other.start()
        assert not entered.wait(0.2)
    assert entered.wait(30)
    other.join()


def test_reading_sees_one_moment_and_does_not_wait_for_a_writer(engine: Engine) -> None:
    counters = schema.ledger_offsets
    row = {"consumer": "c", "writer": "w", "segment": 0, "offset": 1}
    with engine.begin() as connection:
        connection.execute(insert(counters).values(row))
    with reading(engine) as reader:
        assert reader.execute(select(counters.c.offset)).scalar_one() == 1
        with engine.begin() as writer:
            writer.execute(update(counters).values(offset=2))
            assert reader.execute(select(counters.c.offset)).scalar_one() == 1
        assert reader.execute(select(counters.c.offset)).scalar_one() == 1
    with reading(engine) as reader:
        assert reader.execute(select(counters.c.offset)).scalar_one() == 2


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("", "cannot be read"),
        ("serinus.db", "cannot be read"),
        ("mysql://u@h/d", "'mysql' is not supported"),
        ("oracle+x://h", "'oracle' is not supported"),
    ],
)
def test_open_engine_refuses_an_unknown_address(url: str, what: str) -> None:
    with pytest.raises(InvalidInput, match=what) as caught:
        open_engine(url)
    assert caught.value.where == "database_url"
    assert "sqlite:///FILE" in caught.value.remedy


def test_migrate_twice_changes_nothing(empty_url: str) -> None:
    engine = open_engine(empty_url)
    migrate(engine)
    row = {"consumer": "c", "writer": "w", "segment": 0, "offset": 7}
    with engine.begin() as connection:
        connection.execute(insert(schema.ledger_offsets).values(row))
    migrate(engine)
    with engine.begin() as connection:
        assert connection.execute(select(schema.ledger_offsets.c.offset)).scalars().all() == [7]
        assert set(inspect(connection).get_table_names()) == (
            set(schema.metadata.tables) | {"alembic_version"}
        )
    engine.dispose()


def test_migrate_from_several_processes_happens_once(empty_url: str) -> None:
    processes = [start(MIGRATE, empty_url) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    finish(processes)
    engine = open_engine(empty_url)
    with engine.begin() as connection:
        versions = connection.execute(text("SELECT version_num FROM alembic_version"))
        assert versions.scalars().all() == [schema.REVISION]
    engine.dispose()


def test_migrate_leaves_nothing_behind_when_it_fails(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine(empty_url)
    with engine.begin() as connection:
        # The last table of the first migration is already there, in another shape.
        connection.exec_driver_sql("CREATE TABLE triggers (something INTEGER)")
    with pytest.raises(Unavailable, match="triggers"):
        migrate(engine)
    with engine.begin() as connection:
        assert inspect(connection).get_table_names() == ["triggers"]
    engine.dispose()


def test_migrate_refuses_the_database_of_a_newer_serinus(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict, match="9999") as caught:
        migrate(engine)
    assert "newer Serinus" in caught.value.remedy


def test_migrate_does_not_import_alembic_when_there_is_nothing_to_do(database_url: str) -> None:
    program = (
        "import sys\n"
        "from serinus.store.engine import migrate, open_engine\n"
        "migrate(open_engine(sys.argv[1]))\n"
        "assert not [name for name in sys.modules if name.startswith('alembic')]"
    )
    finish([start(program, database_url)])


def test_migrate_creates_the_folder_of_a_new_database(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'a' / 'b' / 'x.db'}")
    migrate(engine)
    assert (tmp_path / "a" / "b" / "x.db").is_file()
    engine.dispose()


def test_migrate_names_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    # A file where the folder should be stops even the superuser, as a read-only disk would.
    (tmp_path / "taken").write_text("")
    place = tmp_path / "taken" / "x.db"
    with pytest.raises(Unavailable) as caught:
        migrate(open_engine(f"sqlite:///{place}"))
    assert str(place) in caught.value.where
    assert "can be written" in caught.value.remedy


def test_migrate_names_a_file_that_is_no_database(tmp_path: Path) -> None:
    place = tmp_path / "x.db"
    place.write_text("this is a letter, not a database" * 100)
    with pytest.raises(Unavailable, match="not a database") as caught:
        migrate(open_engine(f"sqlite:///{place}"))
    assert str(place) in caught.value.where


def test_migrate_names_a_server_that_is_not_there_without_its_password() -> None:
    with pytest.raises(Unavailable) as caught:
        migrate(open_engine("postgresql://u:geheim@127.0.0.1:1/d"))
    assert "127.0.0.1:1/d" in caught.value.where
    assert "geheim" not in str(caught.value)


def test_migrate_keeps_the_database_readable_by_two_engines(engine: Engine) -> None:
    other = open_engine(address(engine))
    with engine.begin() as connection:
        row = {"consumer": "c", "writer": "w", "segment": 0, "offset": 0}
        connection.execute(insert(schema.ledger_offsets).values(row))
    with other.begin() as connection:
        connection.execute(update(schema.ledger_offsets).values(offset=1))
    with engine.begin() as connection:
        assert connection.execute(select(schema.ledger_offsets.c.offset)).scalar_one() == 1
    other.dispose()
