"""What the real decoders say is wrong with requests, counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from serinus.errors import Conflict, InvalidInput
from serinus.serving.protocols import invocations, open_inference, tensors
from serinus.serving.protocols.decode import RequestDecoder
from serinus.serving.telling import violations
from serinus.serving.telling.violations import Violation, Violations
from serinus.wire import Field

INPUTS = (
    Field("age", "double", required=True),
    Field("home town", "string"),
    Field("town", "string"),
    Field("flag", "boolean"),
)


def single(document: Any) -> None:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    RequestDecoder("m", INPUTS).single(body)


def batch(document: Any) -> None:
    [found] = RequestDecoder("m", INPUTS).batch(json.dumps(document).encode(), 10)
    assert isinstance(found, InvalidInput)
    raise found


def inference(document: Any) -> None:
    asked = open_inference.read(json.dumps(document).encode(), None)
    tensors.features(asked.tensors, INPUTS, 10)


def invocation(document: Any) -> None:
    invocations.rows(json.dumps(document).encode(), invocations.JSON, INPUTS, 10)


def features(**some: Any) -> dict[str, Any]:
    return {"features": {"age": 1.0, **some}}


@pytest.mark.parametrize(
    ("ask", "document", "field", "kind"),
    [
        (single, {"features": {}}, "age", "missing"),
        (single, features(size=1), "", "unknown"),
        (single, features(age="old"), "age", "type"),
        (single, features(**{"home town": 5}), "home town", "type"),
        (single, features(town=5), "town", "type"),
        (single, features(age=float("inf")), "age", "not finite"),
        (single, b'{"features"', "", "malformed"),
        (single, {}, "", "missing"),
        (batch, {"requests": [features(flag="yes")]}, "flag", "type"),
        (batch, {"requests": [{"features": {"town": "Ulm"}}]}, "age", "missing"),
        (invocation, {"dataframe_records": [{"age": "old"}]}, "age", "type"),
        (invocation, {"dataframe_records": [{"town": "Ulm"}]}, "age", "missing"),
    ],
)
def test_kind_and_field_of_a_fault(
    ask: Callable[[Any], None], document: Any, field: str, kind: str
) -> None:
    counted = Violations()
    with pytest.raises(InvalidInput), counted.of("m", INPUTS):
        ask(document)
    [found] = counted.found()
    assert (found.model, found.field, found.kind, found.count) == ("m", field, kind, 1)


@pytest.mark.parametrize("ask", [single, lambda row: batch({"requests": [row]})])
def test_every_fault_of_a_row_is_counted(ask: Callable[[Any], None]) -> None:
    counted = Violations()
    with pytest.raises(InvalidInput), counted.of("m", INPUTS):
        ask({"features": {"flag": 3, "size": 1}})
    assert violations.total(counted.found()) == [
        Violation("m", "", "unknown", 1),
        Violation("m", "age", "missing", 1),
        Violation("m", "flag", "type", 1),
    ]


def test_kind_and_field_of_a_tensor() -> None:
    counted = Violations()
    tensor = {"name": "age", "datatype": "BYTES", "shape": [1], "data": ["old"]}
    with pytest.raises(InvalidInput), counted.of("m", INPUTS):
        inference({"inputs": [tensor]})
    assert counted.found() == [Violation("m", "age", "type", 1)]


def test_other_errors_are_no_violations() -> None:
    counted = Violations()
    counted.note("m", INPUTS, Conflict("there is no challenger", where="age"))
    with pytest.raises(Conflict), counted.of("m", INPUTS):
        raise Conflict("there is none")
    assert counted.found() == []


def test_counts_are_bounded_and_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(violations, "MOST_KEPT", 2)
    counted = Violations()
    for model in ("a", "b", "c", "a"):
        counted.note(model, INPUTS, InvalidInput("the field is missing", where="age"))
    assert {one.model: one.count for one in counted.found()} == {"a": 2, "b": 1}
    other = [Violation("b", "age", "missing", 4), Violation("a", "", "unknown", 1)]
    assert violations.total([*counted.found(), *other]) == [
        Violation("a", "", "unknown", 1),
        Violation("a", "age", "missing", 2),
        Violation("b", "age", "missing", 5),
    ]
    assert violations.by_model(violations.total(other)) == {
        "a": {"": {"unknown": 1}},
        "b": {"age": {"missing": 4}},
    }
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(other), type=list[Violation]) == other
