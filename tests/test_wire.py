"""Wire types: every value survives the way through bytes, in both encodings that carry it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus import wire

TEXT = st.text(max_size=12)
TIMES = st.integers(min_value=0, max_value=2**53)
SHARES = st.floats(min_value=0, max_value=1)
NUMBERS = st.floats(allow_nan=False)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
WHOLE = st.integers(min_value=-(2**63), max_value=2**63 - 1)
# In msgpack and in JSON a float that is a whole number may come back as an int that equals it.
ANSWERS = st.one_of(st.booleans(), WHOLE, NUMBERS, TEXT)
CELLS = st.one_of(st.none(), ANSWERS)
FINITE_CELLS = st.one_of(st.none(), st.booleans(), WHOLE, st.floats(-1e300, 1e300), TEXT)
IDS = st.binary(min_size=16, max_size=16)
ARMS = st.sampled_from(wire.Arm)

OUTPUTS = st.builds(wire.Output, ANSWERS, st.lists(SHARES, max_size=4).map(tuple))
ASSIGNMENTS = st.builds(wire.Assignment, TEXT, ARMS, SHARES, TIMES, TEXT, TIMES, WHOLE)
FEATURES = st.lists(CELLS, max_size=5).map(tuple)
FAILED = st.dictionaries(TEXT, TEXT, max_size=3)
EVENTS: dict[type, st.SearchStrategy[Any]] = {
    wire.Prediction: st.builds(
        wire.Prediction, TIMES, ASSIGNMENTS, TEXT, FEATURES, OUTPUTS, TIMES, TEXT
    ),
    wire.Failure: st.builds(wire.Failure, TIMES, ASSIGNMENTS, TEXT, TEXT, TIMES),
    wire.Shadow: st.builds(
        wire.Shadow,
        TIMES,
        IDS,
        ASSIGNMENTS,
        TEXT,
        st.one_of(st.none(), OUTPUTS),
        st.one_of(st.none(), OUTPUTS),
        TIMES,
        TEXT,
    ),
    wire.Label: st.builds(wire.Label, TIMES, IDS, ANSWERS, TIMES, ASSIGNMENTS, TEXT, OUTPUTS),
    wire.Value: st.builds(wire.Value, TIMES, IDS, FINITE, TIMES, ASSIGNMENTS, TEXT),
    wire.WorkerStatus: st.builds(
        wire.WorkerStatus, TIMES, TEXT, TIMES, st.lists(TEXT, max_size=3).map(tuple), FAILED
    ),
}
TARGETS = st.builds(wire.Target, TEXT, TEXT)
ROUTES = st.builds(
    wire.Route,
    model=TEXT,
    champion=TARGETS,
    challenger=st.one_of(st.none(), TARGETS),
    share=SHARES,
    mirror=SHARES,
    unit=st.sampled_from(["request", "entity"]),
    salt=TEXT,
    deployment=TEXT,
    step=st.integers(min_value=0, max_value=20),
)
TABLES = st.builds(wire.RoutingTable, TIMES, st.dictionaries(TEXT, ROUTES, max_size=3))
FIELDS = st.builds(
    wire.Field, TEXT, st.sampled_from(["double", "long", "boolean", "string"]), st.booleans()
)
MANIFESTS = st.builds(
    wire.Manifest,
    model=TEXT,
    task=st.sampled_from(["classification", "regression"]),
    inputs=st.lists(FIELDS, max_size=4).map(tuple),
    target=TEXT,
    classes=st.lists(st.one_of(TEXT, WHOLE, st.booleans()), max_size=3).map(tuple),
    # JSON has no infinity: an example is a row that a request could send.
    example=st.dictionaries(TEXT, FINITE_CELLS, max_size=3),
)


def test_every_event_is_tried_here() -> None:
    assert set(EVENTS) == set(wire.Event.__args__)


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_event_survives_msgpack(kind: type, data: st.DataObject) -> None:
    event = data.draw(EVENTS[kind])
    found = msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=wire.Event)
    assert type(found) is kind
    assert found == event


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_event_keeps_the_kind_of_each_value(kind: type, data: st.DataObject) -> None:
    event = data.draw(EVENTS[kind])
    found = msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=wire.Event)
    assert repr(found) == repr(event)  # tells True from 1, and 1 from 1.0


@given(TABLES)
def test_routing_table_survives_json(table: wire.RoutingTable) -> None:
    assert msgspec.json.decode(msgspec.json.encode(table), type=wire.RoutingTable) == table


@given(MANIFESTS)
def test_manifest_survives_json(manifest: wire.Manifest) -> None:
    assert msgspec.json.decode(msgspec.json.encode(manifest), type=wire.Manifest) == manifest


@given(st.binary(max_size=64))
def test_event_of_arbitrary_bytes_is_refused_or_an_event(noise: bytes) -> None:
    try:
        event = msgspec.msgpack.decode(noise, type=wire.Event)
    except (msgspec.DecodeError, UnicodeDecodeError):  # the latter for text that is not UTF-8
        return
    assert isinstance(event, wire.Event)


@pytest.mark.parametrize("unit", ["row", "", None])
def test_route_refuses_a_unit_that_does_not_exist(unit: object) -> None:
    route = {"model": "m", "champion": {"version": "1.0.0", "uri": "/x"}, "unit": unit}
    with pytest.raises(msgspec.ValidationError, match="unit"):
        msgspec.convert(route, wire.Route)


def test_route_without_a_challenger_sends_it_nothing() -> None:
    route = wire.Route(model="m", champion=wire.Target("1.0.0", "/x"))
    assert (route.challenger, route.share, route.mirror) == (None, 0.0, 0.0)


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_event_cannot_be_changed(kind: type, data: st.DataObject) -> None:
    event = data.draw(EVENTS[kind])
    with pytest.raises(AttributeError):
        event.at = 1


def test_field_of_before_ranges_were_kept_says_nothing_of_them() -> None:
    old = {"name": "age", "type": "double", "required": True}
    field = msgspec.convert(old, wire.Field)
    assert field == wire.Field("age", "double", required=True)
    assert msgspec.to_builtins(field) == old
    ranged = wire.Field("age", "double", low=-1.0, high=2.0)
    assert msgspec.json.decode(msgspec.json.encode(ranged), type=wire.Field) == ranged


def test_package_of_a_plain_original_is_short() -> None:
    """What an older registration did not write is what it was: the original, and nothing tried."""
    plain = msgspec.json.decode(b'{"form": "estimator"}', type=wire.Package)
    assert plain == wire.Package("estimator")
    tried = wire.Attempt("onnx", "used", 1.5, 10, 40, 99, 1e-9, {"1": 30.0}, {"1": 200.0})
    whole = wire.Package("onnx", "g.onnx", 19, 1e-6, 1e-9, 40, (tried,), "")
    assert msgspec.json.decode(msgspec.json.encode(whole), type=wire.Package) == whole


def manifest(task: Any, classes: tuple[str | int | bool, ...]) -> wire.Manifest:
    return wire.Manifest("fraud", task, (), "is_fraud", classes)


@pytest.mark.parametrize(
    ("classes", "given", "fits"),
    [
        ((0, 1), 1, 1),
        ((0, 1), 1.0, 1),
        ((0, 1), True, None),
        ((True, False), True, True),
        ((True, False), 1, None),
        (("no", "yes"), "yes", "yes"),
        (("no", "yes"), "maybe", None),
        ((), "anything", "anything"),
    ],
)
def test_fitting_answer_of_classes_is_one_of_them(classes: Any, given: Any, fits: Any) -> None:
    found = manifest("classification", classes).fitting(given)
    assert (found, type(found)) == (fits, type(fits))


@pytest.mark.parametrize(
    ("given", "fits"),
    [(3, 3.0), (0.5, 0.5), (True, None), ("3", None), (float("nan"), None), (10**400, None)],
    ids=["whole", "broken", "truth", "text", "nan", "huge"],
)
def test_fitting_answer_of_a_regression_is_a_finite_number(given: Any, fits: Any) -> None:
    found = manifest("regression", ()).fitting(given)
    assert (found, type(found)) == (fits, type(fits))


def test_failure_that_was_written_without_its_features_is_read() -> None:
    assignment = wire.Assignment("m", wire.Arm.CHAMPION, 0.0, 1)
    whole = wire.Failure(5, assignment, "1", "no", 9, "", None, (1.0, "a"))
    told = msgspec.msgpack.decode(msgspec.msgpack.encode(whole))
    old = msgspec.msgpack.decode(msgspec.msgpack.encode(told[:-1]), type=wire.Failure)
    assert old == msgspec.structs.replace(whole, features=())
