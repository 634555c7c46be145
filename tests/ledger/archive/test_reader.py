from __future__ import annotations

import pytest
from tests.ledger.archive.conftest import DAY_US, START_US, Kept, label, prediction

from serinus.errors import NotFound
from serinus.ledger import ids
from serinus.ledger.opening import open_writer
from serinus.ledger.types import Offset, Record


def test_lookup_goes_on_in_the_archive(anywhere: Kept) -> None:
    old = anywhere.write([prediction(n) for n in range(20)])
    anywhere.compaction.run()
    anywhere.remove_segments()
    new = anywhere.write([prediction(n) for n in range(20)])
    reader = anywhere.everywhere
    assert reader.lookup(old[7].id) == old[7].event
    assert reader.lookup(new[7].id) == new[7].event
    assert reader.lookup(bytes(16)) is None
    asked = [new[3].id, old[5].id, bytes(16), old[6].id]
    assert reader.lookup_many(asked) == [new[3].event, old[5].event, None, old[6].event]


def test_stretches_of_earlier_reads_come_out_equal_after_retention(anywhere: Kept) -> None:
    """As replays do: the same spans, whatever has become of the segments."""
    writer = open_writer(anywhere.address, segment_bytes=1_500)
    spans, offsets = [], {}
    for number in range(60):
        writer.append([prediction(number), label(prediction(number), bytes(16), at=START_US)])
        if number % 7 == 0:
            batch = anywhere.reader.read(offsets, 1_000)
            start = offsets.get(writer.name, Offset(0, 0))
            spans.append((start, batch.offsets[writer.name], batch.records))
            offsets = batch.offsets
    reader = anywhere.everywhere
    assert len({start.segment for start, _, _ in spans}) > 3
    for keep in (2, 1):
        anywhere.compaction.run()
        for segment in anywhere.segments.listed()[:-keep]:
            anywhere.segments.remove(segment.writer, segment.number)
        for start, end, records in spans:
            assert reader.between(writer.name, start, end) == records
    writer.close()


def test_stretch_that_is_nowhere_is_told(anywhere: Kept) -> None:
    records = anywhere.write([prediction(n) for n in range(20)])
    anywhere.remove_segments()
    at = ids.unpack(records[0].id)
    with pytest.raises(NotFound):
        anywhere.everywhere.between(
            at.writer, Offset(at.segment, 0), Offset(at.segment, ids.unpack(records[9].id).offset)
        )


def test_scan_tells_archive_and_ledger_and_none_twice(anywhere: Kept) -> None:
    records = anywhere.write([prediction(n) for n in range(20)], segment_bytes=1_000)
    anywhere.compaction.run()
    gone = anywhere.segments.listed()[:2]
    for segment in gone:
        anywhere.segments.remove(segment.writer, segment.number)
    records += anywhere.write([prediction(n, model="churn", at=START_US + DAY_US) for n in (1, 2)])
    told: list[Record] = list(anywhere.everywhere.scan())
    assert len(told) == len(records)
    assert sorted(told) == sorted(records)
    assert sorted(anywhere.everywhere.scan("churn")) == sorted(records[-2:])
    assert sorted(anywhere.everywhere.scan(since_us=START_US + DAY_US)) == sorted(records[-2:])


def test_scan_tells_archived_segments_in_their_place(anywhere: Kept) -> None:
    records = anywhere.write([prediction(n) for n in range(60)], segment_bytes=1_000)
    anywhere.compaction.run()
    segments = anywhere.segments.listed()
    assert len(segments) > 5
    for segment in segments[1:4]:
        anywhere.segments.remove(segment.writer, segment.number)
    assert list(anywhere.everywhere.scan()) == records
    middle = records[30].event.at
    assert list(anywhere.everywhere.scan(since_us=middle)) == records[30:]
    anywhere.remove_segments()
    assert list(anywhere.everywhere.scan()) == records


def test_scan_goes_on_in_the_archive_when_a_segment_goes_meanwhile(anywhere: Kept) -> None:
    records = anywhere.write([prediction(n) for n in range(6_000)], by=1_000)
    anywhere.compaction.run()
    told = anywhere.everywhere.scan()
    first = next(told)
    anywhere.remove_segments()
    assert [first, *told] == records


def test_read_is_the_ledgers_own(anywhere: Kept) -> None:
    anywhere.write([prediction(n) for n in range(20)])
    assert anywhere.everywhere.read({}, 100) == anywhere.reader.read({}, 100)
    anywhere.everywhere.close()
