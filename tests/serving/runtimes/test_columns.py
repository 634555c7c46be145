import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.errors import InvalidInput
from serinus.serving.runtimes import columns
from serinus.serving.runtimes.child import HEADER, padded
from serinus.wire import Field


def reply(**fields: object) -> columns.Reply:
    return columns.reply(json.dumps(fields).encode())


def test_rows_of_numbers_are_one_block():
    packed = columns.RowPacker([Field("a", "double"), Field("b", "double")]).pack([(1.0, None)])
    head, numbers = HEADER.unpack_from(packed)
    assert json.loads(packed[8 : 8 + head]) == {"rows": 1, "kinds": ""}
    np.testing.assert_array_equal(np.frombuffer(packed[-numbers:]), [1.0, np.nan])


def test_columns_with_gaps_are_of_types_that_have_gaps():
    inputs = [Field("n", "long"), Field("b", "boolean"), Field("s", "string")]
    packer = columns.RowPacker(inputs)

    def head(rows):
        packed = packer.pack(rows)
        return json.loads(packed[8 : 8 + HEADER.unpack_from(packed)[0]])

    assert head([(1, True, "a")]) == {"rows": 1, "kinds": "q?s", "values": [["a"]]}
    assert head([(None, None, None)]) == {"rows": 1, "kinds": "dos", "values": [[None], [None]]}


def test_padding_fills_eight_bytes():
    assert [padded(count) for count in (0, 1, 8, 9)] == [0, 8, 8, 16]


@given(st.binary(max_size=200))
def test_reply_takes_any_bytes_or_refuses_them(raw):
    with contextlib.suppress(InvalidInput):
        assert isinstance(columns.reply(raw), columns.Reply)


FLOATS = {"type": "<f8", "shape": [2]}


@pytest.mark.parametrize(
    ("about", "numbers"),
    [
        ({"type": "<f8", "shape": [2]}, b"8 bytes!"),
        ({"type": "<f8", "shape": [-1]}, b"8 bytes!"),
        ({"type": "<f8", "shape": [0, 2**70]}, b""),
        ({"type": "<f8", "shape": [2**62, 8]}, b"8 bytes!"),
        ({"type": "<f8", "shape": [1] * 100}, b"8 bytes!"),
        ({"type": "json", "shape": [3], "values": ["a"]}, b""),
    ],
    ids=str,
)
def test_arrays_hold_what_their_head_says(about, numbers):
    with pytest.raises(InvalidInput):
        columns.arrays(reply(values=about), numbers)


@pytest.mark.parametrize(
    "about",
    [
        {"type": "|O", "shape": [1]},
        {"type": "json", "shape": [1], "values": [{"a": 1}]},
        {"type": "json", "shape": [1], "values": [2**70]},
    ],
    ids=str,
)
def test_reply_knows_plain_types_only(about):
    with pytest.raises(InvalidInput):
        reply(values=about)


@given(st.lists(st.integers(-3, 300), max_size=3), st.binary(max_size=64))
def test_arrays_never_read_beyond_what_was_sent(shape, numbers):
    try:
        values, _ = columns.arrays(reply(values={"type": "<f8", "shape": shape}), numbers)
    except InvalidInput:
        return
    assert values.shape == tuple(shape)
    assert values.nbytes <= len(numbers)


def test_arrays_of_an_answer_follow_each_other():
    values = np.array([True, False, True])
    scores = np.array([[0.25, 0.75]] * 3)
    head = reply(values={"type": "|b1", "shape": [3]}, scores={"type": "<f8", "shape": [3, 2]})
    raw = values.tobytes() + bytes(5) + scores.tobytes()
    found = columns.arrays(head, raw)
    assert found[0].tolist() == values.tolist()
    assert found[1].tolist() == scores.tolist()
