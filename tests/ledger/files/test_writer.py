import contextlib
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.ledger.conftest import prediction

from serinus.errors import InvalidInput, Unavailable
from serinus.ledger import frames, ids
from serinus.ledger.files import segments
from serinus.ledger.files.reader import Reader
from serinus.ledger.files.repair import repair
from serinus.ledger.files.writer import Writer


@pytest.mark.parametrize("sync", ["os", "disk"])
def test_writer_ids_are_addresses(tmp_path, events, sync):
    writer = Writer(tmp_path, segment_bytes=1_000, sync=sync)
    made = [id for start in range(0, 100, 7) for id in writer.append(events[start : start + 7])]
    writer.close()
    reader = Reader(tmp_path)
    assert made == sorted(made)
    assert [reader.lookup(id) for id in made] == events
    assert {ids.unpack(id).writer for id in made} == {writer.name}


def test_writer_begins_a_new_segment(tmp_path, events):
    writer = Writer(tmp_path, segment_bytes=1_000)
    for event in events:
        writer.append([event])
    numbers = segments.numbers(tmp_path, writer.name)
    writer.close()
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 3
    assert all(segments.size(tmp_path, writer.name, number) < 1_100 for number in numbers)


def test_writer_in_a_read_only_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable) as caught:
        Writer(tmp_path / "file" / "ledger", segment_bytes=1_000)
    assert str(tmp_path) in str(caught.value)


def test_writer_refuses_an_event_beyond_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(frames, "MAX_PAYLOAD", 1_000)
    writer = Writer(tmp_path, segment_bytes=10_000)
    with pytest.raises(InvalidInput):
        writer.append([prediction(1), prediction(2, features=("x" * 2_000,))])
    assert Reader(tmp_path).read({}, 10).records == []
    writer.close()


def test_writer_on_a_full_disk_leaves_nothing_half_written(tmp_path):
    """A real ENOSPC-like refusal: the kernel's file size limit stops the write in its middle."""
    script = """
import resource, signal, sys
from pathlib import Path
from serinus import wire
from serinus.errors import Unavailable
from serinus.ledger.files.writer import Writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = Writer(Path(sys.argv[1]), segment_bytes=1_000_000)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, resource.RLIM_INFINITY))
made = wire.Assignment("m", wire.Arm.CHAMPION, 0.0, 1)
def event(n): return wire.Prediction(n, made, "1", ("x" * 100,), wire.Output(1), 1)
good = 0
for n in range(100):
    try:
        writer.append([event(n), event(n)])
        good += 2
    except Unavailable:
        break
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.append([event(1000)])
print(good + 1)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    batch = Reader(tmp_path).read({}, 1_000)
    assert len(batch.records) == int(done.stdout)
    assert batch.records[-1].event.at == 1000
    assert batch.damaged_bytes == 0


def test_writer_takes_back_what_it_could_not_at_once(tmp_path, monkeypatch):
    """Half a buffer is written, and for a while not even that can be undone."""
    writer = Writer(tmp_path, segment_bytes=10_000)
    first = writer.append([prediction(1)])
    path = segments.path(tmp_path, writer.name, 0)
    size, write = path.stat().st_size, os.write
    steps = iter((lambda file, data: write(file, data[: len(data) // 2]), refuse))

    def write_half(file, data):
        return next(steps)(file, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write_half)
        patch.setattr(os, "ftruncate", refuse)
        with pytest.raises(Unavailable):
            writer.append([prediction(2), prediction(3)])
        assert path.stat().st_size > size
        with pytest.raises(Unavailable):
            writer.append([prediction(4)])
    second = writer.append([prediction(5)])
    assert path.stat().st_size == size
    writer.close()
    assert [record.id for record in Reader(tmp_path).read({}, 10).records] == first + second
    # A reader may have seen half of what was taken back: no other bytes are ever put there.
    assert ids.unpack(second[0]).segment == 1


def refuse(*_):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("sync", ["os", "disk"])
def test_writer_on_a_full_disk_recovers_by_itself(small_disk, sync):
    folder, ballast = small_disk / "ledger", small_disk / "ballast"
    writer = Writer(folder, segment_bytes=20_000, sync=sync)
    reader, made, refused = Reader(folder), [], 0
    for turn in range(3):
        ballast.write_bytes(bytes(120_000 - 40_000 * turn))
        with pytest.raises(Unavailable, match="No space left"):
            fill(writer, made)
        for _ in range(50):
            try:
                made += writer.append([prediction(2, features=("y" * 2_000,))])
            except Unavailable:
                refused += 1
        assert [record.id for record in read_all(reader)] == made
        ballast.unlink()
        made += writer.append([prediction(number) for number in range(5)])
    assert refused > 100
    records = read_all(reader)
    assert [record.id for record in records] == made
    assert reader.lookup_many(made) == [record.event for record in records]
    # Trying again and again does not fill the folder with empty segments.
    assert len(segments.numbers(folder, writer.name)) < 25
    writer.close()


def fill(writer, made):
    while True:
        made += writer.append([prediction(number, features=("x" * 700,)) for number in range(20)])


def test_writer_that_cannot_begin_leaves_nothing_open(small_disk):
    (small_disk / "ballast").write_bytes(bytes(150_000))
    with contextlib.suppress(OSError):
        (small_disk / "rest").write_bytes(bytes(200_000))
    for number in range(5_000):
        try:
            (small_disk / f"{number}").touch()
        except OSError:
            break
    open_files = Path("/proc/self/fd")
    before = len(list(open_files.iterdir()))
    with pytest.raises(Unavailable):
        Writer(small_disk / "ledger", segment_bytes=20_000)
    assert len(list(open_files.iterdir())) == before


def read_all(reader):
    offsets, records = {}, []
    while (batch := reader.read(offsets, 100)).records or batch.offsets != offsets:
        assert batch.damaged_bytes == 0
        offsets = batch.offsets
        records += batch.records
    return records


def test_writer_killed_loses_nothing_acknowledged(tmp_path):
    script = """
import sys
from pathlib import Path
from serinus import wire
from serinus.ledger.files.writer import Writer
writer = Writer(Path(sys.argv[1]), segment_bytes=50_000)
made = wire.Assignment("m", wire.Arm.CHAMPION, 0.0, 1)
n = 0
while True:
    batch = [wire.Prediction(n + i, made, "1", (0.5,) * 30, wire.Output(1), 1) for i in range(20)]
    n += 20
    for id in writer.append(batch):
        sys.stdout.write(id.hex() + "\\n")
    sys.stdout.flush()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        acknowledged = [process.stdout.readline().strip() for _ in range(3_000)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
    repair(tmp_path)
    reader = Reader(tmp_path)
    seen = {record.id.hex() for record in reader.scan()}
    whole = [text for text in acknowledged if len(text) == 32]
    assert len(whole) >= 3_000
    assert set(whole) <= seen
    assert all(reader.lookup(ids.decode(text)) is not None for text in whole[:50])


@pytest.mark.parametrize("value", ["\ud800", 2**64])
def test_writer_refuses_what_cannot_be_packed(tmp_path, value):
    writer = Writer(tmp_path, segment_bytes=10**6)
    good = prediction(0)
    with pytest.raises(InvalidInput, match="cannot be packed"):
        writer.append([good, prediction(1, features=(value,))])
    assert list(Reader(tmp_path).scan()) == []
    assert len(writer.append([good])) == 1
    writer.close()
