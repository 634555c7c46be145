import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.errors import InvalidInput
from serinus.ledger import ids

u32 = st.integers(0, 2**32 - 1)


@given(st.binary(min_size=4, max_size=4), u32, u32, u32)
def test_id_round_trip(writer, segment, offset, crc):
    id = ids.pack(writer, segment, offset, crc)
    assert ids.decode(ids.encode(id)) == id
    assert ids.unpack(id) == (writer.hex(), segment, offset, crc)


@given(st.tuples(u32, u32), st.tuples(u32, u32), u32, u32)
def test_id_order_is_the_order_of_writing(first, second, crc, other_crc):
    a, b = ids.pack(b"abcd", *first, crc), ids.pack(b"abcd", *second, other_crc)
    if first != second:
        assert (a < b) == (first < second)


@pytest.mark.parametrize(
    "text", ["", "xyz", "0" * 31, "0" * 33, "0" * 34, " " + "0" * 31, "00 " * 16, "é" * 32]
)
def test_id_malformed_is_refused(text):
    with pytest.raises(InvalidInput) as caught:
        ids.decode(text)
    assert caught.value.where == "prediction_id"


def test_id_of_wrong_length_is_refused():
    with pytest.raises(InvalidInput):
        ids.unpack(b"short")
