import shutil

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.conftest import prediction, predictions

from serinus.ledger.files import segments
from serinus.ledger.files.reader import Reader
from serinus.ledger.files.repair import repair
from serinus.ledger.files.writer import Writer


def as_if_killed(writer, folder, copy):
    """What a killed writer leaves: its folder, its lock held by nobody, no mark of an end."""
    writer.sync()
    shutil.copytree(folder, copy)
    writer.close()


def test_repair_leaves_a_living_writer_alone(tmp_path):
    writer = Writer(tmp_path, segment_bytes=10_000)
    writer.append([prediction(1)])
    path = segments.path(tmp_path, writer.name, 0)
    with path.open("ab") as file:
        file.write(b"\x00\x00")
    assert repair(tmp_path) == 0
    assert not segments.is_closed(tmp_path, writer.name)
    writer.close()


def test_repair_closes_a_dead_writer_once(tmp_path):
    writer = Writer(tmp_path / "live", segment_bytes=10_000)
    made = writer.append([prediction(1)])
    as_if_killed(writer, tmp_path / "live", tmp_path / "dead")
    with segments.path(tmp_path / "dead", writer.name, 0).open("ab") as file:
        file.write(b"\x00\x00\x01")
    assert repair(tmp_path / "dead") == 3
    assert repair(tmp_path / "dead") == 0
    assert segments.is_closed(tmp_path / "dead", writer.name)
    assert [record.id for record in Reader(tmp_path / "dead").read({}, 9).records] == made


@settings(max_examples=40)
@given(st.lists(predictions(), min_size=1, max_size=6), st.data())
def test_repair_of_any_tail_loses_only_the_torn_frame(tmp_path_factory, events, data):
    folder = tmp_path_factory.mktemp("ledger")
    writer = Writer(folder / "live", segment_bytes=10**6)
    made = writer.append(events)
    as_if_killed(writer, folder / "live", folder / "dead")
    path = segments.path(folder / "dead", writer.name, 0)
    whole = path.read_bytes()
    starts = [int.from_bytes(id[8:12], "big") for id in made]
    cut = data.draw(st.integers(0, len(whole)), label="cut")
    junk = data.draw(st.binary(max_size=7), label="junk")
    path.write_bytes(whole[:cut] + junk)
    kept = sum(end <= cut for end in [*starts[1:], len(whole)])
    before = [record.id for record in Reader(folder / "dead").read({}, 100).records]
    repair(folder / "dead")
    after = Reader(folder / "dead").read({}, 100)
    assert [record.id for record in after.records] == made[:kept] or junk
    assert [record.id for record in after.records][:kept] == made[:kept]
    assert before == [record.id for record in after.records]
    assert [record.event for record in after.records][:kept] == events[:kept]
