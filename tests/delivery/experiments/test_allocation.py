"""Who gets how much: the better arm, never below the floor, the same again for the same results."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serinus.delivery.experiments import allocation, analysis
from serinus.delivery.experiments import contrast as co
from serinus.delivery.experiments import moments as mo
from serinus.delivery.experiments.fold import LOOKS
from serinus.delivery.experiments.sums import Look, Shares


def look(*rates: float, units: int = 400, number: int = 3) -> Look:
    rng = np.random.default_rng(1)
    arms = {
        (0, arm): mo.total((rng.random(units) < rate).astype(float))
        for arm, rate in enumerate(rates)
    }
    return Look(number, 0, arms)


def allocate(taken: Look, shares: Shares = (0.5,), dropped: frozenset[int] = frozenset()) -> Shares:
    return allocation.thompson(taken, shares, dropped, rises=True, seed="d1")


def test_thompson_gives_the_better_arm_more() -> None:
    assert allocate(look(0.5, 0.6))[0] > 0.8
    assert allocate(look(0.6, 0.5))[0] < 0.2
    fallen = allocation.thompson(look(0.5, 0.6), (0.5,), (), rises=False, seed="d1")
    assert fallen[0] < 0.2


def test_thompson_is_the_same_again_and_another_for_another_experiment() -> None:
    taken = look(0.5, 0.52)
    assert allocate(taken) == allocate(taken)
    other = allocation.thompson(taken, (0.5,), (), rises=True, seed="d2")
    assert other != allocate(taken)


@pytest.mark.parametrize(
    "taken", [look(0.1, 0.9, number=1), look(0.1, 0.9, units=50)], ids=["early", "few"]
)
def test_thompson_waits_until_something_is_known(taken: Look) -> None:
    assert allocate(taken) == (0.5,)


@settings(max_examples=30)
@given(st.lists(st.floats(0.05, 0.95), min_size=2, max_size=5), st.integers(0, 3))
def test_thompson_leaves_everybody_the_floor(rates: list[float], out: int) -> None:
    challengers = len(rates) - 1
    dropped = frozenset({out} & set(range(challengers)))
    shares = tuple(0.8 / challengers for _ in range(challengers))
    found = allocate(look(*rates), shares, dropped)
    assert 1.0 - sum(found) >= allocation.FLOOR - 0.002
    for place, share in enumerate(found):
        assert share == 0.0 if place in dropped else share >= allocation.FLOOR - 0.001


def test_without_a_challenger_its_share_goes_to_the_champion() -> None:
    assert allocation.without((0.2, 0.3), {0}) == (0.0, 0.3)


def run(rng: np.random.Generator, seed: str, effect: float) -> tuple[float, co.Contrast]:
    """A whole experiment in twelve stretches, its traffic following what was learnt."""
    share, sums, known = 0.5, {}, {}
    for number in range(LOOKS):
        drawn = rng.random(300) < share
        for arm in range(2):
            rate = 0.5 + effect * arm + 0.02 * number
            values = (rng.random(int((drawn == arm).sum())) < rate).astype(float)
            sums[(number, arm)] = mo.total(values)
        known = dict(sums)
        (share,) = allocation.thompson(
            Look(number + 1, 0, known), (share,), (), rises=True, seed=seed
        )
    found = analysis.against_champion(known, 0, adjust=False)
    assert found is not None
    return share, found


def test_thompson_finds_the_better_arm() -> None:
    rng = np.random.default_rng(2)
    ended = [run(rng, f"d{number}", 0.08) for number in range(40)]
    assert np.mean([share > 0.8 for share, _ in ended]) > 0.9
    assert np.mean([float(found.p_value()) < 0.05 for _, found in ended]) > 0.6


def test_inference_after_thompson_errs_no_more_often_than_it_says() -> None:
    rng = np.random.default_rng(3)
    runs = 250
    ended = [run(rng, f"d{number}", 0.0)[1] for number in range(runs)]
    wrong = np.mean([float(found.p_value()) < 0.05 for found in ended])
    assert wrong < 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
