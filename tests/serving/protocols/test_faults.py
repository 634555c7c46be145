"""All that is wrong with an object, told at once and within bounds."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.errors import InvalidInput
from serinus.serving.protocols import faults
from serinus.serving.protocols.faults import Faults, WrongRow


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    age: float
    count: int | None = None
    town: str | None = None


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    features: Inner
    entity: str | None = None


FOUND = Faults(Outer)
values = st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.just([1])
names = st.sampled_from(["age", "count", "town"]) | st.text(max_size=5)
documents = st.fixed_dictionaries(
    {}, optional={"features": st.dictionaries(names, values) | values, "entity": values}
)


@given(documents)
def test_read_takes_exactly_what_the_fast_decoder_takes(document: Any) -> None:
    found = FOUND.read(json.loads(json.dumps(document)), "")
    try:
        assert found == msgspec.json.decode(json.dumps(document), type=Outer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        assert isinstance(found, InvalidInput)


@given(documents, st.sampled_from(["age", "count", "town"]))
def test_one_field_mended_is_its_faults_less(document: Any, name: str) -> None:
    if not isinstance(document.get("features"), dict):
        document["features"] = {}
    good = {"age": 1.0, "count": 1, "town": "Ulm"}[name]
    before = _told(FOUND.read(document, ""))
    after = _told(FOUND.read({**document, "features": {**document["features"], name: good}}, ""))
    assert after == [line for line in before if line[0] != f"features.{name}"]


def _told(found: Any) -> list[tuple[str, str]]:
    each = found.each if isinstance(found, WrongRow) else [found]
    return [(one.where, one.what) for one in each if isinstance(one, InvalidInput)]


def test_the_first_fault_alone() -> None:
    found = FOUND.read({"features": {"count": "x"}, "entity": 3}, "rows[1]", all_of_them=False)
    assert (found.where, found.what) == ("rows[1].features.age", "the field is missing")


def test_faults_without_end_are_bounded() -> None:
    row = {"features": {"age": 1.0, **{f"unknown {number}": 1 for number in range(1_000)}}}
    found = FOUND.read(row, "")
    assert found.what == "more than 50 fields are wrong"
    assert len(found.faults) == faults.MOST_FAULTS + 1
    assert found.faults[-1] == "and more"


def test_a_name_without_end_is_cut() -> None:
    found = FOUND.read({"features": {"age": 1.0, "x" * 100_000: 1}}, "")
    assert found.what == "the field is unknown"
    assert len(found.where) < 300


@pytest.mark.parametrize("document", [None, 1, float("nan"), "text", "\ud800", [], [{}]])
def test_what_is_no_object_has_one_fault(document: Any) -> None:
    found = FOUND.read(document, "rows[0]")
    assert isinstance(found, InvalidInput)
    assert (found.where, found.faults) == ("rows[0]", ())


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[" * 100_000])
def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="not valid JSON"):
        faults.parse(body)
