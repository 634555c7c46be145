"""The event-odds test: an exact martingale, and what it reaches."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.stats import event_odds

SHARES = st.floats(0.01, 0.99)
COUNTS = st.dictionaries(
    SHARES, st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=4
)


def expected_gain(share: float, *, null: float, truth: float, mixture: event_odds.Mixture) -> float:
    """The exact mean of the e-value after one event, if the odds ratio is ``truth``."""
    to_challenger = truth * share / (truth * share + 1 - share)
    gains = [
        math.exp(event_odds.log_e({share: counts}, null_odds=null, mixture=mixture))
        for counts in ((0, 1), (1, 0))
    ]
    return to_challenger * gains[0] + (1 - to_challenger) * gains[1]


@given(share=SHARES)
def test_event_odds_harm_is_fair_at_the_null_and_loses_inside_it(share: float) -> None:
    mixture = event_odds.harm_mixture()
    assert expected_gain(share, null=1.0, truth=1.0, mixture=mixture) == pytest.approx(1.0)
    assert expected_gain(share, null=1.0, truth=0.7, mixture=mixture) <= 1.0


@given(share=SHARES, margin=st.floats(1.2, 5.0))
def test_event_odds_safety_is_fair_at_the_margin_and_loses_beyond(
    share: float, margin: float
) -> None:
    mixture = event_odds.safety_mixture(margin)
    fair = expected_gain(share, null=margin, truth=margin, mixture=mixture)
    beyond = expected_gain(share, null=margin, truth=2 * margin, mixture=mixture)
    assert fair == pytest.approx(1.0)
    assert beyond <= 1.0 + 1e-12


@given(counts=COUNTS)
def test_event_odds_log_e_grows_with_challenger_events(
    counts: dict[float, tuple[int, int]],
) -> None:
    mixture = event_odds.harm_mixture()
    share = next(iter(counts))
    more = dict(counts)
    more[share] = (counts[share][0], counts[share][1] + 1)
    before = event_odds.log_e(counts, null_odds=1.0, mixture=mixture)
    assert event_odds.log_e(more, null_odds=1.0, mixture=mixture) > before


def test_event_odds_log_e_equals_the_product_of_single_events() -> None:
    mixture = event_odds.harm_mixture()
    wealth = np.exp(mixture.log_weights)
    for share, to_challenger in [(0.1, True), (0.1, False), (0.5, True), (0.5, True)]:
        bets = mixture.odds * share / (mixture.odds * share + 1 - share)
        wealth *= bets / share if to_challenger else (1 - bets) / (1 - share)
    counts = {0.1: (1, 1), 0.5: (0, 2)}
    log_e = event_odds.log_e(counts, null_odds=1.0, mixture=mixture)
    assert log_e == pytest.approx(math.log(wealth.sum()))


@pytest.mark.parametrize("counts", [{}, {0.1: (0, 0)}, {0.0: (7, 0)}, {1.0: (0, 7)}])
def test_event_odds_log_e_without_information_is_zero(
    counts: dict[float, tuple[int, int]],
) -> None:
    mixture = event_odds.harm_mixture()
    assert event_odds.log_e(counts, null_odds=1.0, mixture=mixture) == pytest.approx(0.0)


def test_event_odds_four_failures_at_a_tenth_find_a_broken_model() -> None:
    # verdicts.md: 50 times the errors at a 10 % share die at the fourth failure, median.
    mixture = event_odds.harm_mixture()
    log_e = event_odds.log_e({0.1: (0, 4)}, null_odds=1.0, mixture=mixture)
    assert log_e > math.log(1 / 0.01)


def test_event_odds_false_alarms_stay_below_alpha_at_every_look() -> None:
    rng = np.random.default_rng(20)
    alpha, runs, events = 0.05, 400, 300
    mixture = event_odds.harm_mixture()
    alarms = 0
    for _ in range(runs):
        shares = np.repeat([0.05, 0.25, 0.5], events // 3)
        hits = rng.random(events) < shares
        bets = mixture.odds[:, None] * shares / (mixture.odds[:, None] * shares + 1 - shares)
        steps = np.where(hits, np.log(bets / shares), np.log((1 - bets) / (1 - shares)))
        wealth = np.exp(mixture.log_weights) @ np.exp(np.cumsum(steps, axis=1))
        alarms += bool((wealth >= 1 / alpha).any())
    # One-sided 99.9 % binomial limit around alpha: a valid test stays below it.
    assert alarms <= runs * alpha + 3.1 * math.sqrt(runs * alpha * (1 - alpha))
