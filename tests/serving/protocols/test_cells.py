from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.errors import InvalidInput
from serinus.serving.protocols import cells
from serinus.wire import Field

finite = st.floats(allow_nan=False, allow_infinity=False)
longs = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(codec="utf-8"))
anything = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | texts
    | st.lists(st.integers(), max_size=2)
)
KINDS = {"double": finite, "long": longs, "boolean": st.booleans(), "string": texts}
PYTHON = {"double": float, "long": int, "boolean": bool, "string": str}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_column_of_its_type_is_as_it_was(kind, data):
    values = data.draw(st.lists(KINDS[kind]))
    assert cells.column(Field("a", kind, required=True), values) == values


@pytest.mark.parametrize("kind", KINDS)
@given(values=st.lists(anything))
def test_column_of_anything_is_of_the_type_or_refused_with_its_row(kind, values):
    field = Field("a", kind)
    try:
        found = cells.column(field, values)
    except InvalidInput as refused:
        row = int(refused.where.removeprefix("row ").split(",")[0])
        # What is before the row that is named can be taken, and the row itself cannot.
        assert len(cells.column(field, values[:row])) == row
        with pytest.raises(InvalidInput):
            cells.column(field, [values[row]])
    else:
        assert len(found) == len(values)
        for given_value, cell in zip(values, found, strict=True):
            assert cell is None or type(cell) is PYTHON[kind]
            if cell is None:
                assert given_value is None or math.isnan(given_value)
            else:
                assert cell == given_value or kind == "double"
            if isinstance(cell, float):
                assert math.isfinite(cell)


@pytest.mark.parametrize(
    ("kind", "value", "cell"),
    [("double", 3, 3.0), ("long", 3.0, 3), ("double", math.nan, None), ("string", None, None)],
)
def test_column_takes_what_loses_nothing(kind, value, cell):
    [found] = cells.column(Field("a", kind), [value])
    assert found == cell
    assert type(found) is type(cell)


@pytest.mark.parametrize(
    ("kind", "value", "what"),
    [
        ("double", "3", "expected a number, got text"),
        ("double", True, "expected a number, got a boolean"),
        ("double", math.inf, "not finite"),
        ("double", 10**400, "64 bits"),
        ("double", None, "missing"),
        ("double", math.nan, "missing"),
        ("long", 3.5, "expected a whole number, got a number"),
        ("long", 2**63, "64 bits"),
        ("long", 2.0**63, "whole number"),
        ("boolean", 1, "expected a boolean, got a number"),
        ("string", 1, "expected text, got a number"),
        ("string", [1], "expected text, got a list"),
    ],
)
def test_column_names_the_row_and_what_is_wrong(kind, value, what):
    good = {"double": 1.0, "long": 1, "boolean": True, "string": "x"}[kind]
    with pytest.raises(InvalidInput) as caught:
        cells.column(Field("age", kind, required=True), [good, good, value])
    assert caught.value.where == "row 2, age"
    assert what in caught.value.what


def test_rows_are_in_the_inputs_order_and_lack_what_is_optional():
    inputs = (Field("a", "double", required=True), Field("b", "string"), Field("c", "long"))
    found = cells.rows(inputs, {"c": [1, 2], "a": [0.5, 1.5], "other": ["?", "?"]}, 2)
    assert found == [(0.5, None, 1), (1.5, None, 2)]
    assert cells.rows(inputs[1:], {}, 2) == [(None, None)] * 2
    assert cells.rows((), {}, 2) == [(), ()]
    with pytest.raises(InvalidInput) as caught:
        cells.rows(inputs, {"c": [1]}, 1)
    assert caught.value.where == "a"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    )
)
def test_read_json_is_as_python_reads_it(document):
    body = json.dumps(document).encode()
    # By its text: a NaN is equal to nothing.
    assert json.dumps(cells.read_json(body)) == json.dumps(json.loads(body))


@given(st.binary(max_size=60))
def test_read_json_any_bytes_are_a_document_or_refused(junk):
    refused = None
    try:
        json.dumps(cells.read_json(junk), ensure_ascii=False).encode()
    except InvalidInput as error:
        refused = error
    assert refused is None or "not valid JSON" in refused.what


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":"\\ud800"}', b"[" + b"9" * 5000 + b", NaN]", b"\xff", b""]
)
def test_read_json_refuses(body):
    with pytest.raises(InvalidInput):
        cells.read_json(body)
