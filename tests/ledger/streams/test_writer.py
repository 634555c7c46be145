import itertools
import threading

import pytest
import redis
from tests.ledger.conftest import prediction, read_all

from serinus.errors import SerinusError, Unavailable
from serinus.ledger import ids
from serinus.ledger.opening import prepare
from serinus.ledger.streams import server as server_module
from serinus.ledger.streams.reader import Reader
from serinus.ledger.streams.writer import Writer


def at(records):
    return [record.event.at for record in records]


@pytest.mark.parametrize("fault", ["before", "after"])
def test_writer_whose_connection_is_cut_writes_once_all_the_same(network, redis_url, fault):
    between, address = network
    writer = Writer(address, segment_bytes=2_000)
    name, made = writer.name, []
    for number in range(0, 60, 3):
        between.fail(fault)
        made += writer.append([prediction(number + n) for n in range(3)])
    assert writer.name == name
    records = read_all(Reader(redis_url))
    assert [record.id for record in records] == made
    assert at(records) == list(range(60))
    writer.close()


@pytest.mark.parametrize(("fault", "kept"), [("before", 0), ("after", 3)])
def test_writer_cut_off_again_and_again_refuses_and_recovers(network, redis_url, fault, kept):
    """Whether the refused events are there cannot be known; but if so then whole, and once."""
    between, address = network
    writer = Writer(address, segment_bytes=2_000)
    first = writer.append([prediction(number) for number in range(3)])
    between.fail(fault, times=2)
    with pytest.raises(Unavailable, match="cannot be used"):
        writer.append([prediction(number) for number in range(10, 13)])
    later = writer.append([prediction(number) for number in range(20, 23)])
    records = read_all(Reader(redis_url), 100)
    expected = [*range(3), *([10, 11, 12] if kept else []), *range(20, 23)]
    assert sorted(at(records)) == expected
    assert {*first, *later} <= {record.id for record in records}
    assert len({record.id for record in records}) == len(records)
    batch = Reader(redis_url).read({}, 100)
    assert batch.damaged_bytes == 0
    # What it had to leave is ended; nobody looks there again.
    prepare(redis_url)
    assert writer.append([prediction(30)])
    writer.close()


def test_writer_of_a_silent_server_gives_up_in_time(network, redis_url, monkeypatch):
    monkeypatch.setattr(server_module, "ANSWER_SECONDS", 0.2)
    between, address = network
    writer = Writer(address, segment_bytes=2_000)
    writer.append([prediction(0)])
    between.fail("silent")
    with pytest.raises(Unavailable, match="reaches it"):
        writer.append([prediction(1)])
    between.fail("")
    made = writer.append([prediction(2)])
    assert sorted(at(read_all(Reader(redis_url)))) == [0, 1, 2]
    assert Reader(redis_url).lookup(made[0]) == prediction(2)
    writer.close()


def test_writer_loses_nothing_acknowledged_when_the_server_is_killed(machine):
    server = machine()
    writers = [Writer(server.url, segment_bytes=3_000) for _ in range(2)]
    acknowledged, refused, stop = [], [], threading.Event()

    def write(writer):
        for number in itertools.count():
            if stop.is_set():
                return
            try:
                acknowledged.extend(writer.append([prediction(number), prediction(number)]))
            except Unavailable as error:
                refused.append(error)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    for _ in range(3):
        wait_for_more(acknowledged, 100)
        server.kill()
        server.start()
    wait_for_more(acknowledged, 100)
    stop.set()
    for thread in threads:
        thread.join()
    found = [record.id for record in read_all(Reader(server.url), 500)]
    assert len(set(found)) == len(found)
    assert set(acknowledged) <= set(found)
    # What was refused may be there, but only whole: events came in twos.
    assert len(found) % 2 == 0
    assert len(found) - len(acknowledged) <= 2 * len(refused)
    for writer in writers:
        writer.close()


def wait_for_more(growing, count):
    deadline, wanted = threading.Event(), len(growing) + count
    for _ in range(2_000):
        if len(growing) >= wanted:
            return
        deadline.wait(0.01)
    raise AssertionError("nothing more was acknowledged within 20 s")


def test_writer_of_a_server_that_is_away(machine):
    server = machine()
    writer = Writer(server.url, segment_bytes=3_000)
    made = writer.append([prediction(1)])
    server.kill()
    for _ in range(3):
        with pytest.raises(Unavailable, match="Start the server") as caught:
            writer.append([prediction(2)])
        assert caught.value.where == server.url
    with pytest.raises(Unavailable):
        Writer(server.url, segment_bytes=3_000)
    server.start()
    made += writer.append([prediction(3)])
    assert [record.id for record in read_all(Reader(server.url))] == made
    assert {ids.unpack(id).writer for id in made} == {writer.name}
    server.kill()
    # Ending it is left to whoever comes next; it does not fail the process that ends.
    writer.close()
    server.start()
    with server.client() as client:
        client.delete(f"serinus:ledger:{writer.name}:lease")
    prepare(server.url)
    batch = Reader(server.url).read({}, 10)
    assert [record.id for record in batch.records] == made


def test_writer_of_a_full_server_writes_nothing_and_recovers(machine):
    server = machine()
    writer = Writer(server.url, segment_bytes=10**6)
    made = writer.append([prediction(1)])
    with server.client() as client:
        client.config_set("maxmemory", "1mb")
        for _ in range(3):
            with pytest.raises(Unavailable, match="more memory"):
                writer.append([prediction(2), prediction(3, features=("x" * 2_000_000,))])
        client.config_set("maxmemory", "0")
    made += writer.append([prediction(4)])
    records = read_all(Reader(server.url))
    assert [record.id for record in records] == made
    assert at(records) == [1, 4]
    writer.close()


def test_writer_of_a_replica_writes_nothing_and_recovers(machine):
    server, other = machine(), machine()
    writer = Writer(server.url, segment_bytes=10**6)
    made = writer.append([prediction(1)])
    with server.client() as client:
        client.replicaof("127.0.0.1", other.port)
        with pytest.raises(Unavailable, match="replica"):
            writer.append([prediction(2)])
        # Its name may stand for another server by now: the next append connects anew.
        assert [one for one in client.client_list() if one["name"] == "serinus"] == []
        client.replicaof("NO", "ONE")
        made += writer.append([prediction(3)])
    found = read_all(Reader(server.url))
    assert 2 not in at(found)
    assert made[-1] in [record.id for record in found]
    writer.close()


def test_writer_that_was_taken_for_dead_goes_on_under_a_new_name(redis_url):
    writer = Writer(redis_url, segment_bytes=10**6, lease_seconds=0.05)
    first = writer.append([prediction(1)])
    old = writer.name
    threading.Event().wait(0.1)
    prepare(redis_url)
    reader = Reader(redis_url)
    ended = reader.read({}, 10)
    second = writer.append([prediction(2)])
    assert writer.name != old
    assert [record.id for record in ended.records] == first
    assert [record.id for record in reader.read(ended.offsets, 10).records] == second
    writer.close()


def test_writer_that_is_heard_of_stays_alive(redis_url):
    writer = Writer(redis_url, segment_bytes=10**6, lease_seconds=0.4)
    name = writer.name
    for number in range(8):
        threading.Event().wait(0.1)
        writer.append([prediction(number)])
        prepare(redis_url)
    assert writer.name == name
    writer.close()


def test_writer_of_a_server_that_forgot_everything(redis_url, network):
    """No append-only file, and a restart: readers see the rest, under the same name."""
    writer = Writer(redis_url, segment_bytes=10**6)
    writer.append([prediction(1)])
    plain, _, prefix = redis_url.partition("?prefix=")
    with redis.Redis.from_url(plain) as client:
        client.delete(*client.keys(f"{prefix}:*"))
        client.script_flush()
    made = writer.append([prediction(2)])
    batch = Reader(redis_url).read({}, 10)
    assert [record.id for record in batch.records] == made
    # The bytes that are missing before it are told.
    assert batch.damaged_bytes == ids.unpack(made[0]).offset
    writer.close()


def test_writer_waits_for_the_disk_if_it_is_asked_to(machine):
    server = machine(appendfsync="everysec")
    writer = Writer(server.url, segment_bytes=10**6, sync="disk")
    made = writer.append([prediction(1)])
    with server.client() as client:
        assert client.execute_command("WAITAOF", 1, 0, 10)[0] == 1
        client.config_set("appendonly", "no")
        with pytest.raises(SerinusError):
            writer.append([prediction(2)])
    with pytest.raises(Unavailable, match="appendonly"):
        Writer(server.url, segment_bytes=10**6, sync="disk")
    assert read_all(Reader(server.url))[0].id == made[0]
    writer.close()


def test_writer_is_not_for_an_event_loop(redis_url):
    writer = Writer(redis_url, segment_bytes=10**6)
    assert writer.is_quick is False
    writer.close()
