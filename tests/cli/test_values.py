from __future__ import annotations

import pytest

from serinus.cli import values
from serinus.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("0.5", 0.5),
        ("true", True),
        ("null", None),
        ('"1"', "1"),
        ("benign", "benign"),
        ("[1]", "[1]"),
        ("", ""),
    ],
)
def test_value(text: str, expected: object) -> None:
    assert values.value(text) == expected
    assert type(values.value(text)) is type(expected)


def test_pairs() -> None:
    assert values.pairs(["a=1", "b=x=y"], option="--param") == {"a": 1, "b": "x=y"}
    with pytest.raises(InvalidInput) as refusal:
        values.pairs(["a"], option="--param")
    assert refusal.value.where == "--param"


def test_document() -> None:
    assert values.document('{"a": 1}', option="features") == {"a": 1}
    with pytest.raises(InvalidInput, match="not JSON"):
        values.document("{", option="features")
