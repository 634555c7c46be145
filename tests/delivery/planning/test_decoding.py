"""Every field that cannot be used is told at once, in a person's words."""

from typing import get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.delivery.planning import decoding
from serinus.delivery.planning.decoding import decode
from serinus.delivery.types import DeploymentSpec

NAMED = {"model": "fraud", "challenger": "2.0.0"}


def test_decode_gives_each_field_its_type() -> None:
    found, faults = decode({**NAMED, "shares": [0.1, 0.5], "max_hours": 3, "entities": None})

    assert faults == []
    assert found == {**NAMED, "shares": (0.1, 0.5), "max_hours": 3.0, "entities": None}
    assert DeploymentSpec(**found).max_hours == 3.0


def test_decode_tells_every_fault_at_once() -> None:
    _, faults = decode(
        {
            "challenger": 2,
            "strategy": "yellow",
            "shares": [0.05, 25, True],
            "labels": "no",
            "error_ods": 2.0,
            "colour": "red",
            "alphas": {"erors": 0.01, "latency": "low", "quality": 0.9},
            "batch": None,
        }
    )

    assert faults[:5] == [
        'challenger: must be text, not 2; put it in quotes, as "2"',
        "strategy: must be one of shadow, canary, blue_green, ab_test, rolling, not 'yellow'",
        "shares: 25 is no share; write 25% or 0.25",
        "labels: must be true or false, not 'no'",
        "error_ods: there is no such field; did you mean error_odds?",
    ]
    assert faults[5].startswith("colour: there is no such field; there are model, challenger,")
    assert faults[6:] == [
        "alphas.erors: there is no such guardrail; did you mean errors?",
        "alphas.latency: must be a number, not 'low'",
        "alphas.quality: must be above 0 and at most 0.05, not 0.9",
        "batch: must be a whole number, not nothing",
        "model: missing; name the model",
    ]


def test_decode_shows_no_more_than_the_beginning_of_a_value() -> None:
    _, (fault,) = decode({**NAMED, "metric": ["x" * 1_000]})

    assert len(fault) < 100
    assert fault.endswith("…")


def test_every_type_of_a_field_has_words() -> None:
    for hint in get_type_hints(DeploymentSpec).values():
        assert "typing" not in decoding._words(hint)


@given(
    st.dictionaries(
        st.sampled_from(DeploymentSpec.__struct_fields__) | st.text(max_size=5),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.floats()),
    )
)
def test_decode_takes_what_msgspec_takes_and_nothing_else(fields: dict[str, object]) -> None:
    found, faults = decode(fields)

    try:
        whole = msgspec.convert(fields, DeploymentSpec)
    except msgspec.ValidationError:
        assert faults
    else:
        assert not faults
        assert repr(DeploymentSpec(**found)) == repr(whole)


@pytest.mark.parametrize("value", [[], "x", 3, True])
def test_decode_refuses_alphas_that_are_no_table(value: object) -> None:
    _, (fault,) = decode({**NAMED, "alphas": value})

    assert fault.startswith("alphas: must be a table of numbers by guardrail")


def test_decode_takes_shares_with_their_sign_and_without() -> None:
    found, faults = decode(
        {**NAMED, "shares": "5%, 25 %,0.5", "split": "20%", "quality_points": "2%", "clone": 0.1}
    )

    assert faults == []
    assert (found["shares"], found["split"]) == ((0.05, 0.25, 0.5), (0.2,))
    assert (found["quality_points"], found["clone"]) == (0.02, 0.1)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (1.1, 'not 1.1; put it in quotes, as "1.1" (unquoted, 1.10 is the number 1.1)'),
        (2, 'not 2; put it in quotes, as "2"'),
        (True, "not True"),
        (["x"], "not ['x']"),
    ],
    ids=["float", "int", "bool", "list"],
)
def test_number_where_text_is_meant_is_told_to_be_quoted(value: object, told: str) -> None:
    _, (fault,) = decode({**NAMED, "challenger": value})

    assert fault == f"challenger: must be text, {told}"
