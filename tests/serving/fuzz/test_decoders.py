"""Bytes at the decoders themselves: whatever comes, it is taken or told, never an accident."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.errors import InvalidInput
from serinus.serving.protocols import decode
from serinus.serving.protocols.decode import RequestDecoder
from serinus.stress import bodies, versions
from serinus.stress.mutations import mutate
from serinus.wire import Field

ROWS = 50
LEVELS = RequestDecoder(
    versions.MODEL, [Field(name, "double", required=True) for name in versions.NAMES]
)
MIXED = RequestDecoder(
    versions.MIXED,
    [
        Field("number", "double", required=True),
        Field("count", "long"),
        Field("flag", "boolean"),
        Field("town", "string", required=True),
    ],
)
DECODERS: dict[str, Callable[[bytes], object]] = {
    "row": LEVELS.single,
    "mixed row": MIXED.single,
    "batch": lambda body: LEVELS.batch(body, ROWS),
    "mixed batch": lambda body: MIXED.batch(body, ROWS),
    "feedback": lambda body: decode.feedback(body, ROWS),
    "model": decode.named_model,
}


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A body of any route, with random changes."""
    chance = random.Random(draw(st.integers(0, 2**64)))
    return mutate(chance, bodies.valid(chance)[1], most=6)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@st.composite
def shaped(draw: st.DrawFn) -> bytes:
    """JSON of nearly the right shape; Python also writes NaN and halves of characters."""
    import json

    names = st.sampled_from([*versions.NAMES, "number", "count", "flag", "town"]) | st.text()
    features = st.dictionaries(names, json_values, max_size=5) | json_values
    keys = ["features", "entity", "model", "prediction_id", "label", "value"]
    row = st.dictionaries(st.sampled_from(keys), features | json_values, max_size=4)
    rows = st.lists(row | json_values, max_size=4)
    outer = st.dictionaries(st.sampled_from(["requests", "labels"]), rows, max_size=2)
    return json.dumps(draw(row | outer)).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("name", DECODERS)
@given(body=mutated() | shaped() | st.binary(max_size=200))
def test_decoders_take_or_tell(name: str, body: bytes) -> None:
    try:
        found = DECODERS[name](body)
    except InvalidInput as error:
        tellable(error)
        return
    for item in found if isinstance(found, list) else ():
        if isinstance(item, InvalidInput):
            tellable(item)


def tellable(error: InvalidInput) -> None:
    """What is said of it can be sent, and is no essay."""
    assert error.what
    text = str(error.problem())
    text.encode()
    assert len(text) < 5_000
