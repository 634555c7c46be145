from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from serinus.data import ingest
from serinus.errors import InvalidInput, NotFound


@pytest.fixture
def frame() -> pd.DataFrame:
    random = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "amount": random.normal(size=30),
            "count": np.arange(30) % 7,
            "place": ["north", "south", "east"] * 10,
            "member": [True, False] * 15,
            "target": [0, 1] * 15,
        }
    )


def test_read_csv_and_parquet_of_the_same_rows_have_the_same_digest(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")

    csv, parquet = ingest.read(tmp_path / "a.csv"), ingest.read(tmp_path / "a.parquet")

    assert csv.digest == parquet.digest == ingest.from_frame(frame, name="a", source="x").digest
    assert csv.kinds == parquet.kinds
    assert csv.source == str(tmp_path / "a.csv")


@pytest.mark.parametrize("name", sorted(ingest.BUNDLED))
def test_read_bundled_has_a_target(name: str) -> None:
    dataset = ingest.read(name)

    assert "target" in dataset.frame.columns
    assert dataset.source == f"bundled:{name}"


def test_read_file_named_like_a_bundled_set_wins(
    frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "iris").mkdir()

    with pytest.raises(InvalidInput, match="folder"):
        ingest.read("iris")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_read_csv_finds_the_delimiter(frame: pd.DataFrame, tmp_path: Path, delimiter: str) -> None:
    frame.to_csv(tmp_path / "a.csv", index=False, sep=delimiter)

    assert list(ingest.read(tmp_path / "a.csv").frame.columns) == list(frame.columns)


def test_read_csv_with_byte_order_mark_and_quotes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbf"a, b",target\n1,x\n2,y\n')

    assert list(ingest.read(path).frame.columns) == ["a, b", "target"]


def test_read_csv_names_repeated_columns_that_pandas_would_rename(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b,a,a,target\n1,2,3,4,0\n")

    dataset = ingest.read(tmp_path / "a.csv")

    assert [str(fault) for fault in dataset.faults] == [
        "column 'a': 3 columns have this name. Rename or remove all but one."
    ]
    assert list(dataset.frame.columns) == ["a", "b", "a (2)", "a (3)", "target"]


def test_spaces_around_names_are_told_once(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(" n fills ,a,b \n1,2,3\n")

    dataset = ingest.read(path)

    assert list(dataset.frame.columns) == ["n fills", "a", "b"]
    (told,) = dataset.faults
    assert (told.level, told.place) == ("warning", "header")
    assert "' n fills ', 'b '" in told.what


def test_read_frame_names_repeated_columns() -> None:
    frame = pd.DataFrame([[1, 2, 0]], columns=["a", "a", "t"])

    assert len(ingest.from_frame(frame, name="x", source="x").faults) == 1


@pytest.mark.parametrize(
    ("name", "content", "fact"),
    [
        ("empty.csv", b"", "empty"),
        ("blank.csv", b"\n\n \n", "blank lines"),
        ("binary.csv", b"\xff\xfe\x00\x01a,b\n\x80", "cannot be read"),
        ("ragged.csv", b"a,b\n1,2\n1,2,3,4\n", "cannot be read"),
        ("broken.parquet", b"PAR1 this is no parquet", "cannot be read"),
        ("rows.xlsx", b"PK", "not known"),
    ],
)
def test_read_unusable_file_names_it(tmp_path: Path, name: str, content: bytes, fact: str) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(InvalidInput, match=fact) as caught:
        ingest.read(tmp_path / name)

    assert caught.value.where == str(tmp_path / name)
    assert caught.value.remedy
    assert caught.value.exit_code == 2


def test_read_missing_file_names_the_bundled_sets() -> None:
    with pytest.raises(NotFound, match="no such file") as caught:
        ingest.read("nowhere.csv")

    assert "breast_cancer" in caught.value.remedy
