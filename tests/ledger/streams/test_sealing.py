import pytest
import redis
from tests.ledger.conftest import prediction

from serinus.ledger.streams.reader import Reader
from serinus.ledger.streams.sealing import seal
from serinus.ledger.streams.server import Server
from serinus.ledger.streams.writer import Writer


def test_seal_makes_the_server_refuse_what_still_comes(redis_url):
    server = Server(redis_url, retries=0)
    writer = Writer(redis_url, segment_bytes=10**6)
    made, name = writer.append([prediction(1)]), writer.name
    assert seal(server, name, only_dead=True) is False
    assert seal(server, name) is True
    assert seal(server, name, only_dead=True) is True
    with pytest.raises(redis.ResponseError):
        server.client.xadd(server.stream(name), {"f": b"x"}, id="4294967295-4294967295")
    reader = Reader(redis_url)
    batch = reader.read({}, 10)
    assert [record.id for record in batch.records] == made
    assert (batch.damaged_bytes, batch.complete) == (0, True)
    writer.close()
    server.close()


def test_seal_of_a_writer_that_never_wrote(redis_url):
    writer = Writer(redis_url, segment_bytes=10**6)
    server = Server(redis_url, retries=0)
    assert seal(server, writer.name) is True
    batch = Reader(redis_url).read({}, 10)
    assert (batch.records, batch.offsets, batch.complete) == ([], {}, True)
    server.close()
    writer.close()
