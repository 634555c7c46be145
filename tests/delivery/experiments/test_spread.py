"""Whole distributions from counts: against the tests of the raw values."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy import stats

from serinus.client.experiments import Interval
from serinus.delivery.experiments import spread


def counted(values: np.ndarray) -> np.ndarray:
    return np.bincount(spread.places(values), minlength=spread.BINS)


def middles(values: np.ndarray) -> np.ndarray:
    return spread.places(values).astype(float)


@pytest.mark.parametrize("shift", [0.0, 0.4], ids=["equal", "larger"])
def test_mann_whitney_of_counts_is_that_of_the_binned_values(shift: float) -> None:
    rng = np.random.default_rng(1)
    one, other = rng.lognormal(0, 1, 300), rng.lognormal(shift, 1, 200)
    found = spread.mann_whitney(counted(one), counted(other), 0.95)
    usual = stats.mannwhitneyu(middles(other), middles(one), method="asymptotic")
    assert found.statistic == usual.statistic
    assert found.p_value == pytest.approx(usual.pvalue)
    effect = found.effects[0].estimate
    brunner = stats.brunnermunzel(middles(one), middles(other))
    error = (effect.high - effect.low) / 2 / 1.959964
    assert (effect.value - 0.5) / error == pytest.approx(abs(brunner.statistic), rel=0.01)


def test_kolmogorov_smirnov_of_counts_is_that_of_the_binned_values() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(0, 1, 3_000), rng.normal(0.1, 1, 2_000)
    found = spread.kolmogorov_smirnov(counted(one), counted(other), 0.95)
    usual = stats.ks_2samp(middles(one), middles(other), method="asymp")
    assert found.statistic == pytest.approx(usual.statistic)
    assert found.p_value == pytest.approx(usual.pvalue, rel=0.1)


def test_what_is_told_can_be_sent() -> None:
    rng = np.random.default_rng(4)
    one, other = counted(rng.lognormal(0, 1, 300)), counted(rng.lognormal(0.2, 1, 200))
    for test in (spread.mann_whitney, spread.kolmogorov_smirnov):
        found = test(one, other, 0.95)
        for effect in found.effects:
            sent = msgspec.convert(effect.estimate, Interval, from_attributes=True)
            assert sent.low < sent.value < sent.high
        assert type(found.p_value) is type(found.statistic) is float


def test_both_err_no_more_often_than_they_say() -> None:
    rng = np.random.default_rng(3)
    small = np.zeros(2)
    for _ in range(1_000):
        arms = [counted(rng.lognormal(0, 1, 200)) for _ in range(2)]
        tests = (spread.mann_whitney(*arms, 0.95), spread.kolmogorov_smirnov(*arms, 0.95))
        small += [test.p_value < 0.05 for test in tests]
    assert (small / 1_000 < 0.05 + 3 * (0.05 * 0.95 / 1_000) ** 0.5).all()


def test_values_of_either_sign_and_nothing_have_bins_in_order() -> None:
    places = spread.places([-1e12, -3.0, -1e-9, 0.0, 1e-9, 3.0, 1e12])
    assert (np.diff(places) > 0).all()
    assert places.min() >= 0
    assert places.max() < spread.BINS


def test_no_variance_proves_nothing() -> None:
    same = counted(np.ones(50))
    assert spread.mann_whitney(same, same, 0.95).p_value == 1.0
    assert spread.dense({3: 2})[3] == 2
