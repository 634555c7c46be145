from __future__ import annotations

from serinus.delivery.eligible import differences, named, overlapping
from serinus.wire import Field

AMOUNT, AGE = Field("amount", "double"), Field("age", "double", required=True)


def test_differences_name_each_input() -> None:
    other = (Field("amount", "long"), Field("age", "double"), Field("colour", "string"))

    assert differences((AMOUNT, AGE, Field("gone", "string")), other) == [
        "age is optional, it was required",
        "amount is long, it was double",
        "colour is new",
        "gone is missing",
    ]


def test_differences_of_order_alone() -> None:
    assert differences((AMOUNT, AGE), (AGE, AMOUNT)) == [
        "the order is age, amount, it was amount, age"
    ]


def test_differences_overlook_what_was_trained_on() -> None:
    assert differences((AMOUNT,), (Field("amount", "double", low=-1.0, high=9.0),)) == []


def test_nothing_speaks_against_who_named_nobody_and_against_a_free_model() -> None:
    assert list(named(None, None, "")) == []
    assert list(overlapping(None, "")) == []
    (refusal,) = named(None, "1.0.0", "here")
    assert "none does" in refusal.what
