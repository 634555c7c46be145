from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Literal

import httpx
import msgspec
import pytest
from tests.api.running import MODEL, Faces

from serinus.api import messages
from serinus.errors import InvalidInput
from serinus.registry.types import Stage


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Point(msgspec.Struct, forbid_unknown_fields=True):
    x: float
    tags: list[str] = []
    colour: Colour | None = None
    sides: tuple[Literal["left", "right"], ...] = ()
    weights: dict[Literal["light", "heavy"], float] = {}


@pytest.mark.parametrize(
    ("data", "where", "what"),
    [
        (b"", "body", "missing required field"),
        (b"{", "body", "not JSON"),
        (b"\xff\xfe", "body", "not JSON"),
        (b"[]", "body", "expected `object`"),
        (b'{"x": "far"}', "body.x", "expected `float`"),
        (b'{"x": 1, "tags": ["a", 2]}', "body.tags[1]", "expected `str`"),
        (b'{"x": 1, "y": 2}', "body", "unknown field `y`"),
        (b'{"x": 1, "color": "red"}', "body", "unknown field `color`; did you mean colour?"),
        (b'{"x": 1, "colour": "odd"}', "body.colour", "'odd'; choose from red, blue"),
        (b'{"x": 1, "sides": ["left", "up"]}', "body.sides[1]", "'up'; choose from left, right"),
        (b'{"x": 1, "weights": {"no": 1}}', "body.weights", "'no'; choose from heavy, light"),
    ],
)
def test_decode_names_the_place(data: bytes, where: str, what: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        messages.decode(data, Point)

    assert refusal.value.where == where
    assert what in refusal.value.what


def test_decode_gives_the_value() -> None:
    assert messages.decode(b'{"x": 1}', Point) == Point(1.0)


def test_page_has_a_cursor_only_if_it_is_full() -> None:
    full = msgspec.json.decode(messages.page(["a", "b"], 2, str).body)
    short = msgspec.json.decode(messages.page(["a"], 2, str).body)

    assert full == {"items": ["a", "b"], "next": "b"}
    assert short == {"items": ["a"], "next": None}


def test_json_has_no_nan() -> None:
    assert messages.Json({"x": float("nan")}).body == b'{"x":null}'


def test_body_too_large_is_refused(faces: Faces) -> None:
    answer = httpx.post(f"{faces.url}/deployments", content=b"x" * (messages.LARGEST_BODY + 1))

    assert answer.status_code == 422
    assert answer.json()["remedy"] == "Send less."


@pytest.mark.parametrize("text", ["a: !!bool x", "a: !!timestamp x", "a: 2024-13-45", "[" * 5_000])
def test_yaml_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="this is not YAML"):
        messages.decode(text.encode(), dict[str, object], "yaml")


def test_yaml_with_a_name_twice_is_refused_with_its_lines() -> None:
    with pytest.raises(InvalidInput, match="batch is given twice, in lines 2 and 4"):
        messages.decode(b"model: m\nbatch: 1\nclone: 0\nbatch: 2\n", dict[str, object], "yaml")


def test_faults_of_yaml_name_their_lines(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    text = f"# of today\nmodel: {MODEL}\nchallenger: 1.1.0\nshares:\n  - many\nmin_request: 5\n"
    kind = {"content-type": "application/yaml"}

    answer = httpx.post(f"{faces.url}/deployments", content=text, headers=kind)

    assert answer.status_code == 422
    faults = {fault.partition(":")[0]: fault for fault in answer.json()["faults"]}
    assert faults["shares"].endswith("(line 4)")
    assert faults["min_request"].endswith("(line 6)")


def test_yaml_that_keeps_all_others_waiting_is_refused(faces: Faces) -> None:
    kind = {"content-type": "application/yaml"}
    text = f"shares: [{', '.join(['0.1'] * 10_000)}]"

    answer = httpx.post(f"{faces.url}/deployments", content=text, headers=kind)

    assert answer.status_code == 422
    assert "the body is larger than 16,384 bytes" in answer.json()["detail"]
    assert answer.json()["remedy"] == "Send it as JSON: up to 1,000,000 bytes are read."


def test_sizes_of_bodies_are_in_the_documents() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "deployments.md"
    text = page.read_text(encoding="utf-8")

    assert f"at most {messages.LARGEST_BODY:,} bytes; one of YAML at most" in text
    assert f"of YAML at most {messages.LARGEST_YAML:,}," in text
