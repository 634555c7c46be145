"""Paired betting: an exact martingale over differences of the same requests."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.stats import paired_betting

DIFFERENCES = np.array([-1.0, 0.0, 1.0])


def gains(margin: float | None) -> np.ndarray:
    """The e-value after one pair with each difference."""
    values = []
    for index in range(3):
        counts = np.zeros(3, np.int64)
        counts[index] = 1
        values.append(
            paired_betting.log_e_harm(counts, DIFFERENCES)
            if margin is None
            else paired_betting.log_e_safety(counts, DIFFERENCES, margin)
        )
    return np.exp(values)


@given(flips=st.floats(0.0, 1.0), tilt=st.floats(-1.0, 0.0))
def test_paired_harm_never_gains_on_a_challenger_that_is_not_worse(
    flips: float, tilt: float
) -> None:
    law = np.array([flips * (1 - tilt) / 2, 1 - flips, flips * (1 + tilt) / 2])
    assert law @ gains(None) <= 1.0 + 1e-12


@given(margin=st.floats(0.005, 0.5), flips=st.floats(0.0, 1.0))
def test_paired_safety_is_fair_at_the_margin(margin: float, flips: float) -> None:
    flips = max(flips, margin)
    law = np.array([(flips - margin) / 2, 1 - flips, (flips + margin) / 2])
    assert law @ gains(margin) == pytest.approx(1.0)


@given(counts=st.lists(st.integers(0, 10**6), min_size=3, max_size=3))
def test_paired_log_e_is_finite_and_mirrors(counts: list[int]) -> None:
    array = np.array(counts)
    harm = paired_betting.log_e_harm(array, DIFFERENCES)
    safety = paired_betting.log_e_safety(array, DIFFERENCES, 0.02)
    assert math.isfinite(harm)
    assert math.isfinite(safety)
    # The same bet on mirrored differences, against no margin at all.
    mirrored = paired_betting.log_e_safety(array[::-1].copy(), DIFFERENCES, 0.0)
    assert mirrored == pytest.approx(harm)


def test_paired_harm_finds_two_points_within_the_published_labels() -> None:
    rng = np.random.default_rng(11)
    found = []
    for _ in range(60):
        pairs = rng.choice(DIFFERENCES, size=4000, p=[0.015, 0.95, 0.035])
        labels = 4001
        for n in range(100, 4001, 50):
            counts = np.array([(pairs[:n] == d).sum() for d in DIFFERENCES])
            if paired_betting.log_e_harm(counts, DIFFERENCES) > math.log(100):
                labels = n
                break
        found.append(labels)
    # verdicts.md: median 1,330 labels, 90 % within 2,540.
    assert np.median(found) <= 1600


def test_paired_safety_lets_an_equal_challenger_through_within_the_published_labels() -> None:
    rng = np.random.default_rng(13)
    looks = np.arange(20, 4_001, 20)
    pairs = rng.multinomial(20, [0.025, 0.95, 0.025], (200, looks.size)).cumsum(axis=1)
    hits = paired_betting.log_e_safety(pairs, DIFFERENCES, 0.02) >= math.log(40)
    found = np.where(hits.any(axis=1), looks[hits.argmax(axis=1)], 10**9)
    # verdicts.md: 1,160 labels at the median, 2,300 in nine of ten.
    assert np.median(found) <= 1_300
    assert np.quantile(found, 0.9) <= 2_700


@pytest.mark.parametrize("tolerance", [0.0, 0.02, 0.3, 0.9])
def test_harm_beyond_a_tolerance_is_a_fair_bet_at_it(tolerance):
    """One pair whose mean is the tolerance: the e-value's mean is one, whatever the spread."""
    for spread in (0.0, 0.05):
        chance = np.array([spread, 1.0 - tolerance - 2 * spread, tolerance + spread])
        e = [
            np.exp(paired_betting.log_e_harm(one, np.array([-1.0, 0.0, 1.0]), tolerance))
            for one in np.eye(3)
        ]
        assert chance @ e == pytest.approx(1.0)
        assert min(e) > 0.0
