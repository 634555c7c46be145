import random

import msgspec
import pytest
from hypothesis import given
from tests.ledger.conftest import prediction, predictions

from serinus.errors import InvalidInput
from serinus.ledger import events


@given(predictions())
def test_event_round_trip(event):
    assert events.decode(events.encode(event)) == event


@pytest.mark.parametrize("cell", ["\ud800", 2**64, object()])
def test_event_that_cannot_be_packed_is_refused(cell):
    with pytest.raises(InvalidInput, match="cannot be packed"):
        events.encode(prediction(1, features=(cell,)))


def test_event_too_large_is_refused():
    with pytest.raises(InvalidInput, match="too large"):
        events.encode(prediction(1, features=("x" * (1 << 26),)))


def test_event_of_damaged_bytes_is_none_or_an_event():
    """Damage that the checksum would have to miss: still nothing but an answer."""
    whole = events.encode(prediction(1, features=("text", 1.5, None)))
    chance = random.Random(20)
    found = set()
    for _ in range(20_000):
        payload = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            payload[chance.randrange(len(payload))] = chance.randrange(256)
        found.add(events.decode(payload) is None)
    assert found == {True, False}


def test_event_with_more_fields_than_this_version_knows():
    whole = events.encode(prediction(1))
    longer = bytes([whole[0] + 1]) + whole[1:]
    assert events.decode(longer + msgspec.msgpack.encode("new")) == prediction(1)
    # Nested deeper than anything can be read.
    assert events.decode(longer + b"\x91" * 100_000) is None
