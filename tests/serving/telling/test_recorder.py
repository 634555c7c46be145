import asyncio
import threading
import time

import pytest
from tests.serving import scripted

from serinus.errors import InvalidInput, SerinusError, Unavailable
from serinus.ledger import frames
from serinus.ledger.files.reader import Reader
from serinus.ledger.files.writer import Writer
from serinus.serving.telling.counters import Counters
from serinus.serving.telling.recorder import Recorder
from serinus.wire import Failure, Output, Prediction


def recorder_of(writer, counters, **more):
    return Recorder(writer, counters, asyncio.get_running_loop(), **more)


def settled_rows(live, count):
    rows = [scripted.row(live) for _ in range(count)]
    for row in rows:
        row.answered_by = live.champion
        row.output = Output(1)
    return rows


def test_recorder_wakes_requests_once_their_events_are_in_the_ledger(tmp_path):
    async def scenario():
        writer = Writer(tmp_path, segment_bytes=10**6)
        live = scripted.live_route(scripted.lane("1", scripted.saying(1)))
        rows = settled_rows(live, 3)
        rows[1].output, rows[1].failure, rows[1].fallback = None, "broken", "first"
        recorder_of(writer, Counters()).record(rows)
        assert all(row.ticket.is_over for row in rows)
        found = {record.id: record.event for record in Reader(tmp_path).scan()}
        assert [type(found[row.id]) for row in rows] == [Prediction, Failure, Prediction]
        assert (found[rows[1].id].reason, found[rows[1].id].fallback) == ("broken", "first")
        assert all(found[row.id].features == row.features for row in rows)
        writer.close()

    asyncio.run(scenario())


def test_recorder_of_a_ledger_that_refuses_answers_nobody(tmp_path):
    class Full:
        is_quick = True
        refuses = True

        def append(self, events):
            if self.refuses:
                raise Unavailable("the ledger cannot be written (No space left on device)")
            return [bytes(16)] * len(events)

    async def scenario():
        full, counters = Full(), Counters()
        recorder = recorder_of(full, counters)
        live = scripted.live_route(scripted.lane("1", scripted.saying(1)))
        rows = settled_rows(live, 2)
        recorder.record(rows)
        assert all(isinstance(row.error, SerinusError) and not row.id for row in rows)
        assert all(row.ticket.is_over for row in rows)
        assert recorder.error is not None
        assert counters.counts().ledger_errors == 1
        assert counters.counts().tallies == []
        full.refuses = False
        recorder.record(settled_rows(live, 1))
        assert recorder.error is None

    asyncio.run(scenario())


@pytest.mark.parametrize("value", ["\ud800", 2**64, "x" * 5_000])
def test_recorder_refuses_only_the_row_that_cannot_be_written(tmp_path, monkeypatch, value):
    monkeypatch.setattr(frames, "MAX_PAYLOAD", 4_000)

    async def scenario():
        writer = Writer(tmp_path, segment_bytes=10**6)
        counters = Counters()
        recorder = recorder_of(writer, counters)
        live = scripted.live_route(scripted.lane("1", scripted.saying(1)))
        rows = settled_rows(live, 9)
        rows[4].features = (value, 0.0, 0.0, 0.0)
        recorder.record(rows)
        assert all(row.ticket.is_over for row in rows)
        assert isinstance(rows[4].error, InvalidInput)
        good = [row for row in rows if row is not rows[4]]
        assert {record.id for record in Reader(tmp_path).scan()} == {row.id for row in good}
        assert [row.error for row in good] == [None] * 8
        # It was the row's fault: the worker is still ready.
        assert recorder.error is None
        assert counters.ledger_errors == 0
        writer.close()

    asyncio.run(scenario())


def test_recorder_wakes_everybody_whatever_happens():
    class Broken:
        is_quick = True

        def append(self, events):
            raise RuntimeError("a fault of our own")

    class Miscounting:
        is_quick = True

        def append(self, events):
            return [bytes(16)] * (len(events) - 1)

    async def scenario():
        live = scripted.live_route(scripted.lane("1", scripted.saying(1)))
        for writer in (Broken(), Miscounting()):
            rows = settled_rows(live, 3)
            recorder_of(writer, Counters()).record(rows)
            assert all(row.ticket.is_over for row in rows)
            assert rows[2].error is not None

    asyncio.run(scenario())


def test_recorder_told_to_answer_all_the_same_counts_what_it_could_not_record():
    class Full:
        is_quick = True

        def append(self, events):
            raise Unavailable("the ledger cannot be written (No space left on device)")

    async def scenario():
        counters = Counters()
        recorder = recorder_of(Full(), counters, answers_unrecorded=True)
        rows = settled_rows(scripted.live_route(scripted.lane("1", scripted.saying(1))), 3)
        recorder.record(rows)
        assert [(row.id, row.error) for row in rows] == [(b"", None)] * 3
        assert recorder.error is not None
        assert (counters.unrecorded, counters.ledger_errors) == (3, 1)
        assert sum(tally.success for tally in counters.counts().tallies) == 3

    asyncio.run(scenario())


def test_recorder_of_a_slow_ledger_never_holds_the_loop_and_shares_its_writes(tmp_path):
    class Slow:
        is_quick = False

        def __init__(self):
            self.inner = Writer(tmp_path, segment_bytes=10**6)
            self.threads, self.writes = set(), []

        def append(self, events):
            self.threads.add(threading.current_thread())
            self.writes.append(len(events))
            time.sleep(0.05)
            return self.inner.append(events)

    async def scenario():
        slow = Slow()
        recorder = recorder_of(slow, Counters())
        live = scripted.live_route(scripted.lane("1", scripted.saying(1)))
        groups = [settled_rows(live, 2) for _ in range(5)]
        started = time.monotonic()
        for rows in groups:
            recorder.record(rows)
        assert time.monotonic() - started < 0.05
        assert not any(row.ticket.is_over for rows in groups for row in rows)
        every = [row for rows in groups for row in rows]
        while not all(row.ticket.is_over for row in every):
            await asyncio.sleep(0.001)
        assert slow.writes == [2, 8]
        assert threading.current_thread() not in slow.threads
        found = [record.id for record in Reader(tmp_path).scan()]
        assert found == [row.id for row in every]
        assert recorder.waiting == 0
        recorder.close()
        slow.inner.close()

    asyncio.run(scenario())
