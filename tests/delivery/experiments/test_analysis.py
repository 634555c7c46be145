"""The two views: what they find in thousands of experiments, and what they never mix."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special
from tests.delivery.experiments.trials import design, folded, question, settled

from serinus.delivery.experiments import analysis
from serinus.delivery.experiments import moments as mo
from serinus.delivery.experiments.fold import LOOKS
from serinus.delivery.experiments.sums import Look, Sums
from serinus.delivery.experiments.types import Grouping
from serinus.stats import fixed_horizon

RUNS = 1_500
ALPHA = 0.05
MOST = ALPHA + 3 * (ALPHA * (1 - ALPHA) / RUNS) ** 0.5


def sums_of(*arms: np.ndarray, closed: bool = True) -> Sums:
    return Sums(
        stretches=[(0.5,)],
        arms=dict(zip(((0, n) for n in range(len(arms))), arms, strict=True)),
        closed_at=int(closed),
    )


def three(rng: np.random.Generator, effects: tuple[float, ...] = (0, 0, 0)) -> Sums:
    arms = [mo.total(rng.normal(effect, 1, 120)) for effect in (0.0, *effects)]
    return sums_of(*arms)


def of_three() -> analysis.Question:
    return question(design(versions=("1.0.0", "a", "b", "c"), shares=(0.25, 0.25, 0.25)))


def test_end_of_equal_versions_has_a_winner_no_more_often_than_it_says() -> None:
    rng = np.random.default_rng(1)
    asked = question()
    won = 0
    for _ in range(RUNS):
        arms = [mo.total((rng.random(300) < 0.7).astype(float)) for _ in range(2)]
        won += analysis.at_end(sums_of(*arms), asked)[0].state == "better"
    assert won / RUNS < MOST


def test_three_challengers_share_one_error_probability() -> None:
    rng = np.random.default_rng(2)
    asked = of_three()
    wrong = missed = naive = 0
    for _ in range(RUNS):
        findings = analysis.at_end(three(rng), asked)
        wrong += any(item.state != "undecided" for item in findings)
        naive += any(item.p_value is not None and item.p_value < ALPHA for item in findings)
        missed += any(
            not item.difference.low <= 0 <= item.difference.high
            for item in findings
            if item.difference
        )
    assert wrong / RUNS < MOST
    assert missed / RUNS < MOST
    assert naive / RUNS > 0.08


def test_holm_finds_more_than_bonferroni_would() -> None:
    # Evenly spread units, so that each difference is exactly what it is meant to be.
    units = special.ndtri((np.arange(120) + 0.5) / 120)
    arms = [mo.total(units + effect) for effect in (0.0, 0.9, 0.9, 0.28)]
    findings = analysis.at_end(sums_of(*arms), of_three())
    last = findings[2]
    assert last.p_value is not None
    assert ALPHA / 3 < last.p_value < ALPHA
    assert [item.state for item in findings] == ["better"] * 3


@pytest.mark.parametrize(
    "p_values", [[0.2], [0.01, 0.04, 0.03], [1.0, 0.0, 0.5, 0.5]], ids=["one", "three", "ties"]
)
def test_holm_is_the_usual_one(p_values: list[float]) -> None:
    assert analysis.holm(p_values) == pytest.approx(fixed_horizon.holm(p_values))


def looks(rng: np.random.Generator, effect: float = 0.0) -> list[Look]:
    """Entities that come back: each look sees more of them, and more of the known ones."""
    entities = 40 * (LOOKS - 1)
    arm = rng.integers(0, 2, entities)
    habit = rng.normal(0, 1, entities) + effect * arm
    n = np.zeros(entities)
    y = np.zeros(entities)
    found = []
    for number in range(1, LOOKS):
        met = np.arange(entities) < 40 * number
        more = rng.poisson(2.0, entities) * met + (met & (n == 0))
        n += more
        y += more * habit + np.sqrt(more) * rng.normal(0, 1, entities)
        arms = {(0, of): mo.total(y[met & (arm == of)], n[met & (arm == of)]) for of in range(2)}
        found.append(Look(number, number, arms))
    return found


def test_looking_all_the_time_errs_no_more_often_than_it_says() -> None:
    rng = np.random.default_rng(4)
    asked = question()
    ever = naive = 0
    for _ in range(400):
        taken = looks(rng)
        states = [analysis.before_end(Sums(looks=taken[: n + 1]), asked)[0] for n in range(11)]
        ever += any(item.state in ("better", "worse") for item in states)
        contrasts = [analysis.against_champion(look.arms, 0, adjust=False) for look in taken]
        naive += any(item is not None and item.p_value() < ALPHA for item in contrasts)
    assert ever / 400 < ALPHA
    assert naive / 400 > 0.10


def test_view_before_the_end_finds_a_large_effect() -> None:
    found = analysis.before_end(Sums(looks=looks(np.random.default_rng(5), 1.5)), question())[0]
    assert found.state == "better"
    assert found.p_value is None
    assert found.p_adjusted is None


def test_view_before_the_first_look_has_no_data() -> None:
    sums = folded([settled(n, n % 2) for n in range(50)])
    assert analysis.before_end(sums, question())[0].state == "no_data"


def test_few_units_of_a_class_are_no_data_in_either_view() -> None:
    """Of a thousand labels eight are of it: that nothing was found says nothing."""
    arm = mo.total(np.arange(1_000) < 5, np.arange(1_000) < 8)
    (end,) = analysis.at_end(sums_of(arm, arm), question())
    (before,) = analysis.before_end(
        Sums(looks=[Look(1, 1, {(0, 0): arm, (0, 1): arm})]), question()
    )
    assert end == before
    assert (end.state, end.p_value, end.difference) == ("no_data", None, None)


def test_metric_that_falls_is_better_when_it_falls() -> None:
    rng = np.random.default_rng(6)
    sums = sums_of(mo.total(rng.normal(2, 1, 400)), mo.total(rng.normal(1, 1, 400)))
    assert analysis.at_end(sums, question(design(metric="latency")))[0].state == "better"
    assert analysis.at_end(sums, question(design(metric="revenue")))[0].state == "worse"


def test_dropped_challenger_never_wins() -> None:
    sums = three(np.random.default_rng(7), (2.0, 0.0, 0.0))
    asked = of_three()
    asked = analysis.Question(asked.design, asked.setup, asked.metric, frozenset({0}))
    assert analysis.at_end(sums, asked)[0].state == "dropped"


def test_covariate_says_how_much_variance_it_took() -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(size=(2, 300))
    arms = [mo.total(2 * x[arm] + rng.normal(size=300), 1.0, x[arm]) for arm in range(2)]
    found = analysis.at_end(sums_of(*arms), question(covariate=0))[0]
    plain = analysis.at_end(sums_of(*arms), question())[0]
    assert found.reduction == pytest.approx(0.8, abs=0.05)
    assert plain.reduction is None
    assert found.difference
    assert plain.difference
    assert found.difference.high - found.difference.low < 0.6 * (
        plain.difference.high - plain.difference.low
    )


def test_segments_find_where_the_effect_is() -> None:
    rng = np.random.default_rng(9)
    items = []
    for n in range(1_200):
        arm, group = int(rng.integers(2)), int(rng.integers(2))
        right = rng.random() < (0.9 if arm and group else 0.6)
        items.append(settled(n, arm, right=right, groups=(group,)))
    asked = question(groupings=(Grouping("amount", 0, cuts=(10.0,)),))
    found = analysis.at_end(folded(items), asked)[0].segments
    assert [(item.feature, item.group) for item in found] == [
        ("amount", "below 10"),
        ("amount", "10 or more"),
    ]
    low, high = (item.difference for item in found)
    assert low.low < 0 < low.high
    assert high.low > 0.15


def test_segments_of_equal_versions_err_together_no_more_often_than_they_say() -> None:
    rng = np.random.default_rng(10)
    asked = question(groupings=(Grouping("amount", 0, cuts=(1.0, 2.0, 3.0)),))
    wrong = 0
    for _ in range(RUNS):
        sums = sums_of()
        for group in range(4):
            for arm in range(2):
                sums.segments[(0, group, 0, arm)] = mo.total(rng.normal(0, 1, 60))
        found = analysis.segments(sums, asked, 0)
        wrong += any(not item.difference.low <= 0 <= item.difference.high for item in found)
    assert wrong / RUNS < MOST


def test_distributions_are_compared_where_values_are_kept() -> None:
    asked = design(metric="latency", units=400)
    rng = np.random.default_rng(11)
    items = [
        settled(n, n % 2, outcome=float(rng.lognormal(0.5 * (n % 2), 0.5))) for n in range(400)
    ]
    found = analysis.at_end(folded(items, asked), question(asked))[0]
    assert [test.name for test in found.tests] == ["Mann-Whitney U", "Kolmogorov-Smirnov"]
    assert all(test.p_value < 1e-6 for test in found.tests)


def test_arm_means_are_of_all_stretches() -> None:
    sums = folded([settled(0), settled(1, shares=(0.7,), right=False)])
    assert analysis.arm_means(sums, 0)[0] == 0.5
    assert analysis.arm_means(sums, 1) == (None, None)
