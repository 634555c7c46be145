"""Anytime McNemar: an exact martingale over discordant pairs, quick on small differences."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.stats import mcnemar

COUNTS = st.integers(0, 10**7)


@given(pairs=st.integers(1, 40), chance=st.floats(0.0, 0.5))
def test_mcnemar_expects_at_most_one_while_the_challenger_is_not_worse(
    pairs: int, chance: float
) -> None:
    worse = np.arange(pairs + 1)
    ways = np.array([math.comb(pairs, k) for k in worse], float)
    law = ways * chance**worse * (1 - chance) ** (pairs - worse)
    mean = law @ np.exp(mcnemar.log_e(worse, pairs - worse))
    assert mean <= 1 + 1e-9
    fair = ways / 2**pairs @ np.exp(mcnemar.log_e(worse, pairs - worse))
    assert fair == pytest.approx(1.0)


@given(worse=COUNTS, better=COUNTS)
def test_mcnemar_rises_with_the_challengers_errors_and_falls_with_the_champions(
    worse: int, better: int
) -> None:
    here = mcnemar.log_e(worse, better)
    assert math.isfinite(here)
    assert mcnemar.log_e(worse + 1, better) > here > mcnemar.log_e(worse, better + 1)


def test_mcnemar_without_discordant_pairs_is_zero() -> None:
    assert mcnemar.log_e(0, 0) == pytest.approx(0.0)


def test_mcnemar_finds_two_points_within_1500_labels_or_3000_in_nine_of_ten() -> None:
    rng = np.random.default_rng(8)
    looks = np.arange(10, 6001, 10)
    # 95 % agreement, champion 90 % right, challenger 88 %.
    pairs = rng.multinomial(10, [0.035, 0.015, 0.95], (300, looks.size)).cumsum(axis=1)
    hits = mcnemar.log_e(pairs[..., 0], pairs[..., 1]) >= math.log(1 / 0.010)
    found = np.where(hits.any(axis=1), looks[hits.argmax(axis=1)], 10**9)
    assert np.median(found) <= 1_500
    assert np.quantile(found, 0.9) <= 3_000
