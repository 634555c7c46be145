from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving import samples

from serinus import wire
from serinus.serving.telling import unusual
from serinus.serving.telling.unusual import Unusual
from serinus.wire import Arm, Assignment, Field, Manifest

NUMBERS = (Field("age", "double", low=0.0, high=100.0), Field("free", "double"))
MIXED = (
    Field("town", "string", known=("Ulm", "Bonn")),
    Field("age", "double", low=0.0, high=100.0),
    Field("note", "string"),
    Field("flag", "boolean"),
    Field("size", "long", low=-5.0, high=5.0),
)
ASSIGNMENT = Assignment("m", Arm.CHAMPION, 0.0, 1)


@dataclass(eq=False)
class Lane:
    """As much of a lane as is looked at."""

    manifest: Manifest
    version: str = "1.0.0"

    @property
    def runtime(self) -> Lane:
        return self


@dataclass
class Live:
    own: Lane
    projections: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def lane(self, arm: Arm, variant: int = 0) -> Lane:
        return self.own

    def features(self, given: tuple[Any, ...], version: str) -> tuple[Any, ...]:
        return tuple(given[place] for place in self.projections[version])


@dataclass
class Row:
    live: Live
    features: tuple[Any, ...]
    at: int = 0
    answered_by: Lane | None = None
    assignment: Assignment = ASSIGNMENT


def lane(inputs: tuple[Field, ...], version: str = "1.0.0") -> Lane:
    return Lane(Manifest("m", "regression", inputs, "y"), version)


def looked(live: Live, *features: tuple[Any, ...]) -> dict[tuple[str, str], int]:
    seen = Unusual()
    seen.note([Row(live, some, at) for at, some in enumerate(features)])
    return {(one.field, one.kind): one.count for one in seen.found()}


def test_values_far_away_are_counted_by_field_and_side() -> None:
    seen = Unusual()
    live = Live(lane(NUMBERS))
    rows = [(50.0, 1e9), (-0.1, 0.0), (100.0, 0.0), (101, 0.0), (200.0, 0.0), (None, None)]
    seen.note([Row(live, some, 10 + at) for at, some in enumerate(rows)])
    found = {(one.field, one.kind): one for one in seen.found()}
    assert set(found) == {("age", "below"), ("age", "above"), ("", "any")}
    assert (found["age", "below"].count, found["age", "below"].example) == (1, -0.1)
    assert (found["age", "above"].count, found["age", "above"].example) == (2, 200.0)
    assert (found["age", "above"].last_at, found["", "any"].last_at) == (14, 14)
    assert found["", "any"].count == 3


def test_unseen_categories_and_fields_of_every_kind() -> None:
    usual = ("Ulm", 10.0, "anything", True, 5)
    assert looked(Live(lane(MIXED)), usual, (None, None, None, None, None)) == {}
    found = looked(Live(lane(MIXED)), usual, ("Rom", 1.0, "", False, -6), ("Rom", 1.0, "", None, 0))
    assert found == {("town", "unseen"): 2, ("size", "below"): 1, ("", "any"): 2}


def test_nothing_is_unusual_where_nothing_is_known() -> None:
    plain = lane((Field("age", "double"), Field("town", "string")))
    assert looked(Live(plain), (1e300, "Rom"), (None, None)) == {}
    assert looked(Live(lane(())), ()) == {}


def test_rows_are_seen_as_the_version_that_answered_sees_them() -> None:
    other = lane((Field("free", "double", low=0.0, high=1.0),), "2.0.0")
    live = Live(lane(NUMBERS), {"1.0.0": (0, 1), "2.0.0": (1,)})
    seen = Unusual()
    seen.note([Row(live, (500.0, 0.5), 1, other), Row(live, (5.0, 7.0), 2, other)])
    seen.note([Row(live, (500.0, 0.5), 3)])
    told = {(one.version, one.field): one.count for one in seen.found()}
    assert told == {
        ("2.0.0", "free"): 1, ("2.0.0", ""): 1, ("1.0.0", "age"): 1, ("1.0.0", ""): 1,
    }  # fmt: skip


def test_a_version_loaded_anew_is_looked_at_by_its_new_manifest() -> None:
    seen = Unusual()
    seen.note([Row(Live(lane(NUMBERS)), (500.0, 0.0))])
    seen.look()
    seen.note(
        [Row(Live(lane((Field("age", "double", low=0.0, high=1e3), NUMBERS[1]))), (500.0, 0.0))]
    )
    assert [one.count for one in seen.found() if one.field] == [1]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unusual, "MOST_KEPT", 10)
    monkeypatch.setattr(unusual, "MOST_CHECKS", 3)
    seen = Unusual()
    for version in range(30):
        seen.note([Row(Live(lane(NUMBERS, str(version))), (500.0, 0.0), version)])
        seen.look()
    assert len(seen.found()) == 10
    assert {one.version for one in seen.found()} == {str(version) for version in range(25, 30)}
    long = Unusual()
    long.note([Row(Live(lane(MIXED)), ("x" * 1_000, 1.0, "", True, 0))])
    assert {len(str(one.example)) for one in long.found()} == {0, unusual.LONGEST_EXAMPLE}


def test_rows_that_cannot_be_looked_at_harm_nobody(caplog: pytest.LogCaptureFixture) -> None:
    seen = Unusual()
    seen.note([Row(Live(lane(NUMBERS)), ())])
    assert seen.found() == []
    assert "could not be looked at" in caplog.text


cells = st.none() | st.floats(-300, 300) | st.integers(-300, 300)
rows = st.lists(st.tuples(cells, cells), max_size=40)


@given(rows, st.lists(st.integers(1, 8), max_size=8))
def test_counts_are_the_same_however_rows_are_cut(
    given_rows: list[tuple[Any, Any]], cuts: list[int]
) -> None:
    live = Live(lane(NUMBERS))
    made = [Row(live, some, at) for at, some in enumerate(given_rows)]
    whole, parts, others = Unusual(), Unusual(), Unusual()
    whole.note(made)
    rest = made
    for number, cut in enumerate([*cuts, len(made)]):
        (parts if number % 2 else others).note(rest[:cut])
        rest = rest[cut:]
        parts.look()
    summed = unusual.total([*parts.found(), *others.found()])
    assert summed == unusual.total(whole.found())
    age = [age for age, _ in given_rows if age is not None]
    told = {(one.field, one.kind): one.count for one in summed}
    assert told.get(("age", "below"), 0) == sum(value < 0 for value in age)
    assert told.get(("age", "above"), 0) == sum(value > 100 for value in age)


def test_by_model_is_what_people_read() -> None:
    seen = Unusual()
    seen.note([Row(Live(lane(NUMBERS)), (500.0, 0.0), 1_000_000)])
    moment = "1970-01-01T00:00:01+00:00"
    assert unusual.by_model(unusual.total(seen.found())) == {
        "m": {
            "1.0.0": {
                "rows": 1,
                "last_at": moment,
                "fields": {"age": {"above": {"values": 1, "last_at": moment, "example": 500.0}}},
            }
        }
    }


@pytest.mark.parametrize("workers", [1, 2])
def test_one_anomalous_request_is_seen_at_once(gateway: Any, tmp_path: Path, workers: int) -> None:
    ranged = tuple(
        msgspec.structs.replace(field, low=-10.0, high=10.0) for field in samples.NUMBERS
    )
    manifest = samples.number_manifest(inputs=ranged)
    uri = samples.save(tmp_path / "model", samples.logistic(), manifest)
    running = gateway(workers=workers)
    running.publish(1, wire.Route("numbers", wire.Target("1.0.0", uri)))
    usual = {f"x{place}": 0.5 for place in range(4)}

    wrong = {"x1": {"type": 1}, "x3": {"missing": 1}}

    def stats() -> Any:
        return running.get("/stats").json()

    with running:
        running.until(lambda: running.get("/health/ready").status_code == 200)
        assert running.post("/predict", {"features": usual}).status_code == 200
        assert stats()["unusual"] == {}
        assert running.post("/predict", {"features": {**usual, "x2": 1e6}}).status_code == 200
        if workers == 1:
            assert stats()["unusual"]["numbers"]["1.0.0"]["rows"] == 1
        running.until(lambda: stats()["unusual"], 5.0)
        told = stats()["unusual"]["numbers"]["1.0.0"]
        assert told["rows"] == 1
        assert set(told["fields"]) == {"x2"}
        assert told["fields"]["x2"]["above"]["values"] == 1
        assert told["fields"]["x2"]["above"]["example"] == 1e6
        short = {name: usual[name] for name in ("x0", "x1", "x2")}
        batch = {"requests": [{"features": {**usual, "x0": -99.0}}, {"features": short}]}
        assert running.post("/predict/batch", batch).status_code == 200
        assert running.post("/predict", {"features": {**usual, "x1": "one"}}).status_code == 422
        running.until(lambda: stats()["violations"].get("numbers") == wrong, 5.0)
        running.until(lambda: stats()["unusual"]["numbers"]["1.0.0"]["rows"] == 2, 5.0)
        metrics = running.get("/metrics").text
        assert 'ml_unusual_rows_total{model="numbers"} 2.0' in metrics
        assert 'ml_schema_violations_total{field="x1",kind="type",model="numbers"} 1.0' in metrics
