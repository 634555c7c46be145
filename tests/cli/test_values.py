from __future__ import annotations

from pathlib import Path

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


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("p.toml", "error_odds = 1.5\nshares = [0.1, 0.5]"),
        ("p.json", '{"error_odds": 1.5, "shares": [0.1, 0.5]}'),
        ("p.yaml", "error_odds: 1.5\nshares:\n  - 0.1\n  - 0.5"),
        ("p.yml", "{error_odds: 1.5, shares: [0.1, 0.5]}"),
    ],
)
def test_policy_in_three_languages(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = values.policy(str(tmp_path / name), option="--policy")
    assert found == {"error_odds": 1.5, "shares": [0.1, 0.5]}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("p.toml", b"error_odds = "),
        ("p.json", b"{"),
        ("p.yaml", b"a: [1"),
        ("p.json", b"[1, 2]"),
        ("p.yaml", b"3: 4"),
        ("p.toml", b"\xff\xfe\x00"),
        ("p.yaml", b""),
        ("missing.toml", None),
    ],
)
def test_policy_that_cannot_be_used_says_why(tmp_path: Path, name: str, data: bytes | None) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidInput, match="this file") as refusal:
        values.policy(str(tmp_path / name), option="--policy")
    assert refusal.value.where.startswith("--policy ")
    assert refusal.value.where.endswith(name)
