from __future__ import annotations

from tests.ledger.archive.conftest import START_US, Kept, prediction

from serinus import clock
from serinus.ledger.archive.status import Lag, status_of
from serinus.ledger.archive.types import Segment
from serinus.ledger.opening import open_writer
from serinus.ledger.types import Offset


def test_status_counts_what_is_there(anywhere: Kept) -> None:
    anywhere.write([prediction(n) for n in range(40)], segment_bytes=2_000)
    anywhere.compaction.run(seconds=0)
    writer = open_writer(anywhere.address, segment_bytes=1 << 20)
    writer.append([prediction(1)])
    listed = anywhere.segments.listed()
    found = status_of(listed, anywhere.catalog.entries(), {})
    writer.close()
    assert (found.writers, found.living, found.segments) == (2, 1, len(listed))
    assert found.bytes == sum(segment.size for segment in listed)
    assert found.waiting == len(listed) - 2
    assert found.waiting_bytes < found.bytes
    assert found.archived_segments == found.archived_files == 1
    assert 0 < found.archived_records < 40
    assert found.archived_bytes == anywhere.files()[0].stat().st_size
    assert found.oldest == clock.from_epoch_us(START_US)


def test_lag_is_what_is_not_read_yet() -> None:
    segments = [Segment("a", n, 100, n < 2) for n in range(3)] + [Segment("b", 0, 50, True)]
    consumers = {
        "new": {},
        "middle": {"a": Offset(1, 30), "b": Offset(0, 50)},
        "done": {"a": Offset(2, 100), "b": Offset(1, 0)},
    }
    assert status_of(segments, [], consumers).consumers == (
        Lag("done", 0, 0),
        Lag("middle", 2, 170),
        Lag("new", 4, 350),
    )


def test_empty_ledger_has_no_ages() -> None:
    found = status_of([], [], {})
    assert (found.oldest, found.newest, found.bytes) == (None, None, 0)
