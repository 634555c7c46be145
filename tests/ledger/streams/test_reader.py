import pytest
import redis
from tests.ledger.conftest import RedisHome, prediction, read_all

from serinus.errors import NotFound, Unavailable
from serinus.ledger import ids
from serinus.ledger.streams import reader as reader_module
from serinus.ledger.streams.reader import Reader
from serinus.ledger.streams.writer import Writer
from serinus.ledger.types import Offset


@pytest.fixture
def home(redis_url):
    made = RedisHome(redis_url)
    yield made
    made.close()


def test_reader_of_a_server_that_is_away_goes_on_when_it_is_back(machine):
    server = machine()
    writer = Writer(server.url, segment_bytes=1_000)
    made = writer.append([prediction(number) for number in range(20)])
    reader = Reader(server.url)
    first = reader.read({}, 5)
    server.kill()
    for ask in (
        lambda: reader.read(first.offsets, 5),
        lambda: reader.lookup(made[0]),
        lambda: reader.between(writer.name, Offset(0, 0), first.offsets[writer.name]),
        lambda: list(reader.scan()),
    ):
        with pytest.raises(Unavailable, match="Start the server"):
            ask()
    server.start()
    rest = read_all(reader, 50, first.offsets)
    assert [record.id for record in [*first.records, *rest]] == made
    writer.close()


def test_reader_survives_a_connection_that_is_cut(network, redis_url):
    between, address = network
    writer = Writer(redis_url, segment_bytes=1_000)
    made = writer.append([prediction(number) for number in range(20)])
    reader = Reader(address)
    for fault in ("before", "after"):
        between.fail(fault)
        assert [record.id for record in reader.read({}, 50).records] == made
        between.fail(fault)
        assert reader.lookup_many(made[:2]) == [prediction(0), prediction(1)]
    writer.close()


def test_reader_tells_of_bytes_that_the_server_lost(home):
    """A server that was restarted without its last second goes on behind a hole."""
    writer, reader = home.writer(), home.reader()
    made = [id for number in range(10) for id in writer.append([prediction(number)])]
    early = reader.read({}, 5)
    size = ids.unpack(made[1]).offset
    key = home.key(writer.name)
    lost = [f"1-{ids.unpack(id).offset}" for id in made[3:7]]
    home.client.xdel(key, *lost)
    whole = home.reader().read({}, 100)
    assert [record.id for record in whole.records] == made[:3] + made[7:]
    assert whole.damaged_bytes == 4 * size
    assert reader.read(early.offsets, 100).damaged_bytes == 2 * size
    for start, end in (
        (Offset(0, 0), early.offsets[writer.name]),
        (early.offsets[writer.name], whole.offsets[writer.name]),
        (Offset(0, 0), whole.offsets[writer.name]),
    ):
        with pytest.raises(NotFound):
            reader.between(writer.name, start, end)


def test_reader_of_a_stretch_that_begins_inside_a_record_refuses(home):
    writer, reader = home.writer(), home.reader()
    made = writer.append([prediction(number) for number in range(5)])
    places = [Offset(*ids.unpack(id)[1:3]) for id in made]
    inside = Offset(places[1].segment, places[1].offset + 1)
    assert [r.id for r in reader.between(writer.name, places[1], places[3])] == made[1:3]
    for start, end in ((inside, places[3]), (places[0], inside)):
        with pytest.raises(NotFound):
            reader.between(writer.name, start, end)


def test_reader_passes_entries_that_are_not_ours(home):
    writer = home.writer()
    made = writer.append([prediction(1)])
    key = home.key(writer.name)
    size = ids.unpack(made[0]).offset + len(home.client.xrange(key)[0][1][b"f"])
    home.client.xadd(key, {"f": b"short"}, id=f"1-{size}")
    home.client.xadd(key, {"other": b"thing", "f": b"x"}, id=f"1-{2**33}")
    home.client.xadd(key, {"f": b""}, id="2-0")
    home.client.xadd(key, {"f": b""}, id=f"{2**33}-0")
    reader = home.reader()
    batch = reader.read({}, 100)
    assert [record.id for record in batch.records] == made
    assert batch.damaged_bytes > 0
    assert reader.read(batch.offsets, 100).records == []


def test_reader_asks_for_no_more_than_a_chunk(home, monkeypatch):
    """Large records come a few at a time, however many may be read."""
    monkeypatch.setattr(reader_module, "CHUNK_BYTES", 1 << 16)
    writer = home.writer(segment_bytes=10**5)
    events = [prediction(number, features=("x" * 30_000,)) for number in range(40)]
    made = [id for event in events for id in writer.append([event])]
    reader = home.reader()
    sizes = []
    ask_all = reader._server.ask_all
    monkeypatch.setattr(
        reader._server,
        "ask_all",
        lambda commands: sizes.append(sum(map(count, made := ask_all(commands)))) or made,
    )
    batch = reader.read({}, 1_000)
    assert [record.id for record in batch.records] == made
    assert max(sizes) <= 4
    assert reader.between(writer.name, Offset(0, 0), batch.offsets[writer.name]) == batch.records


def count(answer):
    return len(answer) if isinstance(answer, list) else 0


def test_reader_asks_all_writers_at_once(home, monkeypatch):
    writers = [home.writer() for _ in range(5)]
    for writer in writers:
        writer.append([prediction(1)])
    reader = home.reader()
    asked = []
    ask_all = reader._server.ask_all
    monkeypatch.setattr(
        reader._server, "ask_all", lambda commands: asked.append(len(commands)) or ask_all(commands)
    )
    before = reader.read({}, 1_000)
    for writer in writers:
        writer.append([prediction(2)])
    asked.clear()
    batch = reader.read(before.offsets, 1_000)
    assert (len(before.records), len(batch.records), batch.complete) == (5, 5, True)
    assert asked == [2, 10]
    for writer in writers[1:]:
        writer.close()
    reader.read(batch.offsets, 1_000)
    asked.clear()
    # Of writers that ended nobody asks again once they were read to their end.
    assert reader.read(batch.offsets, 1_000).complete
    assert asked == [2, 2]


def test_reader_of_another_kind_of_key_says_so(home):
    writer = home.writer()
    writer.append([prediction(1)])
    home.client.delete(home.key(writer.name))
    home.client.set(home.key(writer.name), "text")
    with pytest.raises(Unavailable, match="See the log"):
        home.reader().read({}, 10)
    with pytest.raises(Unavailable), redis.Redis():
        writer.append([prediction(2)])
    home.client.delete(home.key(writer.name))
