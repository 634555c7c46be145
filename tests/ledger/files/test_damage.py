"""Any bytes at all in a segment: nothing is raised, nothing invented, and it comes to an end."""

import random
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.conftest import prediction

from serinus.errors import NotFound
from serinus.ledger import frames, ids
from serinus.ledger.files import segments
from serinus.ledger.files.reader import Reader
from serinus.ledger.files.repair import repair
from serinus.ledger.files.writer import Writer
from serinus.ledger.types import Offset

NAME = "0a0b0c0d"
MUTATION_SECONDS = 3.0


def ledger_of(folder, *contents, closed=True):
    (folder / NAME).mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(contents):
        segments.path(folder, NAME, number).write_bytes(content)
    (folder / NAME / segments.CLOSED).unlink(missing_ok=True)
    if closed:
        (folder / NAME / segments.CLOSED).touch()


def drained(folder, limit=9):
    """Everything that is read, and the bytes passed over; fails if that does not end."""
    reader, offsets, records, damaged = Reader(folder), {}, [], 0
    size = sum(segments.size(folder, NAME, n) for n in segments.numbers(folder, NAME))
    for _ in range(size + 10):
        batch = reader.read(offsets, limit)
        records += batch.records
        damaged += batch.damaged_bytes
        if batch.offsets == offsets and not batch.records:
            return reader, offsets, records, damaged
        assert batch.offsets != offsets
        offsets = batch.offsets
    raise AssertionError("the reader goes on and on")


def held_to_its_word(folder, originals, *, closed):
    """Read, look up, read again and repair; all events must be among the originals."""
    reader, offsets, records, _ = drained(folder)
    assert all(record.event in originals for record in records)
    assert reader.lookup_many([record.id for record in records]) == [r.event for r in records]
    again = reader.between(NAME, Offset(0, 0), offsets.get(NAME, Offset(0, 0)))
    # What a living writer may still be writing is waited for, not passed.
    assert again == records
    if not closed:
        repair(folder)
        # What was waited for turned out to be damage, and there may be more behind it.
        assert set(ids_of(records)) <= set(ids_of(drained(folder)[2]))
    return records


def ids_of(records):
    return [record.id for record in records]


@settings(max_examples=150)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=3), st.booleans(), st.data())
def test_damage_of_every_byte(tmp_path_factory, contents, closed, data):
    folder = tmp_path_factory.mktemp("ledger")
    ledger_of(folder, *contents, closed=closed)
    assert held_to_its_word(folder, [], closed=closed) == []
    offset = data.draw(st.integers(0, 2**32 - 1) | st.integers(0, 300))
    crc = data.draw(st.integers(0, 2**32 - 1))
    id = ids.pack(bytes.fromhex(NAME), data.draw(st.integers(0, 3)), offset, crc)
    assert Reader(folder).lookup(id) is None


@settings(max_examples=150)
@given(st.binary(max_size=60), st.integers(0, 2**32 - 1), st.binary(max_size=200), st.booleans())
def test_damage_before_whole_records_costs_only_itself(
    tmp_path_factory, junk, length, rest, closed
):
    """A header of any length, with anything before and behind it."""
    folder = tmp_path_factory.mktemp("ledger")
    writer = Writer(folder / "whole", segment_bytes=10**6)
    events = [prediction(number) for number in range(5)]
    writer.append(events)
    whole = segments.path(folder / "whole", writer.name, 0).read_bytes()
    writer.close()
    damage = junk + length.to_bytes(4, "big") + rest
    ledger_of(folder, damage + whole, b"", closed=closed)
    records = held_to_its_word(folder, events, closed=closed)
    assert [record.event for record in records] == events


def mutated(content, chance):
    data = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(data) + 1)
        end = min(start + chance.choice((1, 2, 4, 8, 60, 500)), len(data))
        kind = chance.randrange(7)
        if kind == 0:
            data[start:end] = bytes(end - start)
        elif kind == 1:
            data[start:end] = chance.randbytes(end - start)
        elif kind == 2:
            del data[start:end]
        elif kind == 3:
            data[start:start] = chance.randbytes(end - start)
        elif kind == 4:
            data[start:start] = data[start:end]
        elif kind == 5:
            del data[start:]
        elif start < len(data):
            data[start] ^= 1 << chance.randrange(8)
    return bytes(data)


@pytest.mark.parametrize("seed", [1, 2])
def test_damage_by_chance_invents_nothing(tmp_path, seed):
    writer = Writer(tmp_path / "whole", segment_bytes=2_500)
    events = [prediction(n, features=("text" * (n % 9), n, None, 0.5)) for n in range(60)]
    for start in range(0, 60, 6):
        writer.append(events[start : start + 6])
    numbers = segments.numbers(tmp_path / "whole", writer.name)
    whole = [segments.path(tmp_path / "whole", writer.name, n).read_bytes() for n in numbers]
    writer.close()
    chance, rounds, kept = random.Random(seed), 0, 0
    deadline = time.monotonic() + MUTATION_SECONDS
    while time.monotonic() < deadline or rounds < 20:
        contents = [mutated(one, chance) if chance.random() < 0.7 else one for one in whole]
        closed = chance.random() < 0.5
        ledger_of(tmp_path / "bad", *contents, closed=closed)
        kept += len(held_to_its_word(tmp_path / "bad", events, closed=closed))
        rounds += 1
    # Most of it is whole, and most of what is whole is found.
    assert kept > 20 * rounds


def peak_of(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_damage_of_a_length_costs_no_memory(tmp_path):
    """64 MB announced, a hundred bytes there."""
    content = frames.MAX_PAYLOAD.to_bytes(4, "big") + bytes(100)
    ledger_of(tmp_path, content, closed=False)
    id = ids.pack(bytes.fromhex(NAME), 0, 0, 0)
    reader = Reader(tmp_path)
    assert peak_of(lambda: reader.lookup_many([id, id])) < 1 << 20
    assert peak_of(lambda: reader.read({}, 1)) < 1 << 20
    assert peak_of(lambda: drained(tmp_path)) < 1 << 20


@pytest.mark.parametrize(
    "unit",
    [b"\x00", b"\x01", b"\x00\x01", b"\x00\x00\x00\x05", b"\x00\x0f\xff\xff", b"\x03\xff\xff\xff"],
)
def test_damage_that_looks_like_frames_is_not_searched_for_ever(tmp_path, unit):
    size = 6 << 20
    ledger_of(tmp_path, (unit * (size // len(unit)))[:size])
    begun = time.process_time()
    _, offsets, records, damaged = drained(tmp_path)
    assert time.process_time() - begun < 20
    assert (records, damaged) == ([], size)
    assert offsets[NAME] == Offset(0, size)


def test_damage_larger_than_what_is_read_at_once(tmp_path):
    """Records behind megabytes of damage are found, across the borders of what is read."""
    writer = Writer(tmp_path / "whole", segment_bytes=10**6)
    writer.append([prediction(number, features=("x" * 900_000,)) for number in range(2)])
    whole = segments.path(tmp_path / "whole", writer.name, 0).read_bytes()
    writer.close()
    for before in ((4 << 20) - 7, (4 << 20) - 500_000, (9 << 20) + 3):
        ledger_of(tmp_path, random.Random(1).randbytes(before) + whole)
        assert [record.event.at for record in drained(tmp_path)[2]] == [0, 1]


def test_damage_of_a_segment_that_is_missing(tmp_path):
    ledger_of(tmp_path, b"", b"", b"")
    segments.path(tmp_path, NAME, 1).unlink()
    drained(tmp_path)
    with pytest.raises(NotFound):
        Reader(tmp_path).between(NAME, Offset(0, 0), Offset(2, 1))
