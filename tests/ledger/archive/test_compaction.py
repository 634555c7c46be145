from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet as pq
from tests.ledger.archive.conftest import DAY_US, START_US, Kept, events, label, prediction, same

from serinus import wire
from serinus.errors import NotFound, Unavailable
from serinus.ledger.archive import sources
from serinus.ledger.archive.catalog import WORK, Catalog
from serinus.ledger.archive.compaction import write_segment
from serinus.ledger.archive.parquet import GROUP_ROWS
from serinus.ledger.archive.rows import Kind
from serinus.ledger.archive.types import Segment
from serinus.ledger.opening import open_writer

BEGIN = """
import os, resource, signal, sys
import pandas  # pyarrow asks for it with the first array: not once for each fork
from pathlib import Path
from serinus import clock
from serinus.ledger.archive.catalog import Catalog
from serinus.ledger.archive.compaction import Compaction
from serinus.ledger.archive.sources import FileSegments

def compaction(archive):
    ledger = FileSegments(Path(sys.argv[1]) / "ledger")
    return Compaction(ledger, Catalog(archive), lambda *_: None)

home = Path(sys.argv[1])
"""
RUN = BEGIN + 'compaction(home / "archive").run()'
# Dies at the n-th touch of a file or folder: each attempt is a fork, since imports take longest.
DIE = (
    BEGIN
    + """
def attempt(n):
    left, place = n, f"/archive-{n}"
    def hook(_, given):
        nonlocal left
        if any(place in str(item) for item in given):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    task = compaction(home / f"archive-{n}")
    sys.addaudithook(hook)
    task.run()
    os._exit(0)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        attempt(int(line))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
)
TELL = (
    BEGIN
    + """
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before, start = peak(), clock.monotonic()
(entry,) = compaction(home / "archive").run()
print(entry.records, peak() - before, clock.monotonic() - start)
"""
)


def archived_ids(kept: Kept) -> Counter[str]:
    """How often each event is in the files that any engine would find."""
    counted: Counter[str] = Counter()
    for path in kept.catalog.folder.glob("*/day=*/*.parquet"):
        counted.update(pq.read_table(path).column(0).to_pylist())
    return counted


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(events, min_size=1, max_size=30))
def test_archive_gives_every_event_back(
    tmp_path_factory: pytest.TempPathFactory, given_events: list[wire.Event]
) -> None:
    kept = Kept(tmp_path_factory.mktemp("kept"))
    records = kept.write(given_events, segment_bytes=1_000)
    kept.compaction.run()
    found = kept.archive.lookup([record.id for record in records])
    assert all(same(a, record.event) for a, record in zip(found, records, strict=True))


def test_segments_are_archived_once(kept: Kept) -> None:
    records = kept.write([prediction(number) for number in range(100)], segment_bytes=4_000)
    entries = kept.compaction.run()
    assert len(entries) > 2
    assert sum(entry.records for entry in entries) == 100
    assert archived_ids(kept) == Counter(record.id.hex() for record in records)
    assert kept.compaction.run() == []


def test_unfinished_segment_waits(kept: Kept) -> None:
    writer = open_writer(kept.folder / "ledger", segment_bytes=1 << 20)
    writer.append([prediction(1)])
    assert kept.compaction.pending() == []
    writer.close()
    assert [entry.records for entry in kept.compaction.run()] == [1]


def test_rows_are_apart_by_kind_and_day(kept: Kept) -> None:
    records = kept.write([prediction(1), prediction(2, at=START_US + DAY_US)])
    kept.write([label(prediction(1), records[0].id, at=START_US + 3 * DAY_US)])
    kept.compaction.run()
    places = {path.relative_to(kept.catalog.folder).parent.as_posix() for path in kept.files()}
    assert places == {
        "predictions/day=2026-01-01",
        "predictions/day=2026-01-02",
        "labels/day=2026-01-04",
    }


def test_row_groups_hold_one_model_each(kept: Kept) -> None:
    kept.write([prediction(number, model=f"m{number % 3}") for number in range(300)])
    (entry,) = kept.compaction.run()
    metadata = pq.read_metadata(kept.catalog.folder / entry.files[0].path)
    place = metadata.schema.names.index("model")
    models = []
    for group in range(metadata.num_row_groups):
        bounds = metadata.row_group(group).column(place).statistics
        assert bounds.min == bounds.max
        models.append(bounds.min)
    assert models == ["m0", "m1", "m2"]


def test_empty_segment_is_archived_without_files(kept: Kept) -> None:
    open_writer(kept.folder / "ledger", segment_bytes=1_000).close()
    (entry,) = kept.compaction.run()
    assert (entry.records, entry.files) == (0, ())
    assert kept.compaction.pending() == []


def test_what_is_damaged_is_passed_and_the_rest_archived(kept: Kept) -> None:
    records = kept.write([prediction(number) for number in range(100)], by=100)
    (segment,) = kept.segments.listed()
    path = kept.folder / "ledger" / segment.writer / "00000000.log"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    (entry,) = kept.compaction.run()
    assert entry.records == 99
    assert set(archived_ids(kept)) < {record.id.hex() for record in records}


def test_segment_with_a_damage_larger_than_a_piece_ends(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_STRIDE", 500)
    records = kept.write([prediction(number) for number in range(200)], by=200)
    (segment,) = kept.segments.listed()
    path = kept.folder / "ledger" / segment.writer / "00000000.log"
    data = bytearray(path.read_bytes())
    data[3_000:9_000] = bytes(6_000)
    path.write_bytes(data)
    (entry,) = kept.compaction.run()
    assert 100 < entry.records < 200
    assert kept.archive.lookup([records[0].id, records[-1].id]) == [
        records[0].event,
        records[-1].event,
    ]


def test_record_larger_than_a_piece_is_archived(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_STRIDE", 100)
    large = wire.WorkerStatus(START_US, "w", 1, ("m@1",), {"m@2": "x" * 5_000})
    records = kept.write([prediction(1), large, large, prediction(2)])
    (entry,) = kept.compaction.run()
    assert entry.records == 4
    found = kept.archive.lookup([record.id for record in records])
    assert found == [record.event for record in records]


def test_one_lost_segment_keeps_no_other_waiting(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = kept.write([prediction(1)])
    second = kept.write([prediction(2)])
    lost = Segment("00000000", 0, 100, is_finished=True)
    listed = [lost, *kept.segments.listed()]
    monkeypatch.setattr(kept.segments, "listed", lambda: listed)
    with pytest.raises(NotFound, match="not there"):
        kept.compaction.run()
    assert set(archived_ids(kept)) == {record.id.hex() for record in first + second}


def test_pass_is_bounded_and_gets_ahead(kept: Kept) -> None:
    for number in range(3):
        kept.write([prediction(number)])
    assert [len(kept.compaction.run(seconds=0)) for _ in range(4)] == [1, 1, 1, 0]


def test_folder_that_cannot_be_written_is_told(kept: Kept) -> None:
    kept.write([prediction(1)])
    (kept.folder / "archive").write_text("a file")
    with pytest.raises(Unavailable, match="archive cannot be written"):
        kept.compaction.run()


def test_only_the_asked_kinds_are_written(kept: Kept, tmp_path: Path) -> None:
    records = kept.write([prediction(1)])
    kept.write([label(prediction(1), records[0].id, at=START_US)])
    written = [
        write_segment(
            kept.segments, segment, lambda *_: None, tmp_path / "out", kinds=[Kind.LABELS]
        ).files
        for segment in kept.segments.listed()
    ]
    assert [file.kind for files in written for file in files] == ["labels"]


def test_compaction_killed_at_any_touch_of_a_file_archives_each_event_once(kept: Kept) -> None:
    about = [prediction(number, model=f"m{number % 2}") for number in range(8)]
    labels = [label(about[0], bytes(16), at=START_US)] * 2
    records = kept.write([*about, *labels], segment_bytes=800, by=8)
    assert len(kept.segments.listed()) == 2
    expected = Counter(record.id.hex() for record in records)
    child = subprocess.Popen(
        [sys.executable, "-c", DIE, str(kept.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    touch, code = 0, "-9\n"
    while code == "-9\n":
        touch += 1
        child.stdin.write(f"{touch}\n")
        child.stdin.flush()
        code = child.stdout.readline()
        kept.catalog = Catalog(kept.folder / f"archive-{touch}")
        left = archived_ids(kept)
        assert max(left.values(), default=1) == 1
        done = {(entry.writer, entry.number) for entry in kept.catalog.entries()}
        kept.compaction.run()
        assert archived_ids(kept) == expected
        # What was entered stays as it was.
        assert done <= {(entry.writer, entry.number) for entry in kept.catalog.entries()}
        if len(done) < len(kept.segments.listed()):
            assert list((kept.catalog.folder / WORK).iterdir()) == []
    child.stdin.close()
    assert child.wait() == 0
    child.stdout.close()
    assert code == "0\n"
    assert touch > 20


def test_two_compactions_at_once_archive_each_event_once(kept: Kept) -> None:
    records = kept.write([prediction(number) for number in range(4_000)], segment_bytes=50_000)
    command = [sys.executable, "-c", RUN, str(kept.folder)]
    running = [subprocess.Popen(command) for _ in range(2)]
    assert [child.wait(60) for child in running] == [0, 0]
    assert archived_ids(kept) == Counter(record.id.hex() for record in records)
    assert kept.compaction.pending() == []


def test_large_segment_is_archived_in_bounded_memory(tmp_path: Path) -> None:
    """200,000 events: the child tells its speed and by how much its memory grew."""
    kept = Kept(tmp_path)
    some = [prediction(number, model=f"m{number % 5}") for number in range(1_000)]
    writer = open_writer(tmp_path / "ledger", segment_bytes=1 << 40)
    for _ in range(200):
        writer.append(some)
    writer.close()
    command = [sys.executable, "-c", TELL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    records, megabytes, seconds = map(float, done.stdout.split())
    assert records == 200_000
    assert megabytes < 200
    assert seconds < 60
    metadata = pq.read_metadata(kept.files()[0])
    assert metadata.num_rows == 200_000
    assert metadata.row_group(0).num_rows == GROUP_ROWS
