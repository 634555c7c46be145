"""Intervals that hold at every look."""

from __future__ import annotations

import numpy as np
import pytest

from serinus.stats import mean_bands

VALUES = np.array([-1.0, 0.0, 1.0])


def test_bounded_of_nothing_is_everything():
    found = mean_bands.bounded([0, 0, 0], VALUES)
    assert (found.value, found.low, found.high) == (0.0, -1.0, 1.0)


def test_bounded_turns_round_with_its_values():
    one = mean_bands.bounded([10, 900, 90], VALUES)
    other = mean_bands.bounded([90, 900, 10], VALUES)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))


def test_bounded_narrows_with_what_is_seen():
    widths = []
    for times in (1, 10, 100, 1_000):
        found = mean_bands.bounded(np.array([2, 90, 8]) * times, VALUES)
        assert found.value == pytest.approx(0.06)
        assert found.low < 0.06 < found.high
        widths.append(found.high - found.low)
    assert widths == sorted(widths, reverse=True)
    # A fixed interval of 100,000 would be 0.0019 either way.
    assert widths[-1] < 2 * 0.0035


def test_intervals_ever_miss_the_mean_as_rarely_as_they_say():
    """At 40 looks each, of runs whose mean is known."""
    rng = np.random.default_rng(5)
    missed = [0, 0]
    for _ in range(100):
        drawn = rng.choice(3, size=4_000, p=[0.02, 0.91, 0.07])
        looks = np.cumsum(np.eye(3, dtype=int)[drawn], axis=0)[99::100]
        exact = [mean_bands.bounded(counts, VALUES, 0.9) for counts in looks[::4]]
        rough = [
            mean_bands.asymptotic(counts @ VALUES, counts @ VALUES**2, int(counts.sum()), 0.9)
            for counts in looks
        ]
        for place, found in enumerate((exact, rough)):
            missed[place] += any(not one.low <= 0.05 <= one.high for one in found)
    assert missed[0] <= 10
    assert missed[1] <= 16


def test_asymptotic_of_one_value_is_everything():
    found = mean_bands.asymptotic(3.0, 9.0, 1)
    assert (found.low, found.high) == (-np.inf, np.inf)
