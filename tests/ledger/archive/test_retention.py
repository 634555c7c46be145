from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.archive.conftest import DAY_US, START_US, Kept, label, prediction

from serinus import clock
from serinus.ledger.archive.retention import (
    Consumers,
    Decision,
    Retention,
    Rules,
    of_file,
    of_segment,
    totals,
)
from serinus.ledger.archive.types import Entry, File, Segment
from serinus.ledger.types import Offset

NOW = START_US + 100 * DAY_US
SEGMENT = Segment("0a0b0c0d", 3, 500, is_finished=True)
FILE = File("x.parquet", "predictions", 3, 100, 0, 90, START_US, START_US)
ENTRY = Entry("0a0b0c0d", 3, 500, 3, START_US, START_US, START_US, (FILE,))
RULES = Rules(ledger_days=30, archive_days=90)
READ = {"delivery": {"0a0b0c0d": Offset(3, 500)}, "monitoring": {"0a0b0c0d": Offset(4, 0)}}


def retention(
    kept: Kept, rules: Rules, consumers: Callable[[], Consumers] | None = None
) -> Retention:
    def everything() -> Consumers:
        return {
            "delivery": {
                segment.writer: Offset(segment.number, segment.size)
                for segment in kept.segments.listed()
            }
        }

    return Retention(kept.segments, kept.catalog, lambda: rules, consumers or everything)


def test_old_archived_and_read_segment_goes() -> None:
    decision = of_segment(SEGMENT, ENTRY, RULES, READ, NOW)
    assert decision.goes
    assert decision.name == "0a0b0c0d/00000003"
    assert decision.bytes == 500


@pytest.mark.parametrize(
    ("is_finished", "entry", "rules", "read", "reason"),
    [
        (False, ENTRY, RULES, READ, "still written"),
        (True, None, RULES, READ, "not archived"),
        (True, ENTRY, Rules(ledger_days=0), READ, "kept for ever"),
        (True, ENTRY, Rules(ledger_days=101), READ, "not 101 days old"),
        (True, ENTRY, Rules(ledger_days=1, needed_us=START_US), READ, "live deployment"),
        (True, ENTRY, RULES, READ | {"new": {}}, "by: new"),
        (True, ENTRY, RULES, READ | {"slow": {"0a0b0c0d": Offset(3, 499)}}, "by: slow"),
        (True, ENTRY, RULES, {"b": {}, "a": {"ffffffff": Offset(9, 0)}}, "by: a, b"),
    ],
)
def test_segment_that_somebody_may_need_stays(
    is_finished: bool, entry: Entry | None, rules: Rules, read: Consumers, reason: str
) -> None:
    segment = Segment("0a0b0c0d", 3, 500, is_finished)
    decision = of_segment(segment, entry, rules, read, NOW)
    assert not decision.goes
    assert reason in decision.reason


def test_deployment_that_began_later_needs_nothing_older() -> None:
    rules = Rules(ledger_days=30, archive_days=30, needed_us=START_US + 1)
    assert of_segment(SEGMENT, ENTRY, rules, READ, NOW).goes
    assert of_file(FILE, rules, NOW, has_segment=False).goes


def test_archived_file_goes_when_it_is_old_and_its_segment_has_gone() -> None:
    assert of_file(FILE, RULES, NOW, has_segment=False).goes
    assert "still in the ledger" in of_file(FILE, RULES, NOW, has_segment=True).reason
    young = of_file(FILE, RULES, START_US + 89 * DAY_US, has_segment=False)
    assert young.reason == "it is not 90 days old"
    assert of_file(FILE, Rules(30, 0), NOW, has_segment=False).reason == "it is kept for ever"


@given(
    st.integers(0, 800).map(lambda halves: halves / 2),
    st.integers(0, 400),
    st.none() | st.integers(0, 400),
    st.lists(st.tuples(st.integers(2, 4), st.integers(0, 600)), max_size=3),
)
def test_nothing_goes_that_anybody_needs(
    days: float, age: int, needed: int | None, read: list[tuple[int, int]]
) -> None:
    newest = NOW - age * DAY_US
    rules = Rules(days, 0, None if needed is None else NOW - needed * DAY_US)
    consumers = {str(n): {"0a0b0c0d": Offset(*at)} for n, at in enumerate(read)}
    entry = msgspec.structs.replace(ENTRY, newest_us=newest)
    decision = of_segment(SEGMENT, entry, rules, consumers, NOW)
    safe = 0 < days <= age and (needed is None or age > needed)
    assert decision.goes == (safe and all(at >= (3, 500) for at in read))


def test_pass_removes_what_it_said_it_would(anywhere: Kept) -> None:
    old = anywhere.write([prediction(n) for n in range(50)], segment_bytes=2_000)
    anywhere.compaction.run()
    new = anywhere.write([prediction(1, at=clock.epoch_us())])
    task = retention(anywhere, Rules(ledger_days=30))
    told = task.decide()
    assert len(anywhere.segments.listed()) == len([d for d in told if d.subject == "segment"])
    count, size = totals(told)
    assert count > 1
    assert size > 2_000
    assert task.run() == [decision for decision in told if decision.goes]
    assert len(anywhere.segments.listed()) == 1
    asked = [record.id for record in old + new]
    assert anywhere.everywhere.lookup_many(asked) == [record.event for record in old + new]
    assert task.run() == []


def test_segment_stays_while_its_archive_is_not_whole(kept: Kept) -> None:
    kept.write([prediction(1)])
    kept.compaction.run()
    (path,) = kept.files()
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    task = retention(kept, Rules(ledger_days=30))
    (decision,) = [d for d in task.decide() if d.subject == "segment"]
    assert "not whole" in decision.reason
    assert task.run() == []
    path.unlink()
    assert task.run() == []
    path.write_bytes(data)
    assert len(task.run()) == 1


def test_nothing_goes_behind_a_segment_that_stays(anywhere: Kept) -> None:
    anywhere.write([prediction(n) for n in range(50)], segment_bytes=2_000)
    other = anywhere.write([prediction(n) for n in range(3)])[0].id[:4].hex()
    anywhere.compaction.run()
    listed = anywhere.segments.listed()
    long = [segment for segment in listed if segment.writer != other]
    assert len(long) == 3
    entry = anywhere.catalog.entry(long[1].writer, long[1].number)
    assert entry is not None
    anywhere.catalog.remove(entry)
    gone = retention(anywhere, Rules(ledger_days=30)).run()
    first = f"{long[0].writer}/{long[0].number:08d}"
    assert {name for name in (d.name for d in gone) if not name.startswith(other)} == {first}
    assert anywhere.segments.listed() == long[1:]
    told = retention(anywhere, Rules(ledger_days=30)).decide()
    reasons = [decision.reason for decision in told if decision.subject == "segment"]
    assert reasons[0] == "it is not archived yet"
    assert set(reasons[1:]) == {"an older segment of the same writer stays"}
    anywhere.catalog.publish(entry)
    retention(anywhere, Rules(ledger_days=30)).run()
    assert anywhere.segments.listed() == []


def test_archive_goes_after_its_segment_and_is_forgotten(kept: Kept) -> None:
    (record,) = kept.write([prediction(1)])
    kept.write([label(prediction(2), record.id, at=START_US)])
    kept.compaction.run()
    task = retention(kept, Rules(ledger_days=30, archive_days=30))
    assert [d.subject for d in task.run()] == ["segment", "segment"]
    assert kept.everywhere.lookup(record.id) == record.event
    assert [d.subject for d in task.run()] == ["file", "file"]
    assert kept.everywhere.lookup(record.id) is None
    assert kept.files() == []
    assert kept.catalog.entries() == []
    assert list((kept.catalog.folder / "predictions").iterdir()) == []
    assert kept.ask("SELECT count(*) FROM predictions") == [(0,)]


def test_file_that_was_struck_out_and_not_removed_goes_with_the_next_pass(kept: Kept) -> None:
    """As if killed between the two."""
    kept.write([prediction(1)])
    (entry,) = kept.compaction.run()
    kept.remove_segments()
    struck = msgspec.structs.replace(entry, files=(), removed=(entry.files[0].path,))
    kept.catalog.publish(struck)
    retention(kept, Rules()).run()
    assert kept.files() == []
    assert kept.catalog.entries() == []


def test_half_removed_segment_is_not_archived_again(kept: Kept) -> None:
    kept.write([prediction(1), prediction(2, at=clock.epoch_us())])
    kept.compaction.run()
    kept.remove_segments()
    task = retention(kept, Rules(ledger_days=1, archive_days=1))
    assert [d.name.split("/")[1] for d in task.run()] == ["day=2026-01-01"]
    (entry,) = kept.catalog.entries()
    assert (len(entry.files), len(entry.removed)) == (1, 1)
    assert kept.ask("SELECT count(*) FROM predictions") == [(1,)]


def test_decisions_are_in_words() -> None:
    decision = Decision("segment", "x/1", 10, 0, goes=False, reason="it is not archived yet")
    assert totals([decision]) == (0, 0)
    assert totals([decision, msgspec.structs.replace(decision, goes=True)]) == (1, 10)
