from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.archive.conftest import events, names, prediction, same

from serinus import wire
from serinus.ledger.archive.rows import COLUMNS, MODEL_AT, Kind, rebuild, shape
from serinus.ledger.types import Record

ID = bytes(range(16))


def as_row(event: wire.Event) -> tuple[Kind, dict[str, object]]:
    kind, row = shape(Record(ID, event), names)
    named = dict(zip((column.name for column in COLUMNS[kind]), row, strict=True))
    return kind, named


@given(events)
def test_row_makes_the_very_event_again(event: wire.Event) -> None:
    found = rebuild(*as_row(event))
    assert found.id == ID
    assert same(found.event, event)


@given(
    st.lists(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
        min_size=2,
        max_size=2,
    ),
    st.lists(st.text(), min_size=2, max_size=2),
)
def test_row_of_named_inputs_makes_the_very_event_again(
    cells: list[wire.Cell], given_names: list[str]
) -> None:
    event = msgspec.structs.replace(prediction(1), features=tuple(cells))
    kind, row = shape(Record(ID, event), lambda model, version: tuple(given_names))
    named = dict(zip((column.name for column in COLUMNS[kind]), row, strict=True))
    assert same(rebuild(kind, named).event, event)
    # Two inputs of one name would be one: they are told by their places.
    wanted = dict if given_names[0] != given_names[1] else list
    assert isinstance(json.loads(named["features"]), wanted)


def test_inputs_are_an_object_of_their_names() -> None:
    _, row = as_row(prediction(1))
    assert row["features"] == '{"age":21,"income":0.125,"city":"Zürich"}'
    assert row["features_exact"] is None


def test_inputs_of_an_unknown_version_are_a_list() -> None:
    _, row = as_row(prediction(1, model="forgotten"))
    assert row["features"] == '[21,0.125,"Zürich"]'


def test_inputs_that_are_more_than_their_names_are_a_list() -> None:
    _, row = as_row(msgspec.structs.replace(prediction(1), features=(1, 2.0, None, True)))
    assert row["features"] == "[1,2.0,null,true]"


def test_answers_can_be_asked_for_as_text_and_as_numbers() -> None:
    told = {}
    for value in ("yes", True, 3, 0.5):
        event = msgspec.structs.replace(prediction(1), output=wire.Output(value))
        _, row = as_row(event)
        told[value] = (row["prediction"], row["prediction_number"], row["prediction_type"])
    assert told == {
        "yes": ("yes", None, "text"),
        True: ("true", 1.0, "boolean"),
        3: ("3", 3.0, "integer"),
        0.5: ("0.5", 0.5, "double"),
    }


def test_every_event_of_the_wire_has_a_table() -> None:
    kinds = {event.__struct_config__.tag for event in wire.Event.__args__}
    assert {f"{kind}s" for kind in kinds} == set(Kind)
    assert {kind: COLUMNS[kind][place].name for kind, place in MODEL_AT.items()} == {
        kind: "model" for kind in Kind if kind is not Kind.WORKERS
    }
