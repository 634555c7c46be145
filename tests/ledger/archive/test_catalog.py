from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.ledger.archive.conftest import DAY_US, START_US

from serinus.errors import Unavailable
from serinus.ledger.archive.catalog import Catalog, day_of, file_path
from serinus.ledger.archive.rows import Kind
from serinus.ledger.archive.types import Entry, File

FILE = File("predictions/day=2026-01-01/x.parquet", "predictions", 3, 100, 0, 90, 5, 9)
ENTRY = Entry("0a0b0c0d", 2, 120, 3, 5, 9, 11, (FILE,))


def test_entry_is_found_again(tmp_path: Path) -> None:
    Catalog(tmp_path).publish(ENTRY)
    assert Catalog(tmp_path).entry("0a0b0c0d", 2) == ENTRY
    assert Catalog(tmp_path).entry("0a0b0c0d", 1) is None


def test_entries_are_in_order(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    assert catalog.entries() == []
    keys = [("b0000000", 1), ("a0000000", 10), ("a0000000", 9)]
    for writer, number in keys:
        catalog.publish(msgspec.structs.replace(ENTRY, writer=writer, number=number))
    assert [(entry.writer, entry.number) for entry in catalog.entries()] == sorted(keys)


def test_entry_written_anew_is_seen_by_another(tmp_path: Path) -> None:
    catalog, other = Catalog(tmp_path), Catalog(tmp_path)
    catalog.publish(ENTRY)
    assert other.entries() == [ENTRY]
    less = msgspec.structs.replace(ENTRY, files=(), removed=(FILE.path,))
    catalog.publish(less)
    assert other.entries() == [less]


def test_entry_that_was_removed_is_gone(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    catalog.publish(ENTRY)
    catalog.remove(ENTRY)
    catalog.remove(ENTRY)
    assert catalog.entries() == []


def test_half_an_entry_is_none(tmp_path: Path) -> None:
    Catalog(tmp_path).publish(ENTRY)
    folder = tmp_path / "segments" / "0a0b0c0d"
    (folder / ".00000003.json.77").write_text('{"writer":')
    assert Catalog(tmp_path).entries() == [ENTRY]


def test_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "segments").write_text("a file")
    with pytest.raises(Unavailable, match="cannot be written"):
        Catalog(tmp_path).publish(ENTRY)


def test_days_are_those_of_utc() -> None:
    assert day_of(START_US) == "2026-01-01"
    assert day_of(START_US - 1) == "2025-12-31"
    assert day_of(START_US + DAY_US - 1) == "2026-01-01"


def test_days_beyond_the_calendar_are_its_ends() -> None:
    assert day_of(-1) == "1970-01-01"
    assert day_of(2**62) == "9999-12-31"


def test_places_are_named_after_segments() -> None:
    path = file_path(Kind.LABELS, "2026-01-01", "0a0b0c0d", 7)
    assert path == "labels/day=2026-01-01/0a0b0c0d-00000007.parquet"
