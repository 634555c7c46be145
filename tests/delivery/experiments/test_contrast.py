"""Differences from moments: against the textbook's own tests, and in thousands of experiments."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from tests.delivery.experiments.trials import two_arms

from serinus.delivery.experiments import contrast as co
from serinus.delivery.experiments import moments as mo

RUNS = 4_000
ALPHA = 0.05
# Three standard errors of a share of 5 % over that many runs.
MOST = ALPHA + 3 * (ALPHA * (1 - ALPHA) / RUNS) ** 0.5


def test_compare_of_plain_means_is_welchs_test() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(1, 1, 50), rng.normal(1.3, 2, 80)
    found = co.compare(mo.total(one), mo.total(other))
    welch = stats.ttest_ind(other, one, equal_var=False)
    assert float(found.p_value()) == pytest.approx(welch.pvalue)
    interval = welch.confidence_interval(0.95)
    low, high = found.interval(0.05)
    assert (float(low), float(high)) == pytest.approx((interval.low, interval.high))
    assert float(found.deviation) == pytest.approx(
        np.sqrt((49 * one.var(ddof=1) + 79 * other.var(ddof=1)) / 128)
    )


def test_mean_has_the_standard_error_of_the_mean() -> None:
    values = np.random.default_rng(2).normal(3, 2, 40)
    found = co.mean(mo.total(values))
    assert float(found.value) == pytest.approx(values.mean())
    assert float(found.error) == pytest.approx(stats.sem(values))
    assert float(found.units) == 40


def test_compare_says_nothing_of_too_few_units() -> None:
    few, many = mo.total(np.arange(5.0)), mo.total(np.arange(50.0))
    found = co.compare(few, many)
    assert np.isnan(found.error)
    assert float(found.p_value()) == 1.0


def test_compare_of_equal_arms_errs_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    found = co.compare(*two_arms(rng, RUNS, 200, share=0.3))
    assert 0.035 < (found.p_value() < ALPHA).mean() < MOST


def test_interval_covers_the_difference_as_often_as_it_says() -> None:
    rng = np.random.default_rng(4)
    found = co.compare(*two_arms(rng, RUNS, 300, effect=0.2))
    low, high = found.interval(ALPHA)
    assert ((low > 0.2) | (high < 0.2)).mean() < MOST


def visits(rng: np.random.Generator, runs: int, entities: int) -> tuple[np.ndarray, np.ndarray]:
    """Requests of entities that come again and again, and succeed by a habit of their own."""
    n = rng.geometric(0.1, (runs, entities)).astype(float)
    return rng.binomial(n.astype(int), rng.beta(1, 1, (runs, entities))).astype(float), n


def test_entities_count_once_however_often_they_come() -> None:
    rng = np.random.default_rng(5)
    arms = [visits(rng, RUNS, 150) for _ in range(2)]
    by_entity = co.compare(*(mo.total(y, n) for y, n in arms))
    assert 0.03 < (by_entity.p_value() < ALPHA).mean() < MOST
    # The same requests as if each were drawn by itself: 0 or 1, so that squares are sums.
    naive = []
    for y, n in arms:
        rows = np.zeros((RUNS, mo.WIDTH))
        successes, requests = y.sum(axis=1), n.sum(axis=1)
        for place, value in (
            (mo.UNITS, requests),
            (mo.N, requests),
            (mo.NN, requests),
            (mo.Y, successes),
            (mo.YY, successes),
            (mo.YN, successes),
        ):
            rows[:, place] = value
        naive.append(rows)
    by_request = co.compare(*naive)
    assert (by_request.p_value() < ALPHA).mean() > 0.3


def test_covariate_narrows_and_stays_valid() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(2, RUNS, 150))
    y = 2 * x + rng.normal(size=x.shape)
    arms = [mo.total(y[arm], 1.0, x[arm]) for arm in range(2)]
    plain, adjusted = co.compare(*arms), co.compare(*arms, adjust=True)
    assert (adjusted.p_value() < ALPHA).mean() < MOST
    low, high = adjusted.interval(ALPHA)
    assert ((low > 0) | (high < 0)).mean() < MOST
    assert (adjusted.error / plain.error).mean() == pytest.approx(5**-0.5, abs=0.02)
    assert adjusted.reduction.mean() == pytest.approx(0.8, abs=0.02)


def test_covariate_that_explains_nothing_does_no_harm() -> None:
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(2, 2, RUNS, 100))
    arms = [mo.total(y[arm], 1.0, x[arm]) for arm in range(2)]
    adjusted = co.compare(*arms, adjust=True)
    assert (adjusted.p_value() < ALPHA).mean() < MOST
    assert (adjusted.reduction >= 0).all()


def test_combine_stays_valid_where_shares_follow_results() -> None:
    """Each stretch's share is chosen to bend a pooled comparison as time goes by."""
    rng = np.random.default_rng(8)
    stretches, ahead = [], np.full(RUNS, 0.0)
    pooled = [np.zeros((RUNS, mo.WIDTH)) for _ in range(2)]
    for number in range(5):
        level = float(number)
        arms = []
        for arm in range(2):
            # Who is ahead gets nine tenths of the next stretch.
            many = (ahead >= 0) == (arm == 1)
            kept = rng.normal(level, 1.0, (RUNS, 90))
            counted = np.arange(90) < np.where(many, 90, 10)[:, None]
            rows = (mo.of_units(kept) * counted[..., None]).sum(axis=-2)
            arms.append(rows)
            pooled[arm] += rows
        stretches.append(co.compare(*arms))
        ahead = stretches[-1].difference
    found = co.combine(stretches)
    assert (found.p_value() < ALPHA).mean() < MOST
    low, high = found.interval(ALPHA)
    assert ((low > 0) | (high < 0)).mean() < MOST
    assert (co.compare(*pooled).p_value() < ALPHA).mean() > 0.2


def test_combine_leaves_out_stretches_that_say_nothing() -> None:
    rng = np.random.default_rng(9)
    known = co.compare(*(arm[0] for arm in two_arms(rng, 1, 100)))
    nothing = co.compare(mo.NONE, mo.NONE)
    found = co.combine([known, nothing])
    assert float(found.difference) == pytest.approx(float(known.difference))
    assert float(found.error) == pytest.approx(float(known.error), rel=0.02)
    assert float(co.combine([nothing, nothing]).p_value()) == 1.0


def test_combine_holds_where_a_stretch_ends_when_somebody_is_dropped() -> None:
    """A third arm is dropped once the champion is clearly better than it, at any request.

    So the first stretch of the other challenger, which is as good as the champion, ends when the
    champion looks good. Weighted by 1/error it is called worse far too often.
    """
    rng = np.random.default_rng(5)
    runs, steps, batch = 2_000, 40, 10
    values = rng.normal(0.0, 1.0, (runs, 3, steps, batch))
    # The third one always does the same, so the champion's luck alone decides when it goes.
    lucky = values[:, 0].sum(axis=-1).cumsum(axis=-1) / np.sqrt(batch * np.arange(1, steps + 1))
    wrong = dict.fromkeys((True, False), 0)
    for run in range(runs):
        over = np.flatnonzero(lucky[run, 1:] > 1.3)
        end = int(over[0]) + 2 if over.size else steps
        # Afterwards the champion has what the dropped one had: twice as much.
        cuts = [([0], slice(0, end)), ([0, 2], slice(end, steps))]
        parts = [
            co.compare(
                mo.total(values[run, arms, cut].ravel()), mo.total(values[run, 1, cut].ravel())
            )
            for arms, cut in cuts
            if cut.start < steps
        ]
        for planned in wrong:
            found = co.combine(parts, planned=planned)
            wrong[planned] += found.difference < 0 and float(found.p_value()) < 0.05
    chance = 0.025 + 3 * (0.025 * 0.975 / runs) ** 0.5
    assert wrong[True] / runs > chance > wrong[False] / runs


@pytest.mark.parametrize("rate", [0.5, 0.9])
@pytest.mark.parametrize("of_class", [5, 10, 20, 60])
def test_few_units_of_a_rare_class_prove_no_more_than_they_can(of_class: int, rate: float) -> None:
    """Two equal arms, 2 % of each of the class: the recall differs as often as the level says."""
    rng = np.random.default_rng(3)

    def arm() -> np.ndarray:
        true = rng.binomial(50 * of_class, 0.02, 10_000)
        hits = rng.binomial(true, rate)
        found = np.zeros((10_000, mo.WIDTH))
        found[:, mo.UNITS] = 50 * of_class
        found[:, mo.N] = found[:, mo.NN] = true
        found[:, [mo.Y, mo.YY, mo.YN]] = hits[:, None]
        return found

    assert (co.compare(arm(), arm()).p_value() < 0.05).mean() < 0.06
