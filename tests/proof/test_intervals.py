from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from serinus.proof import intervals


def test_rate_limits_of_no_and_of_all_hits():
    # The rule of three, exactly: 1 - 0.05^(1/n).
    assert intervals.rate_upper(0, 100) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert intervals.rate_lower(100, 100) == pytest.approx(0.05 ** (1 / 100))
    assert intervals.rate_upper(100, 100) == 1.0
    assert intervals.rate_lower(0, 100) == 0.0


def test_rate_limits_of_the_bars():
    # verdicts: at most 38 of 1,000, 12 of 400 and 83 of 2,000 keep an upper limit of 0.05.
    for hits, runs in ((38, 1_000), (12, 400), (83, 2_000)):
        assert intervals.rate_upper(hits, runs) <= 0.05 < intervals.rate_upper(hits + 1, runs)


@given(st.integers(1, 400), st.data())
def test_rate_limits_invert_the_binomial(runs, data):
    hits = data.draw(st.integers(0, runs - 1))
    upper = intervals.rate_upper(hits, runs)
    assert stats.binom.cdf(hits, runs, upper) == pytest.approx(0.05)
    assert intervals.rate_lower(hits + 1, runs) < (hits + 1) / runs
    both = stats.binomtest(hits, runs).proportion_ci(0.9, method="exact")
    assert upper == pytest.approx(both.high)
    assert intervals.rate_lower(hits, runs) == pytest.approx(both.low)


def test_quantile_never_mixes_with_infinity():
    times = [1.0, 2.0, 3.0, math.inf]
    assert intervals.quantile(times, 0.5) == 2.0
    assert intervals.quantile(times, 0.75) == 3.0
    assert intervals.quantile(times, 0.9) == math.inf


def test_quantile_upper_covers_the_true_quantile():
    rng = np.random.default_rng(1)
    samples = rng.exponential(size=(2_000, 60))
    for share in (0.5, 0.9):
        true = -math.log(1 - share)
        above = [intervals.quantile_upper(sample, share) >= true for sample in samples]
        assert 0.94 <= np.mean(above) <= 0.995
    assert intervals.quantile_upper(samples[0][:10], 0.9) == math.inf
