from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from serinus.stats import intervals


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0.5, 0.999))
def test_proportion_is_wilsons_as_scipy_has_it(trials: int, share: float, level: float) -> None:
    successes = round(trials * share)
    expected = stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    estimate = intervals.proportion(successes, trials, level)
    assert estimate.low == pytest.approx(expected.low, abs=1e-9)
    assert estimate.high == pytest.approx(expected.high, abs=1e-9)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=50))
def test_mean_is_students_as_scipy_has_it(values: list[float]) -> None:
    array = np.array(values)
    estimate = intervals.mean(array.sum(), (array**2).sum(), len(values), 0.9)
    error = stats.sem(array)
    half = float(stats.t.ppf(0.95, len(values) - 1)) * error
    assert estimate.value == pytest.approx(array.mean(), abs=1e-9)
    # Sums of squares lose digits against two passes: compare at the data's own scale.
    tolerance = 1e-5 * (1 + float(np.abs(array).max()))
    assert estimate.high - estimate.value == pytest.approx(half, abs=tolerance)


def test_intervals_without_rows_know_nothing() -> None:
    assert intervals.proportion(0, 0) == intervals.Estimate(0.5, 0.0, 1.0)
    assert intervals.mean(0, 0, 0) == intervals.Estimate(0.0, -math.inf, math.inf)
    assert intervals.mean(3, 9, 1) == intervals.Estimate(3.0, -math.inf, math.inf)
    assert intervals.root_mean_square(9, 81, 1) == intervals.Estimate(3.0, 0.0, math.inf)


def test_root_mean_square_covers_the_truth_as_often_as_it_says() -> None:
    errors = np.random.default_rng(7).normal(scale=2.0, size=(2_000, 200))
    covered = 0
    for row in errors:
        estimate = intervals.root_mean_square((row**2).sum(), (row**4).sum(), row.size, 0.95)
        covered += estimate.low <= 2.0 <= estimate.high
    assert covered / len(errors) > 0.93


def test_level_of_look_spends_no_more_than_the_error_for_ever() -> None:
    spent = sum(1 - intervals.level_of_look(look, 0.05) for look in range(100_000))
    assert 0.0499 < spent < 0.05


def test_proportion_levels_of_looks_hold_for_ever() -> None:
    """Of 1,000 streams of 40 windows each, at most 5 % are ever told to miss the truth."""
    right = np.random.default_rng(11).binomial(100, 0.9, size=(1_000, 40))
    missed = 0
    for stream in right:
        missed += any(
            intervals.proportion(count, 100, intervals.level_of_look(look)).high < 0.9
            for look, count in enumerate(stream.tolist())
        )
    assert missed <= stats.binom.ppf(0.999, 1_000, 0.05)
