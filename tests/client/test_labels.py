from __future__ import annotations

import csv
import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from serinus.client import labels
from serinus.client.labels import Columns, LabelFile
from serinus.client.predictions import Told, Untold
from serinus.errors import InvalidInput


def written(folder: Path, text: str, name: str = "labels.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path, skip: int = 0, **columns: Any) -> list[Told | Untold]:
    return list(LabelFile(path, Columns(**columns), skip=skip))


def what(items: list[Told | Untold]) -> list[Any]:
    return [item.label if isinstance(item, Told) else item.reason for item in items]


def test_csv_gives_ids_labels_and_values(tmp_path: Path) -> None:
    path = written(tmp_path, "prediction_id,other,label,value\na1,x,1,2.5\n a2 ,y,,-3\na3,z,0,\n")
    assert read(path) == [Told("a1", 1, 2.5), Told("a2", value=-3), Told("a3", 0)]


@pytest.mark.parametrize(
    ("cells", "kind", "expected"),
    [
        (["1", "0"], "auto", [1, 0]),
        (["1", "2.5", "-7"], "auto", [1, 2.5, -7]),
        (["true", "False"], "auto", [True, False]),
        (["yes", "no"], "auto", ["yes", "no"]),
        (["1", "many"], "auto", ["1", "many"]),
        (["1", "0"], "text", ["1", "0"]),
        (["1", "no"], "boolean", [True, False]),
        (["007", "1e3"], "number", [7, 1000.0]),
    ],
)
def test_csv_labels_are_of_one_kind(
    tmp_path: Path, cells: list[str], kind: Any, expected: list[Any]
) -> None:
    rows = "".join(f"{place},{cell}\n" for place, cell in enumerate(cells))
    found = what(read(written(tmp_path, "prediction_id,label\n" + rows), kind=kind))
    assert found == expected
    assert [type(item) for item in found] == [type(item) for item in expected]


def test_csv_cell_that_does_not_fit_harms_no_other(tmp_path: Path) -> None:
    path = written(tmp_path, "prediction_id,label\na,1\nb,many\nc,inf\nd,1_000\ne,\nf,nan\ng,2\n")
    found = read(path, kind="number")
    assert [type(item) for item in found] == [Told, *[Untold] * 5, Told]
    assert isinstance(found[1], Untold)
    assert (found[1].prediction_id, found[1].label) == ("b", "many")
    assert "--label-type" in found[1].reason
    assert what(found)[4] == what(found)[5] == "there is neither a label nor a value"


def test_csv_kind_is_that_of_the_first_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "SAMPLE_ROWS", 20)
    rows = [f"{place:032x},{place % 2}" for place in range(50)] + ["f" * 32 + ",maybe"]
    found = read(written(tmp_path, "\n".join(["prediction_id,label", *rows])))
    assert what(found)[:50] == [place % 2 for place in range(50)]
    assert isinstance(found[50], Untold)


def test_csv_columns_are_named_by_the_caller(tmp_path: Path) -> None:
    path = written(tmp_path, "id;truth;worth\na;1;2\n")
    found = read(path, id="id", label="truth", value="worth", delimiter=";")
    assert found == [Told("a", 1, 2)]


@pytest.mark.parametrize(
    ("text", "columns", "missing"),
    [
        ("id,label\n", {}, "'prediction_id'"),
        ("prediction_id,truth\n", {}, "'label' or 'value'"),
        ("prediction_id,label\n", {"value": "worth"}, "'worth'"),
        ("prediction_id;label\n", {}, "'prediction_id'"),
    ],
)
def test_missing_columns_are_named(
    tmp_path: Path, text: str, columns: dict[str, str], missing: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(written(tmp_path, text), **columns)
    assert missing in caught.value.what
    assert text.strip().partition(",")[0] in caught.value.remedy


def test_files_that_are_none(tmp_path: Path) -> None:
    written(tmp_path, "", "empty.csv")
    written(tmp_path, "no parquet", "wrong.parquet")
    for name in ("empty.csv", "wrong.parquet", "missing.csv"):
        with pytest.raises(InvalidInput, match="cannot be read"):
            LabelFile(tmp_path / name)
    (tmp_path / "latin.csv").write_bytes(b"prediction_id,label\na,\xe4\n")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read(tmp_path / "latin.csv")


def test_rows_of_other_lengths_are_refused_and_empty_lines_are_none(tmp_path: Path) -> None:
    found = read(written(tmp_path, "prediction_id,label\na,1\n\nb\nc,1,2\nd,0\n\n"))
    assert (found[0], found[3]) == (Told("a", 1), Told("d", 0))
    assert [type(item) for item in found] == [Told, Untold, Untold, Told]
    assert what(found)[2] == "the row has 3 cells, the header 2: ['c', '1', '2']"


def test_compressed_files_and_marks_of_order(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv.gz"
    path.write_bytes(gzip.compress("\ufeffprediction_id,label\r\na,1\r\n".encode()))
    assert read(path) == [Told("a", 1)]


def test_share_read_grows_to_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "SAMPLE_ROWS", 100)
    rows = "".join(f"{place:032x},1\n" for place in range(5_000))
    source = LabelFile(written(tmp_path, "prediction_id,label\n" + rows))
    shares = [source.share_read for _ in source]
    assert len(shares) == 5_000
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.2
    assert source.share_read == 1.0


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([1, None, 3], [1, None, 3]),
        ([True, False, None], [True, False, None]),
        (["1", "", "x"], ["1", None, "x"]),
        ([1.0, float("nan"), 2.5], [1.0, None, 2.5]),
        ([Decimal("1.5"), None, Decimal(2)], [1.5, None, 2.0]),
    ],
)
def test_parquet_labels_are_what_they_are(
    tmp_path: Path, column: list[Any], expected: list[Any]
) -> None:
    path = tmp_path / "labels.parquet"
    ids = [f"{place:032x}" for place in range(3)]
    parquet.write_table(pa.table({"prediction_id": ids, "label": column}), path)
    found = [item.label if isinstance(item, Told) else None for item in read(path)]
    assert found == expected
    assert [type(item) for item in found] == [type(item) for item in expected]


def test_parquet_ids_may_be_bytes_and_kinds_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    table = pa.table({"prediction_id": [b"\x01" * 16] * 2, "label": [1, 0], "value": [None, 2.0]})
    parquet.write_table(table, path)
    id = "01" * 16
    assert read(path) == [Told(id, 1), Told(id, 0, 2.0)]
    assert what(read(path, kind="boolean")) == [True, False]
    assert what(read(path, kind="text")) == ["1", "0"]
    parquet.write_table(pa.table({"prediction_id": ["a"], "label": [[1]]}), path)
    assert isinstance(read(path)[0], Untold)


@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)),
        max_size=30,
    ),
    st.integers(0, 40),
)
def test_csv_texts_come_back_and_skipping_skips(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str]], skip: int
) -> None:
    path = tmp_path_factory.mktemp("csv") / "labels.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(("prediction_id", "label"))
        out.writerows((f"id{place}", text) for place, (text,) in enumerate(rows))
    expected = [text or "there is neither a label nor a value" for (text,) in rows]
    assert what(read(path, skip, kind="text")) == expected[skip:]
