"""Nobody gives another share than the one that was meant."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.delivery.planning import shares


@pytest.mark.parametrize(
    ("given", "share"),
    [("5%", 0.05), ("33.3 %", 0.333), (0.05, 0.05), ("0.05", 0.05), (" .5 ", 0.5), ("0.5%", 0.005),
     ("150%", 1.5), (0, 0.0), (-0.2, -0.2)],
)  # fmt: skip
def test_share_is_read(given: object, share: float) -> None:
    assert shares.read(given) == share


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (5, "5 is no share; write 5% or 0.05"),
        ("12.50", "12.5 is no share; write 12.5% or 0.125"),
        (1, "1 is no share; write 1% or 0.01"),
        (100, "100 is no share; write such as 5% or 0.05"),
        ("ten", "'ten' is no share; write such as 5% or 0.05"),
        ("nan%", "'nan%' is no share; write such as 5% or 0.05"),
        (float("inf"), "inf is no share; write such as 5% or 0.05"),
        (None, "nothing is no share; write such as 5% or 0.05"),
        (True, "True is no share; write such as 5% or 0.05"),
    ],
)
def test_what_is_no_share_is_refused_with_what_was_meant(given: object, said: str) -> None:
    with pytest.raises(ValueError, match="is no share") as refusal:
        shares.read(given)
    assert str(refusal.value) == said


@given(st.floats(0.001, 99.999, allow_nan=False))
def test_either_way_of_writing_is_the_same_share(percentage: float) -> None:
    assert shares.read(f"{percentage!r}%") == pytest.approx(percentage / 100, rel=1e-12)
    assert shares.read(f"{percentage!r}%") < 1.0


@given(st.one_of(st.floats(), st.integers(), st.text(max_size=9), st.booleans(), st.none()))
def test_nothing_of_one_and_more_is_taken_without_its_sign(value: object) -> None:
    share = 0.0
    with suppress(ValueError):
        share = shares.read(value)
    assert share < 1 or str(value).rstrip().endswith("%")


def test_several_shares_by_a_list_a_text_or_one() -> None:
    assert shares.several(["5%", 0.5]) == [0.05, 0.5]
    assert shares.several("5%,0.5") == [0.05, 0.5]
    assert shares.several(0.5) == [0.5]
    assert shares.part("10%") == 0.1
    assert shares.part("ten%") == "ten%"
    assert shares.part(3) == 3
