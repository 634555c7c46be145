import logging

import pytest
from tests.ledger.conftest import prediction

from serinus.errors import InvalidInput, Unavailable
from serinus.ledger.streams.reader import Reader
from serinus.ledger.streams.segments import StreamSegments
from serinus.ledger.streams.server import Server
from serinus.ledger.streams.upkeep import prepare
from serinus.ledger.streams.writer import Writer
from serinus.ledger.types import Offset


def test_prepare_closes_the_dead_and_only_them(redis_url):
    server = Server(redis_url, retries=0)
    dead, living, ended = (Writer(redis_url, segment_bytes=10**6) for _ in range(3))
    for writer in (dead, living, ended):
        writer.append([prediction(1)])
    ended.close()
    server.ask("DEL", server.lease(dead.name))
    for _ in range(2):
        assert prepare(redis_url) == 0
        closed = {name.decode() for name in server.ask("SMEMBERS", server.closed)}
        assert closed == {dead.name, ended.name}
    living.close()
    dead.close()
    server.close()


def test_prepare_refuses_a_server_that_forgets_when_it_is_full(machine):
    url = machine(**{"maxmemory-policy": "allkeys-lru"}).url
    with pytest.raises(InvalidInput, match="noeviction"):
        prepare(url)


def test_prepare_warns_of_a_server_without_a_file(machine, caplog):
    server = machine(appendonly="no")
    with caplog.at_level(logging.WARNING, "serinus.ledger"):
        prepare(server.url)
    assert "appendonly" in caplog.text


def test_prepare_refuses_a_server_that_cannot_be_written(machine):
    server, other = machine(), machine()
    with server.client() as client:
        client.replicaof("127.0.0.1", other.port)
    with pytest.raises(Unavailable, match="replica"):
        prepare(server.url)
    server.kill()
    with pytest.raises(Unavailable, match="Start the server"):
        prepare(server.url)


def test_ledger_needs_no_more_rights_than_the_page_says(machine):
    """The list of docs/reference/ledger-redis.md."""
    server = machine()
    rights = ["+@stream", "+@set", "+@string", "+@scripting", "+@connection"]
    rights += ["+info", "+del", "+exists", "+waitaof", "~serinus:ledger:*"]
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "gateway", "on", ">pw", *rights)
    url = server.url.replace("//", "//gateway:pw@")
    prepare(url)
    writer, reader = Writer(url, segment_bytes=10, sync="disk"), Reader(url)
    made = [id for number in range(3) for id in writer.append([prediction(number)])]
    batch = reader.read({}, 10)
    assert [record.id for record in batch.records] == made
    assert reader.lookup_many(made) == [record.event for record in batch.records]
    assert reader.between(writer.name, Offset(0, 0), batch.offsets[writer.name]) == batch.records
    for segment in StreamSegments(url).listed():
        StreamSegments(url).remove(segment.writer, segment.number)
    writer.close()
    prepare(url)
