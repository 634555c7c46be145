"""e-BH against its definition, and the mean of e-values."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.errors import InvalidInput
from serinus.stats import multiplicity

LOGS = st.lists(st.floats(-20, 20), min_size=1, max_size=12)


def by_definition(log_e: list[float], false_share: float) -> list[bool]:
    """Wang & Ramdas word for word: the largest k whose k-th largest e-value is K/(k share)."""
    order = sorted(range(len(log_e)), key=lambda place: -log_e[place])
    believed = 0
    for k in range(1, len(log_e) + 1):
        if log_e[order[k - 1]] >= math.log(len(log_e) / false_share) - math.log(k):
            believed = k
    return [place in order[:believed] for place in range(len(log_e))]


@given(log_e=LOGS, false_share=st.floats(0.001, 0.5))
def test_e_bh_is_its_definition(log_e: list[float], false_share: float) -> None:
    found = multiplicity.e_bh(log_e, false_share)
    assert found.tolist() == by_definition(log_e, false_share)


@given(log_e=LOGS, more=st.floats(0, 5), place=st.integers(0, 11))
def test_e_bh_takes_nothing_away_when_an_e_value_rises(
    log_e: list[float], more: float, place: int
) -> None:
    before = multiplicity.e_bh(log_e, 0.1)
    raised = list(log_e)
    raised[place % len(log_e)] += more
    assert (multiplicity.e_bh(raised, 0.1) >= before).all()


def test_e_bh_believes_more_together_than_alone() -> None:
    # Six e-values of 25 at 5 %: the bound of one is 120, that of all six 20.
    assert multiplicity.e_bh(np.log([25.0] * 6), 0.05).all()
    assert not multiplicity.e_bh(np.log([25.0] * 5 + [1.0]), 0.05)[5]
    assert not multiplicity.e_bh(np.log([25.0] * 3 + [1.0] * 3), 0.05).any()


def test_e_bh_keeps_the_false_discovery_rate_when_all_e_values_are_one_and_the_same() -> None:
    rng = np.random.default_rng(0)
    alpha = 0.1
    # An e-value that is 1/alpha with probability alpha, shared by all: the worst dependence.
    shared = np.where(rng.random(4_000) < alpha, math.log(1 / alpha), -np.inf)
    found = multiplicity.e_bh(np.repeat(shared[:, None], 8, axis=1), alpha)
    assert found.any(axis=1).mean() <= alpha + 3.1 * math.sqrt(alpha * (1 - alpha) / 4_000)


def test_e_bh_takes_leading_axes_infinities_and_nothing() -> None:
    log_e = np.array([[math.inf, -math.inf, 0.0], [0.0, 9.0, 9.0]])
    found = multiplicity.e_bh(log_e, 0.05)
    assert found.tolist() == [[True, False, False], [False, True, True]]
    assert multiplicity.e_bh([], 0.05).size == 0


@pytest.mark.parametrize(("log_e", "share"), [([0.0], 0.0), ([0.0], 1.0), ([math.nan], 0.1)])
def test_e_bh_refuses_what_is_no_e_value_or_share(log_e: list[float], share: float) -> None:
    with pytest.raises(InvalidInput):
        multiplicity.e_bh(log_e, share)


@given(log_e=LOGS)
def test_average_is_the_log_of_the_mean(log_e: list[float]) -> None:
    assert multiplicity.average(log_e) == pytest.approx(math.log(np.mean(np.exp(log_e))))
