from __future__ import annotations

import pytest

from serinus.errors import InvalidInput
from serinus.registry import names


@pytest.mark.parametrize("name", ["fraud", "credit-risk_2", "A.b", "x" * 100])
def test_check_usable_name_is_returned(name: str) -> None:
    assert names.check(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../etc/passwd", "reads as a path"),
        ("a/b", "reads as a path"),
        ("a\\b", "reads as a path"),
        ("..", "begins with a dot"),
        (".hidden", "begins with a dot"),
        ("-rf", "a dash"),
        ("", "1 to 100"),
        ("x" * 101, "1 to 100"),
        ("fraud model", "letters, digits"),
        ("fraud\n", "letters, digits"),
        ("modèle", "letters, digits"),
        ("a:b", "letters, digits"),
    ],
)
def test_check_refused_name_says_why(name: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as caught:
        names.check(name)

    assert "Give a name such as" in caught.value.remedy


def test_check_actor_refuses_what_no_history_keeps() -> None:
    assert names.check_actor("ann" * 66) == "ann" * 66
    with pytest.raises(InvalidInput) as caught:
        names.check_actor("x" * 201)
    assert caught.value.faults == ("actor: has 201 characters, may have 200",)
