from __future__ import annotations

import pytest
from tests.ledger.archive.conftest import START_US, Kept, prediction

from serinus import wire
from serinus.errors import NotFound
from serinus.ledger.archive import sources
from serinus.ledger.archive.types import Segment
from serinus.ledger.opening import open_writer
from serinus.ledger.streams import segments as streams


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


def test_segment_is_read_in_pieces_and_in_order(
    anywhere: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_STRIDE", 500)
    monkeypatch.setattr(streams, "_CHUNK_BYTES", 500)
    large = wire.WorkerStatus(START_US, "w", 1, ("m@1",), {"m@2": "x" * 2_000})
    some = [prediction(number) for number in range(30)]
    records = anywhere.write([*some[:15], large, *some[15:]], segment_bytes=2_500, by=4)
    listed = anywhere.segments.listed()
    pieces = [list(anywhere.segments.read(segment)) for segment in listed]
    assert len(pieces[0]) > 2
    assert [record for some in pieces for piece in some for record in piece] == records


def test_only_what_was_there_at_the_listing_is_read(anywhere: Kept) -> None:
    writer = open_writer(anywhere.address, segment_bytes=1 << 20)
    writer.append([prediction(1), prediction(2)])
    (before,) = anywhere.segments.listed()
    writer.append([prediction(3)])
    found = [record for piece in anywhere.segments.read(before) for record in piece]
    assert [record.event for record in found] == [prediction(1), prediction(2)]
    writer.close()


def test_segment_that_is_gone_is_told(anywhere: Kept) -> None:
    anywhere.write([prediction(1)])
    (segment,) = anywhere.segments.listed()
    anywhere.segments.remove(segment.writer, segment.number)
    with pytest.raises(NotFound, match=r"gone|not there any more"):
        list(anywhere.segments.read(segment))


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
