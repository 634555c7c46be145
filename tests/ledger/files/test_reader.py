import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.conftest import prediction, predictions

from serinus import wire
from serinus.errors import NotFound
from serinus.ledger import ids
from serinus.ledger.files import segments
from serinus.ledger.files.reader import Reader
from serinus.ledger.files.writer import Writer
from serinus.ledger.types import Offset


def read_all(reader, limit=7):
    offsets, records = {}, []
    while (batch := reader.read(offsets, limit)).records or batch.offsets != offsets:
        offsets = batch.offsets
        records += batch.records
    return records


@settings(max_examples=40)
@given(st.lists(st.lists(predictions(), min_size=1, max_size=5), max_size=6), st.integers(1, 9))
def test_reader_reads_what_writers_append(tmp_path_factory, batches, limit):
    folder = tmp_path_factory.mktemp("ledger")
    writers = [Writer(folder, segment_bytes=300) for _ in range(2)]
    expected = {writer.name: [] for writer in writers}
    for index, events in enumerate(batches):
        writer = writers[index % 2]
        expected[writer.name] += zip(writer.append(events), events, strict=True)
    found = {name: [] for name in expected}
    for record in read_all(Reader(folder), limit):
        found[ids.unpack(record.id).writer].append((record.id, record.event))
    for writer in writers:
        writer.close()
    assert found == expected


def test_reader_of_a_missing_folder(tmp_path):
    batch = Reader(tmp_path / "none").read({}, 10)
    assert (batch.records, batch.offsets) == ([], {})
    assert Reader(tmp_path / "none").lookup(bytes(16)) is None


def test_reader_keeps_offsets_of_writers_that_are_gone(tmp_path):
    batch = Reader(tmp_path).read({"00000000": Offset(3, 4)}, 10)
    assert batch.offsets == {"00000000": Offset(3, 4)}


def test_reader_waits_for_the_rest_of_a_frame(tmp_path):
    writer = Writer(tmp_path, segment_bytes=10**6)
    writer.append([prediction(1), prediction(2)])
    path = segments.path(tmp_path, writer.name, 0)
    whole = path.read_bytes()
    reader, offsets, seen = Reader(tmp_path), {}, []
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        batch = reader.read(offsets, 10)
        seen += [record.event.at for record in batch.records]
        offsets = batch.offsets
    writer.close()
    assert seen == [1, 2]


def test_reader_beside_a_writer_sees_each_record_once(tmp_path):
    writer = Writer(tmp_path, segment_bytes=20_000)
    made, finished = [], threading.Event()

    def write():
        for start in range(0, 4_000, 10):
            made.extend(writer.append([prediction(n) for n in range(start, start + 10)]))
        finished.set()

    thread = threading.Thread(target=write)
    thread.start()
    reader, offsets, seen = Reader(tmp_path), {}, []
    while True:
        last = finished.is_set()
        batch = reader.read(offsets, 333)
        assert batch.damaged_bytes == 0
        seen += [record.id for record in batch.records]
        offsets = batch.offsets
        if last and not batch.records:
            break
    thread.join()
    writer.close()
    assert seen == made


def test_reader_steps_over_damage_in_the_middle(tmp_path):
    writer = Writer(tmp_path, segment_bytes=10**6)
    made = writer.append([prediction(n) for n in range(5)])
    path = segments.path(tmp_path, writer.name, 0)
    data = bytearray(path.read_bytes())
    data[ids.unpack(made[2]).offset + 12] ^= 0xFF
    path.write_bytes(data)
    reader = Reader(tmp_path)
    assert [record.id for record in read_all(reader)] == [*made[:2], *made[3:]]
    assert reader.lookup(made[2]) is None
    writer.close()


def test_reader_passes_the_torn_end_of_a_finished_segment(tmp_path):
    writer = Writer(tmp_path, segment_bytes=100)
    made = [id for n in range(6) for id in writer.append([prediction(n)])]
    path = segments.path(tmp_path, writer.name, 0)
    path.write_bytes(path.read_bytes()[:-3])
    lost = [id for id in made if ids.unpack(id).segment == 0][-1]
    assert [r.id for r in read_all(Reader(tmp_path))] == [id for id in made if id != lost]
    writer.close()


def test_reader_goes_on_behind_segments_that_retention_took(tmp_path):
    writer = Writer(tmp_path, segment_bytes=100)
    made = [id for n in range(8) for id in writer.append([prediction(n)])]
    for number in (0, 1):
        segments.path(tmp_path, writer.name, number).unlink()
    left = [id for id in made if ids.unpack(id).segment > 1]
    assert left
    assert [record.id for record in read_all(Reader(tmp_path))] == left
    writer.close()


def test_reader_skips_nothing_that_a_listing_does_not_show(tmp_path, monkeypatch):
    """A folder may be listed while two segments begin, and only the second be in the list."""
    writer = Writer(tmp_path, segment_bytes=100)
    made = [id for n in range(8) for id in writer.append([prediction(n)])]
    left = [id for id in made if ids.unpack(id).segment != 1]
    segments.path(tmp_path, writer.name, 1).unlink()
    numbers = segments.numbers
    monkeypatch.setattr(segments, "numbers", lambda *given: numbers(*given)[-1:])
    assert [record.id for record in read_all(Reader(tmp_path))] == left
    writer.close()


def test_reader_that_waits_lists_no_folder(tmp_path, monkeypatch):
    writer = Writer(tmp_path, segment_bytes=100)
    made = [id for n in range(3) for id in writer.append([prediction(n)])]
    reader = Reader(tmp_path)
    offsets = reader.read({}, 10).offsets
    listed = []
    numbers = segments.numbers
    monkeypatch.setattr(segments, "numbers", lambda *given: listed.append(1) or numbers(*given))
    for _ in range(3):
        assert reader.read(offsets, 10).records == []
    assert listed == []
    assert [record.id for record in reader.read({}, 10).records] == made
    writer.close()


def test_reader_serves_a_quiet_writer_beside_a_busy_one(tmp_path):
    busy, quiet = (Writer(tmp_path, segment_bytes=10**6) for _ in range(2))
    busy.append([prediction(n) for n in range(1_000)])
    quiet.append([prediction(7)])
    batch = Reader(tmp_path).read({}, 10)
    assert {ids.unpack(record.id).writer for record in batch.records} == {busy.name, quiet.name}
    assert len(batch.records) <= 10
    busy.close()
    quiet.close()


def test_reader_forgets_a_closed_writer_only_once_all_is_read(tmp_path, monkeypatch):
    writer = Writer(tmp_path, segment_bytes=10**6)
    writer.append([prediction(n) for n in range(10)])
    writer.close()
    reader = Reader(tmp_path)
    first = reader.read({}, 4)
    rest = reader.read(first.offsets, 100)
    assert len(first.records) + len(rest.records) == 10
    touched = []
    size = segments.size
    monkeypatch.setattr(segments, "size", lambda *given: touched.append(given) or size(*given))
    assert reader.read(rest.offsets, 100).records == []
    assert touched == []
    assert len(reader.read({}, 100).records) == 10


def test_reader_lookup_of_a_wrong_checksum_finds_nothing(tmp_path):
    writer = Writer(tmp_path, segment_bytes=10**6)
    [id] = writer.append([prediction(1)])
    reader = Reader(tmp_path)
    assert reader.lookup(id) == prediction(1)
    assert reader.lookup(id[:-1] + bytes([id[-1] ^ 1])) is None
    assert reader.lookup(id[:11] + b"\x05" + id[12:]) is None
    assert reader.lookup(bytes(16)) is None
    writer.close()


def test_reader_scan_selects_model_and_time(tmp_path):
    writer = Writer(tmp_path, segment_bytes=200)
    writer.append([wire.WorkerStatus(5, writer.name, 1, (), {})])
    for n in range(10):
        writer.append([prediction(n), prediction(n, model="churn")])
    reader = Reader(tmp_path)
    assert len(list(reader.scan())) == 21
    assert [record.event.at for record in reader.scan("churn", 6)] == [6, 7, 8, 9]
    writer.close()


def test_reader_reads_stretches_again_as_they_were(tmp_path):
    writer = Writer(tmp_path, segment_bytes=2_000)
    writer.append([prediction(number) for number in range(300)])
    reader, offsets, seen = Reader(tmp_path), {}, []
    while (batch := reader.read(offsets, 17)).records:
        start = offsets.get(writer.name, Offset(0, 0))
        again = reader.between(writer.name, start, batch.offsets[writer.name])
        assert again == batch.records
        seen += again
        offsets = batch.offsets
    writer.close()
    assert len(seen) == 300


def test_reader_says_that_a_segment_went_between_two_pieces_of_it(tmp_path, monkeypatch):
    writer = Writer(tmp_path, segment_bytes=1 << 20)
    writer.append([prediction(number) for number in range(300)])
    reader = Reader(tmp_path)
    end = reader.read({}, 1_000).offsets[writer.name]
    looked, read = [], reader._read_segment

    def removed_behind_the_first_piece(*args, **kwargs):
        if looked:
            segments.path(tmp_path, writer.name, 0).unlink()
        looked.append(args)
        return read(*args, **kwargs)

    monkeypatch.setattr(reader, "_read_segment", removed_behind_the_first_piece)
    # Fewer records a piece than there are, because these are smaller than usual ones.
    monkeypatch.setattr("serinus.ledger.files.reader._USUAL_FRAME", 1 << 10)
    with pytest.raises(NotFound, match="segment 0 of the log"):
        reader.between(writer.name, Offset(0, 0), end)
    assert len(looked) == 2
    writer.close()
