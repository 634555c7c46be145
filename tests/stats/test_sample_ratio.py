"""Sample ratio: exact against scipy, quick on a known router's fault, quiet on a clean split."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from serinus.stats import sample_ratio

SHARES = st.floats(0.01, 0.99)


@given(share=SHARES, champion=st.integers(0, 10**5), challenger=st.integers(0, 10**5))
def test_sample_ratio_is_the_beta_binomial_over_the_binomial(
    share: float, champion: int, challenger: int
) -> None:
    total = champion + challenger
    prior = stats.betabinom(total, 100 * share, 100 * (1 - share))
    expected = prior.logpmf(challenger) - stats.binom.logpmf(challenger, total, share)
    found = sample_ratio.log_e({share: (champion, challenger)})
    assert found == pytest.approx(expected, abs=1e-4)


@given(first=SHARES, second=SHARES, units=st.integers(1, 12))
def test_sample_ratio_expects_one_on_clean_splits_across_shares(
    first: float, second: float, units: int
) -> None:
    hits = np.arange(units + 1)
    a, b = hits[:, None], hits[None, :]
    law = stats.binom.pmf(a, units, first) * stats.binom.pmf(b, units, second)
    grid = np.broadcast_to(a, law.shape), np.broadcast_to(b, law.shape)
    counts = [np.stack([units - hit, hit], axis=-1) for hit in grid]
    if first == second:
        return
    log_e = sample_ratio.log_e({first: counts[0], second: counts[1]})
    assert (law * np.exp(log_e)).sum() == pytest.approx(1.0)


@given(
    share=SHARES,
    tolerance=st.floats(0.02, 0.5),
    units=st.integers(1, 30),
    beyond=st.floats(0.001, 0.999),
)
def test_sample_ratio_sound_expects_at_most_one_off_by_the_tolerance_or_more(
    share: float, tolerance: float, units: int, beyond: float
) -> None:
    hits = np.arange(units + 1)
    e = np.exp(
        sample_ratio.log_e_sound({share: np.stack([units - hits, hits], axis=-1)}, tolerance)
    )
    step = tolerance * min(share, 1 - share)
    above, below = share + step, share - step
    for delivered in (above + beyond * (1 - above), below * (1 - beyond)):
        assert stats.binom.pmf(hits, units, delivered) @ e <= 1 + 1e-9


def test_sample_ratio_finds_a_ten_percent_share_delivered_as_under_six_within_1300_keys() -> None:
    rng = np.random.default_rng(2)
    keys = np.arange(1, 2_001)
    challenger = (rng.random((600, keys.size)) < 0.10 / 0.90 / 2).cumsum(axis=1)
    hits = sample_ratio.log_e({0.10: np.stack([keys - challenger, challenger], -1)}) >= math.log(
        1e3
    )
    found = np.where(hits.any(axis=1), keys[hits.argmax(axis=1)], 10**9)
    assert np.quantile(found, 0.9) <= 1_300


def test_sample_ratio_alarms_at_most_thrice_in_a_thousand_clean_streams() -> None:
    rng = np.random.default_rng(3)
    step = 250
    keys = np.arange(step, 100_001, step)
    challenger = rng.binomial(step, 0.10, (1_000, keys.size)).cumsum(axis=1)
    log_e = sample_ratio.log_e({0.10: np.stack([keys - challenger, challenger], -1)})
    assert (log_e >= math.log(1e3)).any(axis=1).sum() <= 3


@pytest.mark.parametrize(("share", "bar"), [(0.5, 2_500), (0.25, 8_000), (0.05, 45_000)])
def test_sample_ratio_is_proven_sound_in_time_for_promotion(share: float, bar: int) -> None:
    rng = np.random.default_rng(4)
    step = 50
    keys = np.arange(step, bar + 1, step)
    challenger = rng.binomial(step, share, (200, keys.size)).cumsum(axis=1)
    log_e = sample_ratio.log_e_sound({share: np.stack([keys - challenger, challenger], -1)})
    assert (log_e >= math.log(40)).any(axis=1).mean() >= 0.9


@pytest.mark.parametrize("units", [{}, {0.1: (0, 0)}, {0.0: (9, 0)}, {1.0: (0, 9)}])
def test_sample_ratio_without_information_is_zero(units: dict[float, tuple[int, int]]) -> None:
    assert sample_ratio.log_e(units) == pytest.approx(0.0)
    assert sample_ratio.log_e_sound(units) == pytest.approx(0.0)


def test_sample_ratio_takes_leading_axes_and_billions() -> None:
    units = {0.05: np.full((3, 2), 7), 0.5: np.full((3, 2), 10**9)}
    for log_e in (sample_ratio.log_e(units), sample_ratio.log_e_sound(units)):
        assert log_e.shape == (3,)
        assert np.isfinite(log_e).all()
