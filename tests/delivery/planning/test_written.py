"""YAML of a plan: what it means, what is refused, and where each field is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.delivery.planning import written


def test_read_gives_the_value() -> None:
    assert written.read("model: fraud\nshares: [0.1, 0.5]\n") == {
        "model": "fraud",
        "shares": [0.1, 0.5],
    }
    assert written.read("") is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("batch: 1\nclone: 0\nbatch: 2\n", "batch is given twice, in lines 1 and 3"),
        ("alphas:\n  errors: 0.1\n  errors: 0.2\n", "errors is given twice, in lines 2 and 3"),
        ("a: &x 1\nb: *x\n", "references are not taken"),
        ("a: [1", "expected ',' or ']'"),
        ("a: !!bool x", "x"),
    ],
    ids=["twice", "twice within", "reference", "torn", "tag"],
)
def test_read_refuses_in_one_line(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)) as refusal:
        written.read(text)

    assert "\n" not in str(refusal.value)


def test_lines_are_of_fields_and_of_those_within() -> None:
    text = "# of today\nmodel: fraud\nalphas:\n  erors: 0.1\n"

    assert written.lines_of(text) == {"model": 2, "alphas": 3, "alphas.erors": 4}


@pytest.mark.parametrize("text", ["- 1", "[", "a: !!bool x", ""])
def test_what_has_no_fields_has_no_lines(text: str) -> None:
    assert written.lines_of(text).keys() <= {"a"}


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    lines = written.lines_of(text)
    try:
        found = written.read(text)
    except ValueError:
        return
    assert len(lines) == 0 or isinstance(found, dict)
