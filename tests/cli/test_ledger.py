from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from pyarrow import parquet as pq
from rich.console import Console
from tests.api.running import MODEL, Faces
from tests.cli.calling import serinus

from serinus import clock
from serinus.cli.ledger import _status
from serinus.wire import Arm, Assignment, Label, Output, Prediction


@pytest.fixture
def home(faces: Faces) -> Path:
    """A living installation whose writer has written, and writes on."""
    faces.register("1.0.0")
    given = Assignment(MODEL, Arm.CHAMPION, 0.0, 1)
    now = clock.epoch_us()
    events = [
        Prediction(now + n, given, "1.0.0", (n / 4, 20 + n), Output(n % 2, (0.5, 0.5)), 700)
        for n in range(50)
    ]
    ids = faces.writer.append(events)
    faces.writer.append([Label(now, ids[3], 1, now, given, "1.0.0", Output(1))])
    return faces.app.settings.home


def test_query_shows_a_table_of_limited_length(home: Path) -> None:
    sql = "SELECT prediction_id, features->>'age' AS age FROM predictions ORDER BY time"
    done = serinus("ledger", "query", sql, "--limit", "3", home=home)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].split() == ["prediction_id", "age"]
    assert [line.split()[1] for line in lines[1:4]] == ["20", "21", "22"]
    assert "first 3" in lines[4]


def test_query_ends_with_json(home: Path) -> None:
    sql = (
        "SELECT label, count(*) AS n FROM labels JOIN predictions USING (prediction_id) GROUP BY 1"
    )
    done = serinus("ledger", "query", sql, "--json", home=home)
    assert done.json == {"columns": ["label", "n"], "rows": [["1", 1]]}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_query_writes_a_file(home: Path, tmp_path: Path, form: str) -> None:
    path = tmp_path / f"x.{form}"
    sql = "SELECT * FROM predictions"
    done = serinus("ledger", "query", sql, f"--{form}", str(path), "--json", home=home)
    assert done.json == {"rows": 50, "file": str(path)}
    if form == "csv":
        assert len(path.read_text().splitlines()) == 51
    else:
        assert pq.read_table(path).num_rows == 50


def test_fault_in_the_sql_is_told_with_the_engines_hint(home: Path) -> None:
    done = serinus("ledger", "query", "SELECT * FROM prediction", "--json", home=home)
    assert done.code == 2
    assert 'Did you mean "predictions"' in done.err
    assert done.json["error"]["where"] == "SQL"


def test_finished_segments_are_archived_and_told_of(faces: Faces, home: Path) -> None:
    faces.writer.close()
    done = serinus("ledger", "compact", home=home)
    assert done.out.startswith("1 segments with 51 events")
    told = serinus("ledger", "status", "--json", home=home).json
    assert (told["living"], told["waiting"], told["archived_records"]) == (0, 0, 51)
    assert [lag["consumer"] for lag in told["consumers"]] == ["delivery", "monitoring"]
    dry = serinus("ledger", "retain", "--dry-run", home=home)
    assert "it is not 30 days old" in " ".join(dry.out.split())
    assert "0 would go" in dry.out


def test_status_is_told_to_people_in_words(faces: Faces, home: Path) -> None:
    told = _status(faces.app.archiving.status())
    console = Console(width=80, file=StringIO())
    console.print(told)
    assert "1 of them may still write" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "unread by monitoring" in console.file.getvalue()  # type: ignore[attr-defined]
    assert faces.app.archiving.retain() == []
