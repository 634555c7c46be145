"""What both kinds of ledger promise, proved of both: real files, a real server."""

import signal
import subprocess
import sys
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ledger.conftest import prediction, predictions, read_all

from serinus import wire
from serinus.errors import InvalidInput, NotFound
from serinus.ledger import ids
from serinus.ledger.opening import open_reader, open_writer, prepare
from serinus.ledger.types import Offset


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(predictions(), min_size=1, max_size=5), max_size=6), st.integers(1, 9))
def test_ledger_gives_back_what_its_writers_were_given(ledger, batches, limit):
    writers = [ledger.writer(segment_bytes=300) for _ in range(2)]
    known = {writer.name: [] for writer in writers}
    for index, events in enumerate(batches):
        writer = writers[index % 2]
        known[writer.name] += zip(writer.append(events), events, strict=True)
    reader = ledger.reader()
    found = {name: [] for name in known}
    for record in read_all(reader, limit):
        if (name := ids.unpack(record.id).writer) in found:
            found[name].append((record.id, record.event))
    assert found == known
    for one in known.values():
        assert reader.lookup_many([id for id, _ in one]) == [event for _, event in one]
    for writer in writers:
        writer.close()


def test_ledger_that_is_empty(ledger):
    reader = ledger.reader()
    batch = reader.read({}, 10)
    assert (batch.records, batch.offsets, batch.complete) == ([], {}, True)
    assert reader.lookup(bytes(16)) is None
    assert reader.lookup_many([]) == []
    assert list(reader.scan()) == []
    assert reader.read({"00000000": Offset(3, 4)}, 1).offsets == {"00000000": Offset(3, 4)}


def test_ledger_ids_are_addresses_in_the_order_of_writing(ledger, events):
    writer = ledger.writer(segment_bytes=1_000)
    made = writer.append(events[:40]) + writer.append(events[40:])
    assert made == sorted(made)
    assert {ids.unpack(id).writer for id in made} == {writer.name}
    assert ids.unpack(made[40])[1:3] == (ids.unpack(made[0]).segment + 1, 0)
    assert writer.append([]) == []


def test_ledger_takes_all_of_an_append_or_nothing(ledger, events):
    writer = ledger.writer()
    for bad in ("\ud800", "x" * (1 << 26)):
        with pytest.raises(InvalidInput):
            writer.append([*events, prediction(1, features=(bad,)), *events])
    assert ledger.reader().read({}, 10).records == []
    made = writer.append(events)
    assert [record.id for record in read_all(ledger.reader())] == made


def test_ledger_takes_large_and_odd_events(ledger):
    odd = [
        prediction(0, features=()),
        prediction(-1, features=("", "\x00", "\U0001f600" * 100, -(2**63), 2**64 - 1, 1e-320)),
        prediction(2**62, features=(None, True, float("inf"))),
        prediction(3, features=("x" * 9_000_000,)),
        prediction(4, features=tuple(range(50_000))),
        wire.Failure(5, wire.Assignment("", wire.Arm.SHADOW, 1.0, 0), "", "", 0),
        wire.WorkerStatus(6, "w", 1, (), {"m@1": "why\n" * 100}),
    ]
    writer = ledger.writer()
    made = [*writer.append(odd), *(id for event in odd for id in writer.append([event]))]
    reader = ledger.reader()
    for limit in (1, 3, 1_000):
        records = read_all(reader, limit)
        assert [record.id for record in records] == made
        assert [record.event for record in records] == odd * 2
    assert reader.lookup_many(made) == odd * 2


def test_ledger_reads_each_writer_in_order_and_none_waits(ledger):
    busy, quiet = ledger.writer(), ledger.writer()
    busy.append([prediction(number) for number in range(1_000)])
    quiet.append([prediction(7)])
    reader = ledger.reader()
    batch = reader.read({}, 10)
    names = [ids.unpack(record.id).writer for record in batch.records]
    # By writer, as a replay reads the same stretches again.
    assert names == sorted(names)
    assert set(names) == {busy.name, quiet.name}
    assert not batch.complete
    rest = reader.read(batch.offsets, 5_000)
    assert rest.complete
    assert len(batch.records) + len(rest.records) == 1_001


def test_ledger_offsets_go_on_in_another_reader(ledger, events):
    writer = ledger.writer(segment_bytes=700)
    made, offsets, seen = [], {}, []
    for start in range(0, 100, 10):
        made += writer.append(events[start : start + 10])
        batch = ledger.reader().read(offsets, 7)
        offsets = batch.offsets
        seen += batch.records
    seen += read_all(ledger.reader(), 9, offsets)
    assert [record.id for record in seen] == made


def test_ledger_beside_writers_shows_each_record_once(ledger):
    finished, made = threading.Event(), {}

    def write(writer):
        mine = made.setdefault(writer.name, [])
        for start in range(0, 600, 5):
            mine.extend(writer.append([prediction(n) for n in range(start, start + 5)]))

    threads = [threading.Thread(target=write, args=(ledger.writer(9_000),)) for _ in range(3)]
    ending = threading.Thread(target=lambda: ([one.join() for one in threads], finished.set()))
    for thread in [*threads, ending]:
        thread.start()
    reader, offsets, seen = ledger.reader(), {}, {}
    while True:
        last = finished.is_set()
        batch = reader.read(offsets, 333)
        assert batch.damaged_bytes == 0
        for record in batch.records:
            seen.setdefault(ids.unpack(record.id).writer, []).append(record.id)
        offsets = batch.offsets
        if last and not batch.records:
            break
    ending.join()
    assert seen == made


_WRITE_FOR_EVER = """
import sys
from pathlib import Path
from serinus import wire
from serinus.ledger.opening import open_writer
address = sys.argv[1] if "://" in sys.argv[1] else Path(sys.argv[1])
writer = open_writer(address, segment_bytes=50_000)
made = wire.Assignment("m", wire.Arm.CHAMPION, 0.0, 1)
n = 0
while True:
    batch = [wire.Prediction(n + i, made, "1", (0.5,) * 30, wire.Output(1), 1) for i in range(20)]
    n += 20
    for id in writer.append(batch):
        sys.stdout.write(id.hex() + "\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("lines", [1, 333, 2_000])
def test_ledger_of_a_killed_writer_has_all_that_it_acknowledged(ledger, lines):
    command = [sys.executable, "-c", _WRITE_FOR_EVER, str(ledger.address)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        told = [child.stdout.readline() for _ in range(lines)]
        child.send_signal(signal.SIGKILL)
        told += child.stdout.readlines()
    acknowledged = [bytes.fromhex(line) for line in told if len(line) == 33]
    reader = ledger.reader()
    before = read_all(reader, 500)
    assert [record.id for record in before][: len(acknowledged)] == acknowledged
    [name] = {ids.unpack(record.id).writer for record in before}
    ledger.let_die(name)
    prepare(ledger.address)
    after = read_all(ledger.reader(), 500)
    assert after == before
    assert [record.event.at for record in after] == list(range(len(after)))
    events = [record.event for record in after[: len(acknowledged)]]
    assert reader.lookup_many(acknowledged) == events


def test_ledger_of_a_living_writer_is_left_alone(ledger, events):
    writer = ledger.writer()
    made = writer.append(events[:50])
    assert prepare(ledger.address) == 0
    name = writer.name
    made += writer.append(events[50:])
    assert writer.name == name
    assert [record.id for record in read_all(ledger.reader())] == made


def test_ledger_of_a_closed_writer_is_read_to_its_end(ledger, events):
    writer, other = ledger.writer(), ledger.writer()
    made = writer.append(events)
    writer.close()
    writer.close()
    reader = ledger.reader()
    first = reader.read({}, 30)
    rest = reader.read(first.offsets, 1_000)
    assert [record.id for record in [*first.records, *rest.records]] == made
    again = reader.read(rest.offsets, 1_000)
    assert (again.records, again.offsets) == ([], rest.offsets)
    assert [record.id for record in read_all(reader)] == made
    late = other.append(events[:1])
    assert [record.id for record in reader.read(rest.offsets, 10).records] == late


def test_ledger_finds_nothing_for_unknown_and_forged_ids(ledger, events):
    writer = ledger.writer(segment_bytes=2_000)
    made = [id for event in events for id in writer.append([event])]
    reader = ledger.reader()
    real = made[3]
    at = ids.unpack(real)
    raw = bytes.fromhex(at.writer)
    forged = [
        bytes(16),
        b"\xff" * 16,
        ids.pack(raw, at.segment, at.offset, at.crc ^ 1),
        ids.pack(raw, at.segment, at.offset + 1, at.crc),
        ids.pack(raw, at.segment, 0xFFFF_FFFF, at.crc),
        ids.pack(raw, at.segment + 1, at.offset, at.crc),
        ids.pack(raw, 0xFFFF_FFFF, at.offset, at.crc),
        ids.pack(b"\0\0\0\0", at.segment, at.offset, at.crc),
    ]
    for id in forged:
        assert reader.lookup(id) is None
    # Among others, in any order, more than once: each has its own answer.
    wanted = [*forged, real, *reversed(made), *forged, real]
    assert reader.lookup_many(wanted) == (
        [None] * len(forged) + [events[3], *reversed(events)] + [None] * len(forged) + [events[3]]
    )
    with pytest.raises(InvalidInput):
        reader.lookup_many([real, b"short"])


@pytest.mark.parametrize("limit", [1, 17, 400])
def test_ledger_reads_stretches_again_as_they_were(ledger, limit):
    writer = ledger.writer(segment_bytes=2_000)
    for start in range(0, 300, 25):
        writer.append([prediction(number) for number in range(start, start + 25)])
    reader, offsets, seen = ledger.reader(), {}, []
    while (batch := reader.read(offsets, limit)).records:
        start = offsets.get(writer.name, Offset(0, 0))
        end = batch.offsets[writer.name]
        assert reader.between(writer.name, start, end) == batch.records
        assert reader.between(writer.name, end, end) == []
        seen += batch.records
        offsets = batch.offsets
    assert len(seen) == 300
    assert reader.between(writer.name, Offset(0, 0), offsets[writer.name]) == seen


def test_ledger_goes_on_behind_segments_that_retention_took(ledger):
    writer = ledger.writer(segment_bytes=200)
    made = [id for number in range(20) for id in writer.append([prediction(number)])]
    numbers = sorted({ids.unpack(id).segment for id in made})
    reader = ledger.reader()
    early = reader.read({}, 2)
    end = Offset(numbers[3], 0)
    whole = reader.between(writer.name, early.offsets[writer.name], last_of(reader, writer))
    assert len(whole) == 18
    for number in numbers[:3]:
        ledger.remove_segment(writer.name, number)
        ledger.remove_segment(writer.name, 99)
    left = [id for id in made if ids.unpack(id).segment >= end.segment]
    for offsets in ({}, early.offsets):
        assert [record.id for record in read_all(ledger.reader(), 3, offsets)] == left
    assert reader.lookup_many(made) == [None] * (20 - len(left)) + [
        prediction(number) for number in range(20 - len(left), 20)
    ]
    for start in (Offset(0, 0), early.offsets[writer.name]):
        with pytest.raises(NotFound, match="not there any more"):
            reader.between(writer.name, start, last_of(reader, writer))


@pytest.mark.parametrize("holes", [{1}, {2, 3}, {0, 2, 4}, {1, 2, 3, 4}])
def test_ledger_goes_on_behind_holes(ledger, holes):
    writer = ledger.writer(segment_bytes=200)
    made = [id for number in range(20) for id in writer.append([prediction(number)])]
    numbers = sorted({ids.unpack(id).segment for id in made})
    gone = {numbers[place] for place in holes}
    followed = ledger.reader()
    early = followed.read({}, 2)
    for number in gone:
        ledger.remove_segment(writer.name, number)
    left = [id for id in made if ids.unpack(id).segment not in gone]
    unread = [id for id in left if id > early.records[-1].id]
    assert [record.id for record in read_all(ledger.reader(), 3)] == left
    assert [record.id for record in ledger.reader().scan()] == left
    assert [record.id for record in read_all(followed, 3, early.offsets)] == unread
    offsets = {writer.name: last_of(ledger.reader(), writer)}
    assert followed.read(offsets, 9).records == []
    late = writer.append([prediction(20)])
    assert [record.id for record in followed.read(offsets, 9).records] == late
    writer.close()
    assert [record.id for record in read_all(ledger.reader(), 3)] == left + late


def last_of(reader, writer):
    offsets = {}
    while (batch := reader.read(offsets, 100)).records:
        offsets = batch.offsets
    return offsets[writer.name]


def test_ledger_passes_damage_and_counts_it(ledger):
    writer = ledger.writer()
    made = writer.append([prediction(number) for number in range(6)])
    size = ids.unpack(made[3]).offset - ids.unpack(made[2]).offset
    ledger.damage(made[2])
    reader = ledger.reader()
    offsets, records, damaged = {}, [], 0
    for _ in range(9):
        batch = reader.read(offsets, 2)
        records, damaged, offsets = (
            records + batch.records,
            damaged + batch.damaged_bytes,
            batch.offsets,
        )
    assert [record.id for record in records] == [*made[:2], *made[3:]]
    assert damaged == size
    assert reader.lookup_many(made)[2] is None
    assert reader.lookup_many(made).count(None) == 1


def test_ledger_scan_selects_model_and_time(ledger):
    writer = ledger.writer(segment_bytes=200)
    writer.append([wire.WorkerStatus(5, writer.name, 1, (), {})])
    for number in range(10):
        writer.append([prediction(number), prediction(number, model="churn")])
    reader = ledger.reader()
    assert len(list(reader.scan())) == 21
    assert [record.event.at for record in reader.scan("churn", 6)] == [6, 7, 8, 9]


def test_ledger_of_several_hosts_is_one(ledger, events):
    """What one gateway predicted, the feedback of any other finds: each has its own connection."""
    hosts = [(ledger.writer(), ledger.reader()) for _ in range(3)]
    made = [id for writer, _ in hosts for id in writer.append(events)]
    for _, reader in hosts:
        assert reader.lookup_many(made) == events * 3
        assert [reader.lookup(id) for id in made[:300:99]] == [
            events[0],
            events[99],
            events[98],
            events[97],
        ]


@pytest.mark.parametrize("sync", ["os", "disk"])
def test_ledger_writer_can_be_made_sure_of(ledger, events, sync):
    writer = ledger.writer(sync=sync)
    made = writer.append(events)
    writer.sync()
    assert [record.id for record in read_all(ledger.reader())] == made


def test_ledger_address_of_no_kind_is_refused():
    for address in ("postgres://host/db", "ledger", "redis:host"):
        for open_one in (open_reader, prepare, lambda it: open_writer(it, segment_bytes=1)):
            with pytest.raises(InvalidInput, match="no kind of ledger"):
                open_one(address)
