from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet as pq
from tests.ledger.archive.conftest import events, names, prediction, same

from serinus import wire
from serinus.ledger import ids
from serinus.ledger.archive import parquet
from serinus.ledger.archive.parquet import SCHEMAS, FileReader, FileWriter, Groups
from serinus.ledger.archive.rows import COLUMNS, Kind, shape
from serinus.ledger.types import Record

WRITER = bytes.fromhex("0a0b0c0d")


def numbered(events: list[wire.Event]) -> list[Record]:
    return [
        Record(ids.pack(WRITER, 3, 100 * place, place), event) for place, event in enumerate(events)
    ]


def written(path: Path, records: list[Record], *, group: int) -> Kind:
    shaped = [shape(record, names) for record in records]
    (kind,) = {kind for kind, _ in shaped}
    writer = FileWriter(path, kind)
    for start in range(0, len(shaped), group):
        writer.write([row for _, row in shaped[start : start + group]])
    assert writer.close() == path.stat().st_size
    return kind


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(events, min_size=1, max_size=12))
def test_file_gives_every_event_back(tmp_path: Path, given_events: list[wire.Event]) -> None:
    records = numbered(given_events)
    by_kind: dict[type, list[Record]] = {}
    for record in records:
        by_kind.setdefault(type(record.event), []).append(record)
    for some in by_kind.values():
        path = tmp_path / "x.parquet"
        kind = written(path, some, group=5)
        reader = FileReader(path, kind, Groups(2))
        found = sorted(reader.find([record.id for record in some]))
        assert [record.id for record in found] == [record.id for record in some]
        assert all(same(a.event, b.event) for a, b in zip(found, some, strict=True))


def test_file_finds_only_what_was_asked(tmp_path: Path) -> None:
    records = numbered([prediction(number) for number in range(1_000)])
    kind = written(tmp_path / "x", records, group=100)
    reader = FileReader(tmp_path / "x", kind, Groups(3))
    asked = [records[7].id, records[512].id, ids.pack(WRITER, 3, 51_200, 9), b"\xff" * 16]
    assert sorted(reader.find(asked)) == [records[7], records[512]]
    assert sorted(reader.between(records[95].id, records[205].id)) == records[95:205]
    assert list(reader.between(b"\xf0" * 16, b"\xff" * 16)) == []


def test_lookup_reads_one_group_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = numbered([prediction(number) for number in range(1_000)])
    kind = written(tmp_path / "x", records, group=100)
    reader = FileReader(tmp_path / "x", kind, Groups(3))
    opened: list[object] = []
    real = parquet.pq.ParquetFile

    def counted(*args: object, **named: object) -> object:
        opened.append(args)
        return real(*args, **named)

    monkeypatch.setattr(parquet.pq, "ParquetFile", counted)
    assert list(reader.find([records[512].id])) == [records[512]]
    assert list(reader.find([records[513].id])) == [records[513]]
    assert len(opened) == 1


def test_groups_keep_only_the_last(tmp_path: Path) -> None:
    records = numbered([prediction(number) for number in range(50)])
    written(tmp_path / "x", records, group=10)
    groups, metadata = Groups(2), pq.read_metadata(tmp_path / "x")
    for group in range(5):
        assert groups.read(tmp_path / "x", group, metadata).num_rows == 10
    assert len(groups._kept) == 2


def test_every_engine_reads_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    written(path, numbered([prediction(number) for number in range(30)]), group=10)
    assert pq.read_table(path).schema.equals(SCHEMAS[Kind.PREDICTIONS])
    assert pq.read_schema(path).field("time").type == pa.timestamp("us", tz="UTC")
    found = duckdb.sql(
        "SELECT max(time)::VARCHAR, sum((features->>'age')::INT), max(features->>'city'), "
        f"count(DISTINCT prediction_id) FROM '{path}'"
    ).fetchall()
    assert found[0][1:] == (30 * 20 + sum(range(30)), "Zürich", 30)


def test_ids_have_statistics_in_every_group(tmp_path: Path) -> None:
    records = numbered([prediction(number) for number in range(30)])
    kind = written(tmp_path / "x", records, group=10)
    metadata = pq.read_metadata(tmp_path / "x")
    bounds = [
        (
            metadata.row_group(group).column(0).statistics.min,
            metadata.row_group(group).column(0).statistics.max,
        )
        for group in range(3)
    ]
    assert COLUMNS[kind][0].name == "prediction_id"
    assert bounds == [(records[a].id.hex(), records[a + 9].id.hex()) for a in (0, 10, 20)]


NEW = ("variant", "shares", "instead", "instead_number", "instead_type", "circuits")


def test_file_from_before_there_were_several_challengers_is_read(tmp_path: Path) -> None:
    made = wire.Assignment("fraud", wire.Arm.CHAMPION, 0.0, 1)
    kinds: list[list[wire.Event]] = [
        [prediction(1), prediction(2)],
        [wire.Failure(1, made, "1.0.0", "it raised", 5)],
        [wire.WorkerStatus(1, "w", 1, (), {})],
    ]
    for some in kinds:
        records = numbered(some)
        kind = written(tmp_path / "new", records, group=5)
        table = pq.read_table(tmp_path / "new")
        old = table.drop_columns([name for name in table.column_names if name in NEW])
        assert old.num_columns < table.num_columns
        pq.write_table(old, tmp_path / "old")
        found = FileReader(tmp_path / "old", kind, Groups(2)).find([one.id for one in records])
        assert list(found) == records
