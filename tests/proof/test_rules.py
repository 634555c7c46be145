"""Others' rules: the tests against SciPy and statsmodels, the controllers by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportions_ztest

from serinus.delivery.verdicts.tally import Requests
from serinus.proof import judging, rules, streams
from serinus.proof.rules import INTERVAL, Seen
from serinus.proof.streams import Difference


def traffic(seed, n=4_000, difference=streams.EQUAL, share=0.3):
    rng = np.random.default_rng(seed)
    drawn = streams.live(rng, np.full(n, share), streams.flat(rng, n), difference)
    return drawn.requests


def requests(*, challenger, failed=None, latency=None):
    n = len(challenger)
    return Requests(
        share=np.full(n, 0.5),
        challenger=np.asarray(challenger, bool),
        step=np.zeros(n, np.int64),
        failed=np.zeros(n, bool) if failed is None else np.asarray(failed, bool),
        latency=np.full(n, 1e4) if latency is None else np.asarray(latency, float),
        score=np.full(n, np.nan),
        category=np.full(n, -1),
    )


def by_arm(drawn, values, end):
    arm = drawn.challenger[:end]
    return values[:end][~arm], values[:end][arm]


HARM = Difference(error_ratio=3, latency_ratio=1.08, score_shift=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_four_tests_alarm_where_scipy_and_statsmodels_do(seed):
    drawn = traffic(seed, difference=HARM)
    ends = judging.looks(4_000, 400)
    seen = Seen(drawn, ends)
    found = [
        rules.two_proportions(seen),
        rules.welch(seen),
        rules.mann_whitney(seen),
        rules.kolmogorov_smirnov(seen),
    ]
    expected = []
    for end in ends:
        failed, latency, score = (
            by_arm(drawn, values, end) for values in (drawn.failed, drawn.latency, drawn.score)
        )
        events = [part.sum() for part in failed]
        z = proportions_ztest(events[::-1], [len(part) for part in failed[::-1]])[0]
        p_values = [
            stats.ttest_ind(latency[1], latency[0], equal_var=False, alternative="greater").pvalue,
            stats.mannwhitneyu(latency[1], latency[0], alternative="greater").pvalue,
            stats.ks_2samp(score[0], score[1], method="asymp").pvalue,
        ]
        expected.append([stats.norm.sf(z), *p_values])
    levels = (0.025, 0.025, 0.025, 0.05)
    for alarms, p_values, level in zip(found, np.transpose(expected), levels, strict=True):
        # Bins and the normal quantile may tip what is as good as on the line.
        clear = np.abs(np.log(p_values / level)) > 0.25
        assert clear.sum() >= 3
        np.testing.assert_array_equal(alarms[clear], (p_values < level)[clear])


def test_nobody_alarms_before_thirty_challenger_requests():
    drawn = requests(challenger=np.arange(1_000) % 20 == 0, failed=np.arange(1_000) % 20 == 0)
    seen = Seen(drawn, judging.looks(1_000))
    assert rules.naive(seen)["two-proportion, errors"] == 600
    assert rules.growthbook(seen) >= 600
    assert rules.proportion_time(drawn.failed, drawn.challenger, judging.looks(1_000)) == 600


def test_proportion_time_is_the_test_of_two_proportions():
    for seed in range(5):
        drawn = traffic(seed, difference=Difference(error_ratio=2))
        ends = judging.looks(4_000)
        assert (
            rules.proportion_time(drawn.failed, drawn.challenger, ends)
            == rules.naive(Seen(drawn, ends))["two-proportion, errors"]
        )


def test_margin_excluded_is_the_test_of_the_difference_of_means():
    drawn = traffic(2)
    ends = judging.looks(4_000, 400)
    found = rules.margin_excluded(Seen(drawn, ends), drawn.latency, 1.05, 300.0)
    for end in ends:
        champion, challenger = by_arm(drawn, drawn.latency, end)
        p_value = stats.ttest_ind(
            challenger, 1.05 * champion + 300.0, equal_var=False, alternative="less"
        ).pvalue
        assert (end >= found) or p_value > 0.024
        if end == found:
            assert p_value < 0.026
    assert found < np.inf


def test_seen_sums_are_those_up_to_each_look():
    drawn = traffic(1)
    seen = Seen(drawn, judging.looks(4_000, 1_000))
    mean, variance = seen.latency
    for place, end in enumerate(seen.ends):
        for arm, part in enumerate(by_arm(drawn, drawn.latency, end)):
            assert seen.units[place, arm] == len(part)
            assert mean[place, arm] == pytest.approx(part.mean())
            assert variance[place, arm] == pytest.approx(part.var(ddof=1))


def intervals_with(failing, n=20):
    """``n`` intervals, every second request the challenger's; in ``failing`` half of them fail."""
    place = np.arange(n * INTERVAL)
    failed = np.isin(place // INTERVAL, list(failing)) & (place % 4 == 1)
    return requests(challenger=place % 2 == 1, failed=failed)


def test_flagger_counts_failed_checks_and_never_forgets():
    assert rules.flagger(intervals_with(range(9))) == math.inf
    # Ten failures with good intervals between them are ten failures.
    assert rules.flagger(intervals_with(range(0, 20, 2))) == 19 * INTERVAL
    # An interval without a challenger's request is a failed check.
    assert rules.flagger(requests(challenger=np.zeros(20 * INTERVAL))) == 10 * INTERVAL


def test_flagger_looks_at_the_tail():
    slow = np.full(20 * INTERVAL, 1e4)
    slow[::50] = 2 * rules.SIMULATED.p99_us
    assert rules.flagger(requests(challenger=np.ones(len(slow)), latency=slow)) == 10 * INTERVAL


def test_argo_forgives_three_failures_and_four_empty_measurements():
    every = INTERVAL * rules.ARGO_INTERVALS
    first_of = [place * rules.ARGO_INTERVALS for place in range(10)]
    assert rules.argo(intervals_with(first_of[:3], 50)) == math.inf
    assert rules.argo(intervals_with(first_of[:4], 50)) == 4 * every
    quiet = np.ones(10 * every)
    quiet[2 * every : 6 * every] = 0
    assert rules.argo(requests(challenger=quiet)) == math.inf
    quiet[6 * every : 7 * every] = 0
    assert rules.argo(requests(challenger=quiet)) == 7 * every


def test_kayenta_finds_what_is_gross_once_it_has_fifty_values():
    rng = np.random.default_rng(2)
    n = 60 * INTERVAL
    challenger = np.arange(n) % 2 == 1
    latency = rng.lognormal(9, 0.2, n)
    assert rules.kayenta(requests(challenger=challenger, latency=latency)) == math.inf
    slower = np.where(challenger, 1.3 * latency, latency)
    assert rules.kayenta(requests(challenger=challenger, latency=slower)) == 50 * INTERVAL
    faster = np.where(challenger, 0.7 * latency, latency)
    assert rules.kayenta(requests(challenger=challenger, latency=faster)) == math.inf


def test_growthbook_excludes_zero_where_its_formula_does():
    # Waudby-Smith et al., eq. 134 with a tuning of 5,000, written out once more.
    mean, variance, units = np.array([[0.0, 0.3]]), np.array([[1.0, 1.0]]), np.array([[600, 400]])
    n, alpha = 1_000, 0.05
    rho2 = (-2 * math.log(2 * alpha) + math.log(1 - 2 * math.log(2 * alpha))) / 5_000
    sigma2 = n * (1 / 600 + 1 / 400)
    half = math.sqrt(
        sigma2
        * 2
        * (n * rho2 + 1)
        / (n**2 * rho2)
        * math.log(1 + math.sqrt(n * rho2 + 1) / (2 * alpha))
    )
    for rise in (0.999 * half, 1.001 * half):
        mean[0, 1] = rise
        assert rules.sequence_excludes_zero(mean, variance, units)[0] == (rise > half)


def test_all_rules_leave_a_constant_equal_pair_alone():
    drawn = requests(challenger=np.arange(10_000) % 2 == 1)
    found = rules.times(drawn, judging.looks(10_000))
    assert set(found) == {rules.FOUR, *rules.NAIVE, *rules.OTHERS}
    assert all(time == math.inf for time in found.values()), found
