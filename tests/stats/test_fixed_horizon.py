"""Fixed-horizon tests against published figures, and everything they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.errors import Conflict, InvalidInput
from serinus.stats import fixed_horizon
from serinus.stats.fixed_horizon import Horizon
from serinus.stats.intervals import Estimate

# Hollander & Wolfe (1973), p. 69 f.; R's ?wilcox.test prints W = 35, p-value = 0.1272 (greater).
PERMEABILITY = (
    [1.15, 0.88, 0.90, 0.74, 1.21],
    [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46],
)
# Student's sleep data; R's t.test(extra ~ group): t = -1.8608, p-value = 0.07939,
# 95 percent confidence interval -3.3654832 to 0.2054832.
SLEEP = (
    [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
    [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
)
# Agresti (2007), p. 39; R's ?chisq.test prints X-squared = 30.07, df = 2, p-value = 2.954e-07.
PARTY = [[762, 327, 468], [484, 239, 477]]
# Benjamini & Hochberg (1995), section 3.2: at 0.05 Bonferroni and Holm reject 3, they reject 4.
FIFTEEN = (
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
    0.5719, 0.6528, 0.7590, 1.0,
)  # fmt: skip


def at_end(units):
    return Horizon(units, units, watched=False)


def effect(report, name):
    return next(item.estimate for item in report.effects if item.name == name)


def test_mann_whitney_of_hollander_and_wolfe():
    report = fixed_horizon.mann_whitney(*PERMEABILITY, at_end(15), alternative="greater")
    assert report.statistic == 35
    assert report.p_value == pytest.approx(0.1272, abs=5e-5)
    assert effect(report, "common language").value == pytest.approx(35 / 50)
    assert effect(report, "Cliff's delta").value == pytest.approx(2 * 35 / 50 - 1)


def test_mann_whitney_without_overlap_has_an_interval_of_width():
    report = fixed_horizon.mann_whitney([1, 2, 3], [4, 5, 6], at_end(6))
    assert report.p_value == pytest.approx(2 / math.comb(6, 3))
    superiority = effect(report, "common language")
    assert (superiority.value, superiority.high) == (1.0, 1.0)
    assert superiority.low < 0.6


def test_mann_whitney_of_one_value_throughout():
    report = fixed_horizon.mann_whitney([2, 2, 2], [2, 2], at_end(5))
    superiority = effect(report, "common language")
    assert superiority.low < superiority.value == 0.5 < superiority.high


@given(
    st.lists(st.integers(-5, 5), min_size=2, max_size=30),
    st.lists(st.integers(-5, 5), min_size=2, max_size=30),
)
def test_mann_whitney_counts_pairs(champion, challenger):
    report = fixed_horizon.mann_whitney(
        champion, challenger, at_end(len(champion) + len(challenger))
    )
    superiority = effect(report, "common language")
    pairs = np.sign(np.subtract.outer(challenger, champion))
    assert superiority.value == pytest.approx((1 + pairs.mean()) / 2)
    assert 0 <= superiority.low <= superiority.value <= superiority.high <= 1


def test_kolmogorov_smirnov_of_two_separate_triples():
    report = fixed_horizon.kolmogorov_smirnov([1, 2, 3], [4, 5, 6], at_end(6))
    # Of the 20 ways to split six values in two, two separate them wholly.
    assert (report.statistic, report.p_value) == (1.0, pytest.approx(2 / 20))


def test_kolmogorov_smirnov_covers_the_true_distance():
    rng = np.random.default_rng(5)
    true = 0.3829  # of N(0, 1) and N(1, 1): 2 Phi(1/2) - 1
    champion, challenger = rng.normal(0, 1, 4_000), rng.normal(1, 1, 4_000)
    distance = effect(
        fixed_horizon.kolmogorov_smirnov(champion, challenger, at_end(8_000)), "largest distance"
    )
    assert distance.low < true < distance.high
    assert distance.high - distance.low < 0.2


def test_welch_of_student_sleep():
    report = fixed_horizon.welch(*SLEEP, at_end(20))
    assert report.statistic == pytest.approx(-1.8608, abs=5e-5)
    assert report.p_value == pytest.approx(0.07939, abs=5e-6)
    difference = effect(report, "difference of means")
    assert difference.low == pytest.approx(-3.3654832, abs=5e-8)
    assert difference.high == pytest.approx(0.2054832, abs=5e-8)


def test_welch_standardised_effects_of_borenstein():
    # Borenstein et al. (2009), p. 26-28: means 103 and 100, deviations 5.5 and 4.5, 50 a group.
    # d = 0.5970, g = 0.5924; variance 0.0417 of d, 0.0411 of g (statsmodels is between).
    def sample(mean, deviation):
        raw = np.random.default_rng(1).normal(size=50)
        return mean + deviation * (raw - raw.mean()) / raw.std(ddof=1)

    report = fixed_horizon.welch(sample(100, 4.5), sample(103, 5.5), at_end(100))
    assert effect(report, "Cohen's d").value == pytest.approx(0.5970, abs=5e-5)
    hedges = effect(report, "Hedges' g")
    assert hedges.value == pytest.approx(0.5924, abs=5e-5)
    assert ((hedges.high - hedges.low) / 2 / 1.959964) ** 2 == pytest.approx(0.0414, abs=6e-4)


def test_welch_of_constants_is_refused():
    with pytest.raises(InvalidInput, match="vary"):
        fixed_horizon.welch([1, 1], [1, 1], at_end(4))


def test_two_proportions_of_newcombe():
    # Newcombe (1998), table II, (a): 56/70 against 48/80; method 10 gives 0.0524 to 0.3339.
    report = fixed_horizon.two_proportions((48, 80), (56, 70), at_end(150))
    difference = effect(report, "risk difference")
    assert difference.low == pytest.approx(0.0524, abs=5e-5)
    assert difference.high == pytest.approx(0.3339, abs=5e-5)
    # The square of the pooled z is the uncorrected chi-square of the same table.
    table = fixed_horizon.chi_square([[48, 32], [56, 14]], at_end(150))
    assert report.statistic**2 == pytest.approx(table.statistic)
    assert report.p_value == pytest.approx(table.p_value)
    ratio = effect(report, "risk ratio")
    assert ratio.value == pytest.approx(4 / 3)
    assert 1 < ratio.low < 4 / 3 < ratio.high


@pytest.mark.parametrize(
    ("champion", "challenger", "ratio"),
    [((0, 80), (0, 70), math.nan), ((0, 80), (5, 70), math.inf), ((80, 80), (70, 70), 1.0)],
)
def test_two_proportions_at_the_edges(champion, challenger, ratio):
    report = fixed_horizon.two_proportions(champion, challenger, at_end(150))
    found = effect(report, "risk ratio")
    assert found.value == pytest.approx(ratio, nan_ok=True)
    assert found.high - found.low > 0.05
    if champion[0] != 0 or challenger[0] == 0:
        assert report.p_value == 1


@given(st.integers(0, 40), st.integers(0, 40))
def test_two_proportions_are_sound_for_any_counts(events, others):
    report = fixed_horizon.two_proportions((events, 40), (others, 40), at_end(80))
    assert 0 <= report.p_value <= 1
    difference = effect(report, "risk difference")
    assert -1 <= difference.low <= difference.value <= difference.high <= 1
    ratio = effect(report, "risk ratio")
    assert 0 <= ratio.low < ratio.high
    assert not ratio.value < ratio.low * 0.999
    assert not ratio.value > ratio.high * 1.001


def test_chi_square_of_agresti():
    report = fixed_horizon.chi_square(PARTY, at_end(2757))
    assert report.statistic == pytest.approx(30.07, abs=5e-3)
    assert report.p_value == pytest.approx(2.954e-07, rel=5e-4)
    cramer = effect(report, "Cramer's V")
    assert cramer.value == pytest.approx(math.sqrt(30.0701 / 2757), rel=1e-4)
    assert 0 < cramer.low < cramer.value < cramer.high


def test_chi_square_interval_inverts_the_noncentral_distribution():
    from scipy.stats import ncx2

    cramer = effect(fixed_horizon.chi_square(PARTY, at_end(2757)), "Cramer's V")
    assert ncx2.cdf(30.0701491, 2, cramer.low**2 * 2757) == pytest.approx(0.975, abs=1e-4)
    assert ncx2.cdf(30.0701491, 2, cramer.high**2 * 2757) == pytest.approx(0.025, abs=1e-4)


def test_chi_square_of_equal_arms_is_not_certain():
    cramer = effect(fixed_horizon.chi_square([[10, 20], [10, 20]], at_end(60)), "Cramer's V")
    assert cramer.low == cramer.value == 0
    assert cramer.high > 0.1


@pytest.mark.parametrize(
    "table",
    [[[1, 2]], [[1], [2]], [[1, -2], [3, 4]], [[0.5, 2], [3, 4]], [[1, math.nan], [3, 4]],
     [[0, 0], [3, 4]], [[100, 1], [100, 0]]],
)  # fmt: skip
def test_chi_square_refuses(table):
    units = np.nansum(np.asarray(table))
    with pytest.raises(InvalidInput):
        fixed_horizon.chi_square(table, at_end(int(units)))


def test_holm_and_benjamini_hochberg_of_their_paper():
    holm, hochberg = fixed_horizon.holm(FIFTEEN), fixed_horizon.benjamini_hochberg(FIFTEEN)
    assert sum(value <= 0.05 for value in holm) == 3
    assert sum(value <= 0.05 for value in hochberg) == 4
    # By hand, from the definitions: 12 * 0.0095, and 15/4 * 0.0095.
    assert holm[3] == pytest.approx(0.114)
    assert hochberg[3] == pytest.approx(0.035625)


def test_adjusted_values_keep_their_order_and_nothing_is_nothing():
    shuffled = FIFTEEN[::-1]
    assert fixed_horizon.holm(shuffled) == fixed_horizon.holm(FIFTEEN)[::-1]
    assert fixed_horizon.holm(()) == fixed_horizon.benjamini_hochberg(()) == ()
    for bad in (-0.1, 1.1, math.nan):
        with pytest.raises(InvalidInput):
            fixed_horizon.holm([0.5, bad])


ALL = {
    "mann_whitney": lambda horizon: fixed_horizon.mann_whitney([1, 2], [3, 4], horizon),
    "kolmogorov_smirnov": lambda horizon: fixed_horizon.kolmogorov_smirnov([1, 2], [3, 4], horizon),
    "welch": lambda horizon: fixed_horizon.welch([1, 2], [3, 4], horizon),
    "two_proportions": lambda horizon: fixed_horizon.two_proportions((1, 2), (1, 2), horizon),
    "chi_square": lambda horizon: fixed_horizon.chi_square([[1, 1], [1, 1]], horizon),
}


@pytest.mark.parametrize("name", ALL)
def test_horizon_is_asked_by_every_test(name):
    report = ALL[name](at_end(4))
    assert report.units == 4
    assert "planned end" in report.validity
    with pytest.raises(Conflict, match="watched continuously"):
        ALL[name](Horizon(4, 4, watched=True))
    with pytest.raises(Conflict, match="4 of 5 planned units"):
        ALL[name](Horizon(5, 4, watched=False))
    with pytest.raises(Conflict, match="5 of 4 planned units"):
        ALL[name](Horizon(4, 5, watched=False))
    with pytest.raises(Conflict, match="the sample has 4 units"):
        ALL[name](at_end(5))


@pytest.mark.parametrize("values", [[], [1], [1, math.nan], [1, math.inf], [[1, 2]]])
def test_samples_that_cannot_be_used_are_refused(values):
    for test in (fixed_horizon.mann_whitney, fixed_horizon.welch):
        with pytest.raises(InvalidInput):
            test(values, [1, 2], at_end(4))
        with pytest.raises(InvalidInput):
            test([1, 2], values, at_end(4))
    if values != [1]:
        with pytest.raises(InvalidInput):
            fixed_horizon.kolmogorov_smirnov(values, [1, 2], at_end(4))


@pytest.mark.parametrize("arm", [(0, 0), (3, 2), (-1, 2), (0.5, 2), (1, math.inf), (math.nan, 2)])
def test_counts_that_cannot_be_used_are_refused(arm):
    with pytest.raises(InvalidInput):
        fixed_horizon.two_proportions(arm, (1, 2), at_end(4))


def test_intervals_cover_as_often_as_they_say():
    """400 samples of a known truth: 95 % intervals miss it between 1 and 10 times in 100."""
    rng = np.random.default_rng(11)
    missed = {"difference of means": 0, "common language": 0, "risk difference": 0}
    truth = {"difference of means": 0.5, "common language": 0.6381632, "risk difference": 0.1}
    for _ in range(400):
        arms = rng.normal(0, 1, 60), rng.normal(0.5, 1, 60)
        events = int(rng.binomial(80, 0.1)), int(rng.binomial(80, 0.2))
        reports = (
            fixed_horizon.welch(*arms, at_end(120)),
            fixed_horizon.mann_whitney(*arms, at_end(120)),
            fixed_horizon.two_proportions((events[0], 80), (events[1], 80), at_end(160)),
        )
        for item in (found for report in reports for found in report.effects):
            if item.name in missed:
                missed[item.name] += not within(item.estimate, truth[item.name])
    assert all(4 <= count <= 40 for count in missed.values()), missed


def within(estimate: Estimate, value: float) -> bool:
    return estimate.low <= value <= estimate.high
