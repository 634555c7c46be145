"""All that is wrong with an object, told at once and within bounds."""

from __future__ import annotations

import json
from typing import Annotated, Any

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


class Bounded(msgspec.Struct, kw_only=True):
    long: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] = 0
    size: Annotated[int, msgspec.Meta(ge=0, le=4_000)] = 0
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=9)] = "a"
    shape: Annotated[list[int], msgspec.Meta(max_length=2)] = []
    age: float = 0.0


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


LONG = "expected a whole number from -9,223,372,036,854,775,808 to 9,223,372,036,854,775,807"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"long": 9223372036854775808}', LONG),
        ('{"long": -9223372036854775809}', LONG),
        ('{"size": 4001}', "expected a whole number of at most 4,000"),
        ('{"size": -1}', "expected a whole number of at least 0"),
        ('{"name": ""}', "expected text of at least 1 character"),
        ('{"name": "abcdefghij"}', "expected text of at most 9 characters"),
        ('{"shape": [1, 2, 3]}', "expected an array of at most 2 items"),
        ('{"age": 1e400}', "expected a number from -1.8e308 to 1.8e308"),
        ('{"long": 1%s}' % ("0" * 5_000), "the whole number has far too many digits"),
    ],
    ids=["long", "low", "most", "least", "empty", "text", "array", "number", "digits"],
)
def test_a_bound_is_told_in_words(body: str, words: str) -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.json.decode(body, type=Bounded)
    found = Faults(Bounded).explain(error.value)
    assert found.what == words
    assert body.startswith(f'{{"{found.where}"')


def test_a_whole_number_too_large_for_any_number_is_told_of_its_range() -> None:
    found = FOUND.read({"features": {"age": 10**400}}, "")
    assert isinstance(found, InvalidInput)
    assert (found.where, found.what) == (
        "features.age", "expected a number from -1.8e308 to 1.8e308",
    )  # fmt: skip


def test_digits_without_end_are_told_in_words() -> None:
    with pytest.raises(InvalidInput, match="a number in it has far too many digits"):
        faults.parse(b"[1%s]" % (b"0" * 5_000))


@pytest.mark.parametrize("document", [None, 1, float("nan"), "text", "\ud800", [], [{}]])
def test_what_is_no_object_has_one_fault(document: Any) -> None:
    found = FOUND.read(document, "rows[0]")
    assert isinstance(found, InvalidInput)
    assert (found.where, found.faults) == ("rows[0]", ())


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[" * 100_000])
def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="not valid JSON"):
        faults.parse(body)
