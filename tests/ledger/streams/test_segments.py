import pytest
from tests.ledger.conftest import RedisHome, prediction

from serinus.errors import NotFound
from serinus.ledger import ids
from serinus.ledger.archive.types import Segment
from serinus.ledger.streams import segments as segments_module
from serinus.ledger.streams.segments import StreamSegments


def test_segments_are_those_of_all_writers(redis_url):
    home = RedisHome(redis_url)
    listing = StreamSegments(redis_url)
    assert listing.listed() == []
    writers = sorted((home.writer(segment_bytes=200) for _ in range(2)), key=lambda it: it.name)
    for writer in writers:
        made = [id for number in range(7) for id in writer.append([prediction(number)])]
    numbers = sorted({ids.unpack(id).segment for id in made})
    ends = {ids.unpack(id).segment: ids.unpack(id).offset for id in made}
    size = ids.unpack(made[1]).offset
    writers[0].close()
    assert listing.listed() == [
        Segment(writer.name, number, ends[number] + size, place == 0 or number < numbers[-1])
        for place, writer in enumerate(writers)
        for number in numbers
    ]
    listing.close()
    home.close()


def test_segments_are_read_as_they_were_written(redis_url, monkeypatch):
    monkeypatch.setattr(segments_module, "_CHUNK_BYTES", 500)
    home = RedisHome(redis_url)
    listing, writer = StreamSegments(redis_url), home.writer(segment_bytes=2_000)
    events = [prediction(number, features=("x" * (number * 40),)) for number in range(40)]
    made = [id for start in range(0, 40, 4) for id in writer.append(events[start : start + 4])]
    pieces = [piece for one in listing.listed() for piece in listing.read(one)]
    assert [record.id for piece in pieces for record in piece] == made
    assert [record.event for piece in pieces for record in piece] == events
    assert len(pieces) > 20
    first = listing.listed()[0]
    home.client.xdel(home.key(writer.name), f"1-{ids.unpack(made[1]).offset}")
    kept = [id for id in made if ids.unpack(id).segment == 1 and id != made[1]]
    assert [record.id for piece in listing.read(first) for record in piece] == kept
    listing.remove(writer.name, first.number)
    with pytest.raises(NotFound):
        list(listing.read(first))
    listing.close()
    home.close()


@pytest.mark.parametrize("place", [0, 1, 3, 5])
@pytest.mark.parametrize("kept", [None, 0, 10])
def test_segments_are_read_past_what_the_server_lost(redis_url, place, kept):
    """An entry that is gone, that is empty, or whose end is missing, wherever it is."""
    home = RedisHome(redis_url)
    listing, writer = StreamSegments(redis_url), home.writer()
    made = writer.append([prediction(number) for number in range(6)])
    writer.close()
    key, at = home.key(writer.name), ids.unpack(made[place])
    entries = home.client.xrange(key)
    home.client.delete(key)
    for name, fields in entries:
        if name == f"{at.segment}-{at.offset}".encode():
            if kept is None:
                continue
            fields[b"f"] = fields[b"f"][:kept]
        home.client.xadd(key, fields, id=name)
    [segment] = listing.listed()
    left = [id for id in made if id != made[place]]
    assert [record.id for piece in listing.read(segment) for record in piece] == left
    listing.close()
    home.close()


def test_segments_whose_end_is_lost_after_they_were_listed(redis_url, monkeypatch):
    monkeypatch.setattr(segments_module, "_READ_AT_ONCE", 2)
    home = RedisHome(redis_url)
    listing, writer = StreamSegments(redis_url), home.writer()
    made = writer.append([prediction(number) for number in range(6)])
    [segment] = listing.listed()
    home.client.xdel(home.key(writer.name), f"1-{ids.unpack(made[5]).offset}")
    assert [record.id for piece in listing.read(segment) for record in piece] == made[:5]
    # But one that is removed while it is read must not seem to be shorter.
    pieces = listing.read(segment)
    next(pieces)
    listing.remove(writer.name, 1)
    with pytest.raises(NotFound):
        list(pieces)
    listing.close()
    home.close()


def test_segments_are_removed_in_any_order(redis_url):
    home = RedisHome(redis_url)
    listing = StreamSegments(redis_url)
    writer = home.writer(segment_bytes=200)
    made = [id for number in range(16) for id in writer.append([prediction(number)])]
    numbers = sorted({ids.unpack(id).segment for id in made})
    reader = home.reader()
    for gone in (numbers[2], numbers[0], numbers[0], 999):
        listing.remove(writer.name, gone)
        listing.remove("00000000", gone)
    kept = [number for number in numbers if number not in (numbers[0], numbers[2])]
    assert [segment.number for segment in listing.listed()] == kept
    left = [id for id in made if ids.unpack(id).segment in kept]
    batch = reader.read({}, 100)
    assert [record.id for record in batch.records] == left
    assert batch.damaged_bytes == 0
    # An ended stream stays ended when all of it is gone.
    writer.close()
    for number in numbers:
        listing.remove(writer.name, number)
    assert listing.listed() == []
    assert home.client.xlen(home.key(writer.name)) == 1
    listing.close()
    home.close()
