from __future__ import annotations

import subprocess
import sys

import pytest
from tests.ledger.archive.conftest import DAY_US, START_US, Kept, label, prediction

from serinus import clock
from serinus.errors import InvalidInput, NotFound
from serinus.ledger import ids
from serinus.ledger.types import Offset


def at(id: bytes) -> Offset:
    address = ids.unpack(id)
    return Offset(address.segment, address.offset)


def test_events_of_many_segments_are_found_in_the_order_of_the_ids(anywhere: Kept) -> None:
    records = anywhere.write([prediction(n) for n in range(100)], segment_bytes=3_000)
    records += anywhere.write([label(prediction(1), records[1].id, at=START_US + DAY_US)])
    anywhere.compaction.run()
    anywhere.remove_segments()
    asked = [records[place].id for place in (100, 3, 97, 3, 50)]
    wanted = [records[place].event for place in (100, 3, 97, 3, 50)]
    assert anywhere.archive.lookup(asked) == wanted


def test_unknown_ids_are_told_apart(kept: Kept) -> None:
    records = kept.write([prediction(n) for n in range(10)])
    kept.compaction.run()
    address = ids.unpack(records[3].id)
    raw = bytes.fromhex(address.writer)
    other_checksum = ids.pack(raw, address.segment, address.offset, address.crc ^ 1)
    other_segment = ids.pack(raw, 9, address.offset, address.crc)
    asked = [other_checksum, records[3].id, other_segment, bytes(16)]
    assert kept.archive.lookup(asked) == [None, records[3].event, None, None]


def test_what_is_no_id_is_refused(kept: Kept) -> None:
    with pytest.raises(InvalidInput, match="16 bytes"):
        kept.archive.lookup([b"short"])


def test_archive_that_is_not_there_has_nothing(kept: Kept) -> None:
    assert kept.archive.lookup([bytes(16)]) == [None]
    assert kept.archive.entries() == []


def test_stretch_has_every_kind_in_order(kept: Kept) -> None:
    about = [prediction(n, model=f"m{n % 2}") for n in range(50)]
    labels = [label(one, bytes(16), at=START_US + DAY_US) for one in about]
    mixed = [event for pair in zip(about, labels, strict=True) for event in pair]
    records = kept.write(mixed, segment_bytes=4_000, by=5)
    kept.compaction.run()
    writer = ids.unpack(records[0].id).writer
    assert len({ids.unpack(record.id).segment for record in records}) > 2
    for first, last in ((0, 100), (3, 4), (10, 90), (99, 100), (5, 5)):
        end = at(records[last].id) if last < 100 else Offset(99, 0)
        found = (
            kept.archive.between(writer, at(records[first].id), end)
            if last < 100
            else kept.archive.between(
                writer, at(records[first].id), Offset(at(records[99].id).segment, 1 << 31)
            )
        )
        assert found == records[first:last]


def test_stretch_that_is_not_archived_is_told(kept: Kept) -> None:
    with pytest.raises(NotFound, match="neither in the ledger nor in the archive"):
        kept.archive.between("0a0b0c0d", Offset(0, 0), Offset(0, 100))


def test_file_that_is_lost_is_told_or_passed(kept: Kept) -> None:
    (record,) = kept.write([prediction(1)])
    kept.compaction.run()
    for path in kept.files():
        path.unlink()
    assert kept.archive.lookup([record.id]) == [None]
    with pytest.raises(NotFound):
        kept.archive.between(ids.unpack(record.id).writer, Offset(0, 0), Offset(0, 100))


def test_file_that_is_lost_after_it_was_read_is_passed(kept: Kept) -> None:
    records = kept.write([prediction(n) for n in range(20_000)], by=1_000)
    kept.compaction.run()
    assert kept.archive.lookup([records[0].id]) == [records[0].event]
    for path in kept.files():
        path.unlink()
    assert kept.archive.lookup([records[-1].id]) == [None]


def test_segment_is_told_whole(kept: Kept) -> None:
    records = kept.write([prediction(n) for n in range(500)], by=100)
    (entry,) = kept.compaction.run()
    assert list(kept.archive.segment(entry)) == records


def test_lookup_costs_milliseconds(kept: Kept) -> None:
    some = [prediction(n, model=f"m{n % 3}") for n in range(1_000)]
    records = kept.write(some * 50, by=1_000)
    kept.compaction.run()
    kept.archive.lookup([records[0].id])
    start = clock.monotonic()
    spread = [records[place] for place in range(0, 50_000, 5_000)]
    for record in spread:
        assert kept.archive.lookup([record.id]) == [record.event]
    assert (clock.monotonic() - start) / len(spread) < 0.1
    start = clock.monotonic()
    many = records[20_000:22_000]
    found = kept.archive.lookup([record.id for record in many])
    assert found == [record.event for record in many]
    assert (clock.monotonic() - start) / len(many) < 0.001


def test_nothing_is_imported_before_it_is_needed() -> None:
    script = (
        "import sys; from serinus.ledger.archive.lookup import Archive; "
        "from serinus.ledger.archive.reader import ArchivedReader; "
        "from serinus.ledger.archive.sources import open_segments; "
        "from pathlib import Path; "
        "assert Archive(Path('nowhere')).lookup([bytes(16)]) == [None]; "
        "print({'pyarrow', 'duckdb', 'pandas', 'redis'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
