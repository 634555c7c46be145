from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine

from serinus import clock
from serinus.errors import Unavailable
from serinus.store.engine import open_engine
from serinus.store.leading import leading

HOLD = (
    "import sys; from serinus.store.engine import open_engine; "
    "from serinus.store.leading import leading; "
    "engine = open_engine(sys.argv[1]); held = leading(engine, 7); "
    "print(held.__enter__(), flush=True); sys.stdin.read()"
)


def test_only_one_leads_and_the_next_may_after_it(engine: Engine, database_url: str) -> None:
    other = open_engine(database_url)
    with leading(engine, 7) as first:
        with leading(other, 7) as second, leading(other, 8) as elsewhere:
            assert (first, second, elsewhere) == (True, False, True)
        with leading(other, 7) as again:
            assert not again
    with leading(other, 7) as then:
        assert then
    other.dispose()


def test_others_write_meanwhile(engine: Engine, database_url: str) -> None:
    other = open_engine(database_url)
    with leading(engine, 7), other.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE written (x INTEGER)")
        connection.exec_driver_sql("DROP TABLE written")
    other.dispose()


def test_killed_leader_leads_no_more(engine: Engine, database_url: str) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, database_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == "True\n"
    with leading(engine, 7) as leads:
        assert not leads
    child.kill()
    child.wait()
    child.stdout.close()
    child.stdin.close()
    deadline = clock.monotonic() + 10
    leads = False
    while not leads:
        assert clock.monotonic() < deadline
        with leading(engine, 7) as leads:
            pass


def test_fault_inside_frees_the_lock(engine: Engine) -> None:
    with pytest.raises(KeyError), leading(engine, 7):
        raise KeyError
    with leading(engine, 7) as leads:
        assert leads


def test_database_in_memory_has_one_process_anyway() -> None:
    engine = open_engine("sqlite://")
    with leading(engine, 7) as leads:
        assert leads
    engine.dispose()


def test_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/nowhere/x.db")
    with pytest.raises(Unavailable, match="cannot be written"), leading(engine, 7):
        pass
    engine.dispose()
