"""Mixing: one mathematics for a verdict, its looks and its runs, whatever their shape."""

import math
import timeit
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.stats import event_odds, mixing, paired_betting, score_betting

LEVELS = np.arange(5) / 4
DIFFERENCES = np.array([-1.0, 0.0, 1.0])
CASES: dict[str, tuple[tuple[int, ...], Callable[[dict[float, np.ndarray]], mixing.LogE]]] = {
    "event odds": (
        (2,),
        lambda counts: event_odds.log_e(counts, null_odds=1.0, mixture=event_odds.harm_mixture()),
    ),
    "score betting": (
        (2, 5),
        lambda counts: score_betting.log_e(counts, LEVELS, score_betting.safety(0.02, 0.1)),
    ),
    "gain betting": (
        (2, 5),
        lambda counts: score_betting.log_e(counts, LEVELS, score_betting.gain_safety(0.1, 0.3)),
    ),
    "pairs": ((3,), lambda counts: paired_betting.log_e_harm(counts[0.25], DIFFERENCES)),
}


@pytest.mark.parametrize("name", CASES)
def test_log_e_of_stacked_counts_is_that_of_each(name: str) -> None:
    cells, log_e = CASES[name]
    rng = np.random.default_rng(5)
    stacked = {share: rng.integers(0, 40, (3, 4, *cells)) for share in (0.05, 0.25, 0.5)}
    found = log_e(stacked)
    assert found.shape == (3, 4)
    for place in np.ndindex(3, 4):
        single = log_e({share: counts[place] for share, counts in stacked.items()})
        assert type(single) is float
        assert found[place] == pytest.approx(single, abs=1e-9)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
def test_log_e_of_no_counts_is_zero(name: str, leading: tuple[int, ...]) -> None:
    cells, log_e = CASES[name]
    found = log_e({0.25: np.zeros((*leading, *cells), np.int64)})
    assert np.shape(found) == leading
    assert found == pytest.approx(np.zeros(leading), abs=1e-12)


@pytest.mark.parametrize("name", ["event odds", "score betting", "gain betting"])
def test_log_e_of_shares_zero_and_one_says_nothing_whatever_the_shape(name: str) -> None:
    cells, log_e = CASES[name]
    found = log_e({share: np.full((4, *cells), 7) for share in (0.0, 1.0)})
    assert found == pytest.approx(np.zeros(4), abs=1e-12)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6),
)
def test_mix_lies_between_the_least_and_the_largest_wealth(logs: list[float]) -> None:
    mixed = mixing.mix(np.array(logs), mixing.uniform(len(logs)))
    assert min(logs) - 1e-6 <= mixed <= max(logs) + 1e-6


def test_log_e_of_a_billion_events_is_finite() -> None:
    for cells, log_e in CASES.values():
        assert math.isfinite(log_e({0.25: np.full(cells, 10**9)}))


@pytest.mark.parametrize("name", CASES)
def test_log_e_of_a_single_verdict_is_quick(name: str) -> None:
    cells, log_e = CASES[name]
    counts = {share: np.full(cells, 9) for share in (0.05, 0.25, 0.5)}
    # Eleven guardrails share 2 ms; measured at 10 µs each on an idle core.
    assert min(timeit.repeat(lambda: log_e(counts), number=50, repeat=7)) / 50 < 150e-6
