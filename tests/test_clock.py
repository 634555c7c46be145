"""The clock: UTC or nothing, and microseconds that survive the way there and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus import clock
from serinus.errors import InvalidInput


def test_now_is_aware_and_moves_forward() -> None:
    first = clock.now()
    assert first.tzinfo is UTC
    assert clock.now() >= first


def test_epoch_us_agrees_with_now() -> None:
    before = clock.to_epoch_us(clock.now())
    between = clock.epoch_us()
    assert before <= between <= clock.to_epoch_us(clock.now())


def test_monotonic_measures_a_sleep() -> None:
    start = clock.monotonic()
    clock.sleep(0.01)
    assert clock.monotonic() - start >= 0.01


def test_processor_counts_computing_and_not_sleeping() -> None:
    start = clock.processor()
    clock.sleep(0.05)
    slept = clock.processor() - start
    while clock.processor() - start < slept + 0.01:
        pass
    assert slept < 0.04


# Until 2200: a float of seconds holds microseconds exactly enough up to the year 2242.
@given(st.integers(min_value=0, max_value=7_258_118_400_000_000))
def test_epoch_us_survives_the_way_there_and_back(microseconds: int) -> None:
    assert clock.to_epoch_us(clock.from_epoch_us(microseconds)) == microseconds


@given(
    st.integers(min_value=0, max_value=7_258_118_400_000_000),
    st.integers(min_value=-12 * 60, max_value=14 * 60),
)
def test_require_aware_keeps_the_moment(microseconds: int, minutes: int) -> None:
    moment = clock.from_epoch_us(microseconds).astimezone(timezone(timedelta(minutes=minutes)))
    found = clock.require_aware(moment)
    assert found == moment
    assert found.tzinfo is UTC


@pytest.mark.parametrize("convert", [clock.require_aware, clock.to_epoch_us])
def test_naive_times_are_refused(convert: object) -> None:
    assert callable(convert)
    with pytest.raises(InvalidInput, match="2026-01-31T12:00:00 has no time zone") as caught:
        convert(datetime.fromisoformat("2026-01-31T12:00:00"))
    assert "offset" in caught.value.remedy
