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


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("p.yaml", "batch: 1\nbatch: 2\n", "batch is given twice, in lines 1 and 2"),
        ("p.json", '{"batch": 1, "batch": 2}', "batch is given twice"),
        ("p.toml", "batch = 1\nbatch = 2\n", "overwrite a value"),
    ],
)
def test_policy_with_a_field_twice_is_refused(
    tmp_path: Path, name: str, text: str, why: str
) -> None:
    (tmp_path / name).write_text(text)

    with pytest.raises(InvalidInput, match=why):
        values.policy(str(tmp_path / name), option="--spec")


def test_policy_of_an_unknown_ending_says_what_endings_mean(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("batch: 1\n")

    with pytest.raises(InvalidInput, match="understood as TOML") as refusal:
        values.policy(str(tmp_path / "p.txt"), option="--spec")

    assert ".yaml and .yml are YAML" in refusal.value.remedy


def test_faults_have_the_lines_of_yaml_but_where_said_elsewhere(tmp_path: Path) -> None:
    faults = ["batch: must be 1", "alphas.erors: no such", "clone: must be 1", "model: missing"]
    text = "batch: 0\nclone: 2\nalphas:\n  erors: 1\n"
    for name in ("p.yaml", "p.toml"):
        (tmp_path / name).write_text(text)

    assert values.with_lines(faults, str(tmp_path / "p.yaml"), {"clone"}) == [
        "batch: must be 1 (line 1)",
        "alphas.erors: no such (line 4)",
        "clone: must be 1",
        "model: missing",
    ]
    assert values.with_lines(faults, str(tmp_path / "p.toml")) == faults
    assert values.with_lines(faults, None) == faults
