"""Ordinal odds: exact against any slower law, and several times quicker than one quantile."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from serinus.stats import event_odds, ordinal_odds

FINE = (0.25, 0.50, 0.75, 0.90, 0.95, 0.98, 0.99)
SHARES = st.floats(0.01, 0.99)
LAWS = st.lists(st.floats(0.001, 1.0), min_size=6, max_size=6).map(
    lambda weights: np.array(weights) / sum(weights)
)
ALPHA = 0.008
SIGMA = 0.5  # of the log of latency


def single(quantiles: tuple[float, ...], share: float) -> np.ndarray:
    """The e-value after one request, shape (2, L): by arm and level."""
    levels = len(quantiles) + 1
    ones = np.eye(2 * levels).reshape(2 * levels, 2, levels)
    return np.exp(ordinal_odds.log_e({share: ones}, quantiles)).reshape(2, levels)


@given(share=SHARES, champion=LAWS, moved=st.lists(st.floats(0.0, 1.0), min_size=5, max_size=5))
def test_ordinal_odds_expects_at_most_one_unless_the_challenger_is_slower(
    share: float, champion: np.ndarray, moved: list[float]
) -> None:
    e = single(ordinal_odds.QUANTILES, share)
    challenger = champion.copy()
    for level, part in enumerate(moved):  # mass moved down: stochastically not larger
        challenger[level] += part * challenger[level + 1]
        challenger[level + 1] *= 1 - part
    assert (1 - share) * champion @ e[0] + share * champion @ e[1] == pytest.approx(1.0)
    assert (1 - share) * champion @ e[0] + share * challenger @ e[1] <= 1 + 1e-12


@given(
    quantiles=st.sets(st.integers(10, 999), min_size=1, max_size=8).map(
        lambda ranks: tuple(rank / 1000 for rank in sorted(ranks))
    )
)
def test_ordinal_odds_of_every_pattern_never_fall_with_the_level(
    quantiles: tuple[float, ...],
) -> None:
    odds, log_weights = ordinal_odds.patterns(quantiles)
    assert odds.shape == (log_weights.size, len(quantiles) + 1)
    assert (odds > 0).all()
    assert (np.diff(odds, axis=1) >= -1e-9 * odds[:, 1:]).all()
    assert np.exp(log_weights).sum() == pytest.approx(1.0)


@given(share=SHARES, level=st.integers(0, 4))
def test_ordinal_odds_rise_with_a_slower_request_of_the_challenger(
    share: float, level: int
) -> None:
    e = single(ordinal_odds.QUANTILES, share)
    assert e[1, level + 1] > e[1, level]
    assert e[0, level + 1] < e[0, level]


def test_ordinal_odds_of_two_levels_are_event_odds_with_the_requests_counted() -> None:
    odds, log_weights = ordinal_odds.patterns((0.99,))
    counts = np.array([[880, 9], [90, 4]])
    low = event_odds.Mixture(odds[:, 0], log_weights)
    high = event_odds.Mixture(odds[:, 1], log_weights)
    wealth = sum(
        event_odds._log_gains(0.1, 1.0, mixture).T @ counts[:, level]
        for level, mixture in enumerate((low, high))
    )
    expected = special.logsumexp(wealth + log_weights)
    assert ordinal_odds.log_e({0.1: counts}, (0.99,)) == pytest.approx(expected)


def test_ordinal_odds_take_leading_axes_and_say_nothing_without_requests() -> None:
    rng = np.random.default_rng(1)
    counts = {share: rng.integers(0, 50, (4, 3, 2, 6)) for share in (0.05, 0.5, 1.0)}
    found = ordinal_odds.log_e(counts)
    assert found.shape == (4, 3)
    alone = ordinal_odds.log_e({share: table[2, 1] for share, table in counts.items()})
    assert found[2, 1] == pytest.approx(alone)
    assert ordinal_odds.log_e({0.1: np.zeros((2, 6))}) == pytest.approx(0.0)
    assert ordinal_odds.log_e({1.0: np.full((2, 6), 9)}) == pytest.approx(0.0)


def levels_law(quantiles: tuple[float, ...], slowdown: float, beyond: float = 0.0) -> np.ndarray:
    """Chances of the levels if requests beyond the quantile ``beyond`` take ``slowdown`` times."""
    thresholds = special.ndtri(quantiles)
    plain = special.ndtr(-thresholds)
    slowed = special.ndtr(np.log(slowdown) / SIGMA - thresholds)
    above = np.where(np.array(quantiles) <= beyond, plain, np.minimum(slowed, 1 - beyond))
    return -np.diff(above, prepend=1.0, append=0.0)


def requests_until_found(
    quantiles: tuple[float, ...], law: np.ndarray, most: int, step: int
) -> np.ndarray:
    rng = np.random.default_rng(6)
    share = 0.1
    cells = np.concatenate([(1 - share) * levels_law(quantiles, 1.0), share * law])
    counts = rng.multinomial(step, cells, (100, most // step)).cumsum(axis=1)
    log_e = ordinal_odds.log_e({share: counts.reshape(100, -1, 2, law.size)}, quantiles)
    hits = log_e >= math.log(1 / ALPHA)
    return np.where(hits.any(axis=1), (hits.argmax(axis=1) + 1) * step, 10**9)


# Bars of half a first attempt's requests where the whole distribution moves.
@pytest.mark.parametrize(
    ("slowdown", "beyond", "median", "nine_in_ten"),
    [
        (1.5, 0.0, 300, 600),
        (1.2, 0.0, 1_500, 3_200),
        (1.2, 0.90, 4_800, 9_000),
        (1.2, 0.95, 10_500, 22_000),
    ],
)
@pytest.mark.parametrize("quantiles", [ordinal_odds.QUANTILES, FINE])
def test_ordinal_odds_find_slow_challengers_in_few_requests(
    quantiles: tuple[float, ...], slowdown: float, beyond: float, median: int, nine_in_ten: int
) -> None:
    law = levels_law(quantiles, slowdown, beyond)
    found = requests_until_found(quantiles, law, 2 * nine_in_ten, max(10, nine_in_ten // 200))
    assert np.median(found) <= median
    assert np.quantile(found, 0.9) <= nine_in_ten


def test_ordinal_odds_stay_quiet_while_both_arms_swing_and_the_share_rises() -> None:
    rng = np.random.default_rng(9)
    runs, looks, step, alpha = 300, 200, 50, 0.05
    cells: dict[float, np.ndarray] = {}
    swing = np.exp(np.sin(np.arange(looks) / 8))
    for start, share in ((0, 0.05), (50, 0.25), (100, 0.5)):
        counts = np.zeros((runs, looks, 12), np.int64)
        for look in range(start, start + 50 if share < 0.5 else looks):
            law = levels_law(ordinal_odds.QUANTILES, float(swing[look]))
            both = np.concatenate([(1 - share) * law, share * law])
            counts[:, look] = rng.multinomial(step, both, runs)
        cells[share] = counts.cumsum(axis=1).reshape(runs, looks, 2, 6)
    alarms = (ordinal_odds.log_e(cells) >= math.log(1 / alpha)).any(axis=1).sum()
    # One-sided 99.9 % binomial limit around alpha: a valid test stays below it.
    assert alarms <= runs * alpha + 3.1 * math.sqrt(runs * alpha * (1 - alpha))
