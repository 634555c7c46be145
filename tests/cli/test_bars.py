from __future__ import annotations

from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.cli import bars


@given(part=st.floats(-1, 2), width=st.integers(1, 60))
def test_bar_fills_with_its_part_and_keeps_its_width(part: float, width: int) -> None:
    for marks in (bars.LINES, bars.PLAIN):
        drawn = bars.bar(part, width, "red", marks).plain
        assert len(drawn) == width
        used = width - drawn.count(marks.rest)
        assert abs(used - width * min(max(part, 0), 1)) <= 1
        assert (used > 0) is (part > 0)


@pytest.mark.parametrize(
    ("log_e", "shown"),
    [(-3.0, "<1"), (0.0, "1"), (log(3.24), "3.2"), (log(9.96), "10"), (log(1000), "1000"),
     (log(12_345), "12k"), (99.0, ">1M")],
)  # fmt: skip
def test_odds_are_short(log_e: float, shown: str) -> None:
    assert bars.odds(log_e) == shown
    assert len(bars.odds(log_e)) <= 4


@given(
    count=st.integers(1, 40),
    width=st.integers(10, 120),
    here=st.integers(0, 39),
    over=st.booleans(),
)
def test_steps_show_the_present_one_in_any_width(
    count: int, width: int, here: int, over: bool
) -> None:
    names = [f"{number} %" for number in range(1, count)] + ["all traffic"]
    here = min(here, count - 1)
    drawn = bars.steps(names, here, width, over=over).plain
    assert names[here] in drawn
    assert len(drawn) <= max(width, len(names[here]) + 2)
    assert ("▶" in drawn) is not over


def test_steps_leave_out_the_middle_and_say_so() -> None:
    names = [f"{number} %" for number in range(5, 100, 5)] + ["all traffic"]
    drawn = bars.steps(names, 9, 60, over=False).plain
    assert drawn.startswith("✓ 5 % …")
    assert "▶ 50 % ── 55 %" in drawn
    assert drawn.endswith("… all traffic")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-1, "0 s"), (40, "40 s"), (720, "12 min"), (7_500, "2 h 5 min"), (50_000, "14 h"),
     (259_200, "3 days")],
)  # fmt: skip
def test_lasting_is_said_as_one_says_it(seconds: float, shown: str) -> None:
    assert bars.lasting(seconds) == shown


@pytest.mark.parametrize(
    ("rate", "shown"),
    [(0.0, "none now"), (0.05, "3.0/min"), (2.72, "2.7/s"), (1234.5, "1,234/s")],
)
def test_rate_has_two_digits(rate: float, shown: str) -> None:
    assert bars.rate(rate) == shown


@given(st.text(), st.integers(4, 80))
def test_shortened_fits_in_one_line(text: str, width: int) -> None:
    short = bars.shortened(text, width)
    assert len(short) <= width
    assert "\n" not in short


def test_filled_is_a_part() -> None:
    given = ((None, 1.0), (-1.0, 2.0), (1.0, 2.0), (9.0, 2.0))
    assert [bars.filled(*each) for each in given] == [0.0, 0.0, 0.5, 1.0]
    assert bars.against(log(3.2), log(100)) == "3.2/100"
