"""Scalars and tables of other libraries as JSON carries them."""

from __future__ import annotations

import datetime
import enum
import math
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from serinus.client import calls, cells
from serinus.errors import InvalidInput


class Town(enum.StrEnum):
    ULM = "ulm"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (1, 1),
        (True, True),
        ("ü", "ü"),
        (2.5, 2.5),
        (np.int64(3), 3),
        (np.uint8(3), 3),
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array(7), 7),
        (Town.ULM, "ulm"),
        (None, None),
        (pd.NA, None),
        (pd.NaT, None),
        (math.nan, None),
        (np.float32("nan"), None),
        (datetime.date(2026, 1, 31), "2026-01-31"),
        ([1, 2], [1, 2]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_plain_is_a_value_of_python(given: Any, expected: Any) -> None:
    found = cells.plain(given, "age")
    assert found == expected
    assert type(found) is type(expected)
    assert msgspec.json.decode(msgspec.json.encode(found)) == expected


@pytest.mark.parametrize(
    "given",
    [math.inf, np.float32("-inf"), np.array([1, 2]), pd.Series([1]), object(), 1j,
     np.datetime64("2026-01-31", "ns"), np.complex128(1), [np.int64(1)]],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_cannot_be_sent_names_its_field(given: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        calls.predict({"age": given})
    assert caught.value.where == "age"
    with pytest.raises(InvalidInput) as caught:
        calls.predict_batch([{"age": 1.0}, {"age": given}])
    assert caught.value.where == "row 1, age"


@pytest.mark.parametrize(
    "given",
    [[1], 1, None, "age", pd.DataFrame({"age": [1]}), np.array([1.0])],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_row_is_said_to_be_none(given: Any) -> None:
    with pytest.raises(InvalidInput, match="is not the inputs of one request") as caught:
        calls.predict(given)
    assert caught.value.where == "features"
    assert "predict_batch" in caught.value.remedy
    with pytest.raises(InvalidInput, match="is not the inputs of one request") as caught:
        calls.predict_batch([{"age": 1}, given])
    assert caught.value.where == "row 1"


@pytest.mark.parametrize(
    "given", [{"age": 1}, "age", b"age", 1, None], ids=lambda value: type(value).__name__
)
def test_what_are_no_rows_are_said_to_be_none(given: Any) -> None:
    with pytest.raises(InvalidInput, match="is no list of rows") as caught:
        calls.predict_batch(given)
    assert caught.value.where == "rows"
    assert caught.value.remedy


def test_columns_of_one_name_are_refused() -> None:
    frame = pd.DataFrame([[1, 2, 3]], columns=["age", "age", "sum"])
    with pytest.raises(InvalidInput, match="cannot be told apart") as caught:
        calls.predict_batch(frame)
    assert caught.value.where == "rows, age"


def entities(call: calls.Call[Any]) -> list[Any]:
    return [request.get("entity", "none") for request in call.body["requests"]]


def test_each_row_has_an_entity() -> None:
    rows = [{"age": 41}, {"age": 42}, {"age": 43}]
    given = ["ann", np.int64(7), None]
    assert entities(calls.predict_batch(rows, entity=given)) == ["ann", 7, "none"]
    assert entities(calls.predict_batch(rows, entity=pd.Series(given))) == ["ann", 7, "none"]
    assert entities(calls.predict_batch(rows)) == ["none"] * 3
    assert calls.predict({"age": 41}, entity=np.int64(7)).body == {  # type: ignore[arg-type]
        "features": {"age": 41},
        "entity": 7,
    }


def test_a_column_may_hold_the_entities() -> None:
    frame = pd.DataFrame({"age": [41, 42], "who": ["ann", None]})
    assert calls.predict_batch(frame, entity_column="who").body == {
        "requests": [{"features": {"age": 41}, "entity": "ann"}, {"features": {"age": 42}}]
    }
    assert list(frame.columns) == ["age", "who"]
    row = {"age": 41, "who": "ann"}
    calls.predict_batch([row], entity_column="who")
    assert row == {"age": 41, "who": "ann"}


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"entity": ["ann"]}, "entity"),
        ({"entity": "an"}, "entity"),
        ({"entity": 7}, "entity"),
        ({"entity": ["ann", ""]}, "row 1, entity"),
        ({"entity": [True, "ann"]}, "row 0, entity"),
        ({"entity": ["ann", 1.5]}, "row 1, entity"),
        ({"entity_column": "whom"}, "row 0, entity_column"),
        ({"entity_column": "rate"}, "row 0, rate"),
        ({"entity_column": "who", "entity": ["ann", "bob"]}, "entity, entity_column"),
    ],
    ids=["few", "text", "number", "empty", "boolean", "fraction", "nowhere", "column", "twice"],
)
def test_keys_that_are_none_are_refused(given: dict[str, Any], where: str) -> None:
    rows = [{"who": "ann", "rate": 0.5}, {"who": "bob", "rate": 0.5}]
    with pytest.raises(InvalidInput) as caught:
        calls.predict_batch(rows, **given)
    assert caught.value.where == where
    assert caught.value.remedy


def test_a_frame_is_its_rows() -> None:
    frame = pd.DataFrame(
        {
            "age": [41, 42],
            "sum": pd.array([1, None], dtype="Int64"),
            "rate": np.array([np.nan, 0.5], dtype="float32"),
            "town": ["Ulm", None],
            7: [True, False],
        }
    )
    expected = [
        {"age": 41, "sum": 1, "rate": None, "town": "Ulm", "7": True},
        {"age": 42, "sum": None, "rate": 0.5, "town": None, "7": False},
    ]
    assert cells.rows_of(frame) == expected
    assert cells.rows_of([row for _, row in frame.iterrows()]) == expected
    assert cells.rows_of(frame.head(0)) == []
    body = calls.predict_batch(frame).body
    assert body == {"requests": [{"features": row} for row in expected]}


def test_a_table_that_tells_its_rows_by_itself_is_its_rows() -> None:
    class Table:
        columns = ("a",)

        def to_dicts(self) -> list[dict[str, Any]]:
            return [{"a": np.int64(1)}]

        def to_dict(self, *, orient: str) -> Any:
            raise AssertionError(orient)

    assert cells.rows_of(Table()) == [{"a": 1}]


def test_labels_may_be_of_another_library() -> None:
    call = calls.feedback({"x": np.int64(1)}, value={"x": np.float32(0.5)})
    assert call.body == {"labels": [{"prediction_id": "x", "label": 1, "value": 0.5}]}
    with pytest.raises(InvalidInput, match="cannot be sent") as caught:
        calls.feedback({"x": pd.Series([1])})  # type: ignore[dict-item]
    assert caught.value.where == "label of x"
