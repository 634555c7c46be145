from __future__ import annotations

import csv
from pathlib import Path

import pytest
from pyarrow import parquet as pq
from tests.ledger.archive.conftest import Kept, prediction

from serinus.errors import InvalidInput
from serinus.ledger.archive.output import to_csv, to_parquet

SQL = "SELECT time, features->>'city' AS city, scores, latency_us FROM predictions ORDER BY time"


def test_csv_holds_every_row(kept: Kept, tmp_path: Path) -> None:
    kept.write([prediction(n) for n in range(10_000)], by=1_000)
    with kept.ledger.query(SQL) as answer:
        assert to_csv(answer, tmp_path / "x.csv") == 10_000
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["time", "city", "scores", "latency_us"]
    assert rows[1] == ["2026-01-01T00:00:00+00:00", "", "[0.25, 0.75]", "0"]
    assert rows[2] == ["2026-01-01T00:00:00.001000+00:00", "Zürich", "[0.25, 0.75]", "1"]
    assert len(rows) == 10_001


def test_parquet_holds_every_row(kept: Kept, tmp_path: Path) -> None:
    kept.write([prediction(n) for n in range(100)])
    with kept.ledger.query(SQL) as answer:
        assert to_parquet(answer, tmp_path / "x.parquet") == 100
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.column("latency_us").to_pylist() == list(range(100))


def test_parquet_of_no_rows_has_its_columns(kept: Kept, tmp_path: Path) -> None:
    with kept.ledger.query(SQL) as answer:
        assert to_parquet(answer, tmp_path / "x.parquet") == 0
    assert pq.read_schema(tmp_path / "x.parquet").names == ["time", "city", "scores", "latency_us"]


@pytest.mark.parametrize("write", [to_csv, to_parquet])
def test_answer_that_breaks_off_leaves_no_file(kept: Kept, tmp_path: Path, write) -> None:
    sql = "SELECT CASE WHEN i < 99999 THEN i ELSE error('late') END AS x FROM range(100000) t(i)"
    (tmp_path / "x").write_text("before")
    with pytest.raises(InvalidInput, match="late"), kept.ledger.query(sql) as answer:
        write(answer, tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir() if path.name != "ledger"] == ["x"]
    assert (tmp_path / "x").read_text() == "before"


@pytest.mark.parametrize("write", [to_csv, to_parquet])
def test_file_that_cannot_be_written_is_told(kept: Kept, tmp_path: Path, write) -> None:
    with (
        pytest.raises(InvalidInput, match="cannot be written"),
        kept.ledger.query("SELECT 1 AS x") as answer,
    ):
        write(answer, tmp_path / "nowhere" / "x")


def test_type_that_parquet_does_not_have_is_told(kept: Kept, tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidInput, match="Parquet cannot hold"),
        kept.ledger.query("SELECT INTERVAL 3 DAY AS x") as answer,
    ):
        to_parquet(answer, tmp_path / "x")
