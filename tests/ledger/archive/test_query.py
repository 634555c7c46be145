from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyarrow import parquet as pq
from tests.ledger.archive.conftest import DAY_US, START_US, Kept, label, names, prediction

from serinus import clock, wire
from serinus.errors import InvalidInput, Unavailable
from serinus.ledger.archive.query import Ledger, kinds_of
from serinus.ledger.archive.rows import COLUMNS, Kind
from serinus.ledger.archive.sources import FileSegments
from serinus.ledger.archive.types import Segment
from serinus.ledger.opening import open_writer
from serinus.ledger.types import Record


def test_archive_and_tail_are_one_table(anywhere: Kept) -> None:
    records = anywhere.write([prediction(n) for n in range(60)], segment_bytes=2_000)
    anywhere.compaction.run(seconds=0)
    writer = open_writer(anywhere.address, segment_bytes=1 << 20)
    tail = writer.append([prediction(n, at=START_US + DAY_US) for n in range(5)])
    ids = {record.id.hex() for record in records} | {id.hex() for id in tail}
    found = [row[0] for row in anywhere.ask("SELECT prediction_id FROM predictions")]
    assert len(found) == 65
    assert set(found) == ids
    days = anywhere.ask("SELECT day::VARCHAR, count(*) FROM predictions GROUP BY day ORDER BY day")
    assert days == [("2026-01-01", 60), ("2026-01-02", 5)]
    writer.close()


def test_inputs_answers_and_times_can_be_asked_for(kept: Kept) -> None:
    kept.write([prediction(n) for n in range(60)])
    sql = """
        SELECT prediction, count(*) AS n, min((features->>'age')::INT) AS youngest,
               max(features->>'city'), list_sum(any_value(scores)), max(time)::VARCHAR
        FROM predictions WHERE (features->>'age')::INT >= 50
        GROUP BY prediction ORDER BY prediction
    """
    assert kept.ask(sql) == [
        ("no", 15, 50, "Zürich", 1.0, "2026-01-01 00:00:00.058+00"),
        ("yes", 15, 51, "Zürich", 1.0, "2026-01-01 00:00:00.059+00"),
    ]


def test_labels_join_their_predictions(kept: Kept) -> None:
    records = kept.write([prediction(n) for n in range(20)])
    kept.compaction.run()
    kept.write([label(records[n].event, records[n].id, at=START_US + DAY_US) for n in range(8)])
    sql = """
        SELECT p.arm, avg((p.prediction = l.label)::INT), count(*)
        FROM predictions p JOIN labels l USING (prediction_id) GROUP BY p.arm ORDER BY p.arm
    """
    assert kept.ask(sql) == [("challenger", 0.0, 2), ("champion", 4 / 6, 6)]


def test_first_label_of_a_prediction_is_the_one_that_counts(kept: Kept) -> None:
    records = kept.write([prediction(n) for n in range(10)])
    told = [label(record.event, record.id, at=START_US + DAY_US) for record in records]
    kept.write(told)
    kept.compaction.run()
    again = [label(record.event, record.id, at=START_US + 2 * DAY_US) for record in records[:4]]
    kept.write(again)
    first = kept.ask("SELECT count(*), count(DISTINCT day), max(day)::VARCHAR FROM first_labels")
    assert kept.ask("SELECT count(*) FROM labels") == [(14,)]
    assert first == [(10, 1, "2026-01-02")]
    assert kept.ask("SELECT count(*) FROM first_values") == [(0,)]


def test_empty_ledger_has_every_table_and_its_columns(kept: Kept) -> None:
    kept_anew = {}
    for kind in Kind:
        assert kept.ask(f"SELECT count(*) FROM {kind}") == [(0,)]
        kept_anew[kind] = kept.ask(f"DESCRIBE {kind}")
    kept.write([prediction(1), label(prediction(1), bytes(16), at=START_US)])
    for kind in (Kind.PREDICTIONS, Kind.LABELS):
        assert kept.ask(f"DESCRIBE {kind}") == kept_anew[kind]
        assert {row[0] for row in kept_anew[kind]} == {"day", *names_of(kind)}


def names_of(kind: Kind) -> set[str]:
    return {column.name for column in COLUMNS[kind] if column.type != "bytes"}


def test_every_column_can_be_named_as_it_is(kept: Kept) -> None:
    """None of them is a word that SQL keeps for itself."""
    for kind in Kind:
        assert kept.ask(f"SELECT {', '.join(names_of(kind))} FROM {kind}") == []


def test_workers_can_be_asked_for(kept: Kept) -> None:
    kept.write([wire.WorkerStatus(START_US, "w-1", 3, ("a@1", "b@2"), {"c@1": "no file"})])
    sql = "SELECT worker, len(ready), failed->>'c@1' FROM workers"
    assert kept.ask(sql) == [("w-1", 2, "no file")]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT agee FROM (SELECT 1 AS age)", 'Candidate bindings: "age"'),
        ("SELECT * FROM prediction", "Did you mean .*predictions"),
        ("SELEC 1", "syntax error"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("", "0 statements"),
        ("-- nothing", "0 statements"),
        ("SELECT 'x'::INT", "Could not convert"),
        ("SELECT error('as asked')", "as asked"),
    ],
)
def test_fault_in_the_sql_is_told_in_the_engines_words(kept: Kept, sql: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=f"(?s)SQL: .*{words}"):
        kept.ask(sql)


def test_fault_leaves_no_thread_and_no_engine_behind(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[duckdb.DuckDBPyConnection] = []
    connect = duckdb.connect

    def remembered(*given: Any, **named: Any) -> duckdb.DuckDBPyConnection:
        opened.append(connect(*given, **named))
        return opened[-1]

    monkeypatch.setattr(duckdb, "connect", remembered)
    for _ in range(3):
        with pytest.raises(InvalidInput):
            kept.ask("SELECT nothing FROM predictions")
    assert not [one.name for one in threading.enumerate() if one.name.startswith("query")]
    assert len(opened) == 6
    for connection in opened:
        with pytest.raises(duckdb.ConnectionException, match="closed"):
            connection.execute("SELECT 1")


def test_fault_that_comes_late_is_told_too(kept: Kept) -> None:
    sql = "SELECT CASE WHEN i < 99999 THEN i ELSE error('late') END FROM range(100000) t(i)"
    with pytest.raises(InvalidInput, match="late"):
        kept.ask(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "COPY predictions TO '{outside}/x.csv'",
        "COPY predictions TO '{inside}/x.csv'",
        "CREATE TABLE t AS SELECT 1",
        "ATTACH '{outside}/x.db'",
        "INSTALL httpfs",
        "LOAD '{outside}/x'",
        "EXPORT DATABASE '{outside}/x'",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "EXPLAIN ANALYZE COPY predictions TO '{inside}/x.csv'",
        "PREPARE q AS COPY predictions TO '{inside}/x.csv'",
        "DROP VIEW predictions",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM '{outside}/other.csv'",
        "SELECT * FROM glob('{outside}/*')",
        "SELECT * FROM read_csv('http://127.0.0.1:9/x')",
        "SELECT * FROM query('COPY predictions TO ''{inside}/x.csv''')",
        "SELECT * FROM query_table('{outside}/other.csv')",
        "SELECT * FROM parquet_metadata('{outside}/other.parquet')",
    ],
)
def test_statement_that_would_do_more_than_read_the_ledger_is_refused(kept: Kept, sql: str) -> None:
    kept.write([prediction(1)])
    kept.compaction.run()
    (kept.folder / "other.csv").write_text("secret\n1\n")
    before = sorted(kept.folder.rglob("*"))
    with pytest.raises(InvalidInput):
        kept.ask(sql.format(outside=kept.folder, inside=kept.folder / "archive"))
    assert sorted(kept.folder.rglob("*")) == before


def test_quote_in_the_folders_name_is_only_a_quote(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "it's")
    kept.write([prediction(1)])
    kept.compaction.run()
    assert kept.ask("SELECT count(*) FROM predictions") == [(1,)]


def test_only_the_tables_that_are_asked_are_made(kept: Kept) -> None:
    assert kinds_of("SELECT * FROM labels l JOIN Predictions p USING (prediction_id)") == {
        Kind.LABELS,
        Kind.PREDICTIONS,
    }
    assert kinds_of("SELECT 1") == set()
    assert kinds_of("SUMMARIZE workers") == {Kind.WORKERS}
    assert kinds_of('FROM (SELECT * FROM "SHADOWS")') == {Kind.SHADOWS}
    assert kinds_of("SELECT * FROM query_table('lab' || 'els')") == set(Kind)


def test_columns_of_the_same_name_are_both_told(kept: Kept) -> None:
    with kept.ledger.query("SELECT 1 AS a, 2 AS a") as answer:
        assert answer.columns == ["a", "a"]
        assert list(answer.rows()) == [(1, 2)]


def test_nothing_is_left_behind(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    place = kept.folder / "tmp"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    kept.write([prediction(1)])
    with kept.ledger.query("SELECT * FROM predictions") as answer:
        assert answer.columns
        assert len(list(place.iterdir())) == 1
    with pytest.raises(InvalidInput):
        kept.ask("SELECT nothing FROM predictions")
    assert list(place.iterdir()) == []


def test_query_over_a_living_system_tells_each_event_once(anywhere: Kept) -> None:
    """A writer writes, a compaction archives, retention removes: each look is consistent."""
    stop = threading.Event()
    acknowledged: list[bytes] = []

    def write() -> None:
        writer = open_writer(anywhere.address, segment_bytes=20_000)
        number = 0
        while not stop.is_set():
            acknowledged.extend(writer.append([prediction(number + n) for n in range(20)]))
            number += 20
            clock.sleep(0.002)
        writer.close()

    def compact() -> None:
        other = Kept(anywhere.folder, anywhere.address)
        while not stop.is_set():
            other.compaction.run(seconds=0.1)
            for segment in other.segments.listed():
                if other.catalog.entry(segment.writer, segment.number) is not None:
                    other.segments.remove(segment.writer, segment.number)
        other.close()

    threads = [threading.Thread(target=write), threading.Thread(target=compact)]
    for thread in threads:
        thread.start()
    try:
        last = 0
        for _ in range(8):
            known = len(acknowledged)
            found = [row[0] for row in anywhere.ask("SELECT prediction_id FROM predictions")]
            assert len(set(found)) == len(found)
            assert {id.hex() for id in acknowledged[:known]} <= set(found)
            assert len(found) >= last
            last = len(found)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    anywhere.compaction.run()
    assert len(anywhere.catalog.entries()) > 2
    assert anywhere.ask("SELECT count(*), count(DISTINCT prediction_id) FROM predictions") == [
        (len(acknowledged), len(acknowledged))
    ]


@pytest.mark.parametrize("archived", [False, True])
def test_segment_that_goes_while_it_is_asked_is_found_or_missed_aloud(
    kept: Kept, archived: bool
) -> None:
    """Retention removes what is archived; whatever else removes a segment must not go unseen."""

    class Vanishing(FileSegments):
        def read(self, segment: Segment) -> Iterator[list[Record]]:
            if archived:
                kept.compaction.run()
            self.remove(segment.writer, segment.number)
            return super().read(segment)

    kept.write([prediction(n) for n in range(10)])
    ledger = Ledger(Vanishing(kept.folder / "ledger"), kept.catalog, names)
    sql = "SELECT count(*) FROM predictions"
    if archived:
        with ledger.query(sql) as answer:
            assert list(answer.rows()) == [(10,)]
    else:
        with pytest.raises(Unavailable, match="went away before it was archived"):
            ledger.query(sql).__enter__()


def test_interrupt_ends_a_long_query_at_once(kept: Kept) -> None:
    script = (
        "import sys, tempfile; from pathlib import Path; "
        "from serinus.ledger.archive.catalog import Catalog; "
        "from serinus.ledger.archive.query import Ledger; "
        "from serinus.ledger.archive.sources import FileSegments; "
        "home = Path(sys.argv[1]); "
        "ledger = Ledger(FileSegments(home), Catalog(home), lambda *_: None); "
        "print('ready', flush=True); "
        "asked = ledger.query('SELECT count(*) FROM range(1000000000000) a, range(9) b "
        "WHERE a.range % 7 = b.range'); "
        "list(asked.__enter__().rows())"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(kept.folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    clock.sleep(0.5)
    start = clock.monotonic()
    os.kill(child.pid, signal.SIGINT)
    try:
        _, errors = child.communicate(timeout=30)
    finally:
        child.kill()
    assert clock.monotonic() - start < 5
    assert child.returncode == -signal.SIGINT
    assert errors.strip().endswith("KeyboardInterrupt")


def test_archive_with_files_from_before_a_column_is_one_table(kept: Kept) -> None:
    kept.write([prediction(n, at=START_US + n % 3 * DAY_US) for n in range(60)])
    kept.compaction.run(seconds=0)
    files = sorted(kept.catalog.folder.rglob("*.parquet"))
    assert len(files) > 2

    def age(path: Path) -> None:
        table = pq.read_table(path)
        if "variant" in table.column_names:
            pq.write_table(table.drop_columns(["variant", "shares"]), path)

    sql = "SELECT count(*), count(variant), count(shares) FROM predictions"
    assert kept.ask(sql) == [(60, 60, 60)]
    age(files[0])
    [(rows, variants, shares)] = kept.ask(sql)
    assert (rows, variants) == (60, shares)
    assert 0 < variants < 60
    for path in files:
        age(path)
    assert kept.ask(sql) == [(60, 0, 0)]
