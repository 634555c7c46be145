"""What a record tells of lives that ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from serinus.chaos import record
from serinus.chaos.types import Note


def test_record_outlives_its_writers(tmp_path: Path) -> None:
    path = str(tmp_path / "record")
    assert record.read(path) == []
    record.note(path, "began")
    record.note(path, "struck", "before COMMIT")
    assert [line.kind for line in record.read(path)] == ["began", "struck"]
    assert record.strikes(record.read(path)) == ["before COMMIT"]


def test_absence_lasts_until_somebody_works_again() -> None:
    notes = [
        Note("began", 0.0, 1),
        Note("resumed", 1.0, 1),
        Note("struck", 2.0, 1, "a"),
        Note("began", 2.5, 2),
        Note("struck", 3.0, 2, "b"),
        Note("began", 3.5, 3),
        Note("resumed", 4.0, 3),
    ]
    assert record.absences(notes) == [(pytest.approx(0.5), pytest.approx(2.0))]
    assert record.lives(notes) == [pytest.approx(1.0)]
