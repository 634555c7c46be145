from __future__ import annotations

import pytest
from tests.ledger.archive.conftest import Kept, prediction

from serinus.ledger.archive.types import Segment
from serinus.ledger.opening import open_writer


def test_only_the_last_segment_of_a_living_writer_is_unfinished(kept: Kept) -> None:
    writer = open_writer(kept.folder / "ledger", segment_bytes=1_000)
    for number in range(30):
        writer.append([prediction(number)])
    before = kept.segments.listed()
    writer.close()
    assert len(before) > 2
    assert [segment.is_finished for segment in before] == [True] * (len(before) - 1) + [False]
    assert all(segment.is_finished for segment in kept.segments.listed())
    assert {segment.writer for segment in before} == {writer.name}


def test_sizes_are_where_the_next_record_would_begin(kept: Kept) -> None:
    kept.write([prediction(number) for number in range(30)], segment_bytes=1_000)
    listed = kept.segments.listed()
    for segment in listed:
        path = kept.folder / "ledger" / segment.writer / f"{segment.number:08d}.log"
        assert segment.size == path.stat().st_size


def test_ledger_that_is_not_there_has_no_segments(kept: Kept) -> None:
    assert kept.segments.listed() == []


def test_removed_segment_is_gone_and_its_writers_name_is_not(kept: Kept) -> None:
    kept.write([prediction(1)])
    (segment,) = kept.segments.listed()
    kept.segments.remove(segment.writer, segment.number)
    kept.segments.remove(segment.writer, segment.number)
    assert kept.segments.listed() == []
    assert (kept.folder / "ledger" / segment.writer).is_dir()


def test_segments_are_in_order() -> None:
    assert Segment("a", 2, 9, is_finished=True) < Segment("a", 10, 1, is_finished=False)
    with pytest.raises(AttributeError):
        Segment("a", 2, 9, is_finished=True).size = 3  # type: ignore[misc]
