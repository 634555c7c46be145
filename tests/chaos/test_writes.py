"""Every write of the loop is seen, on both sides, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from serinus.chaos.writes import _label

PROGRAM = """
import os, sys, threading
from pathlib import Path
from sqlalchemy import insert, select
from serinus.chaos.writes import Writes
from serinus.store import schema
from serinus.store.engine import migrate, open_engine, reading

home = Path(sys.argv[1])
engine = open_engine(f"sqlite:///{home / 'x.db'}")
migrate(engine)
seen = []
Writes(lambda point: seen.append((point.side, point.write, point.transition)), "here").listen()

def work():
    with reading(engine) as connection:
        connection.execute(select(schema.leases))
    with engine.begin() as connection:
        row = {"consumer": "c", "writer": "w", "segment": 0, "offset": 1}
        connection.execute(insert(schema.ledger_offsets), [row])
    draft = home / "draft"
    draft.touch()
    draft.replace(home / "other.json")
    draft.touch()
    draft.replace(home / "routing.json")

work()
thread = threading.Thread(target=work, name="here")
with engine.begin() as connection:
    connection.execute(schema.ledger_offsets.delete())
thread.start()
thread.join()
for side, write, transition in seen:
    print(side, write, transition, sep="|")
"""


def test_writes_of_the_loop_alone_are_points(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    commit = "INSERT ledger_offsets, COMMIT"
    assert told.stdout.splitlines() == [
        "before|BEGIN after a start|False",
        "before|INSERT ledger_offsets|False",
        "after|INSERT ledger_offsets|False",
        f"before|{commit}|False",
        f"after|{commit}|False",
        f"before|publish after {commit}|False",
        f"after|publish after {commit}|False",
    ]


def test_reads_have_no_label() -> None:
    assert _label("SELECT 1 FROM deployments", None) == ""
    assert _label("DELETE FROM awaiting WHERE x", None) == "DELETE awaiting"
