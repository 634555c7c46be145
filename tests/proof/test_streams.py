from __future__ import annotations

import numpy as np
import pytest

from serinus.delivery.verdicts.evidence import LOSS_STEPS
from serinus.proof import streams
from serinus.proof.streams import Difference

N = 200_000
EVERY_COURSE = streams.AA_COURSES | streams.DRIFTING_COURSES


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def live(rng, difference=streams.EQUAL, share=0.5):
    return streams.live(rng, np.full(N, share), streams.flat(rng, N), difference)


def by_arm(stream, values):
    arm = stream.requests.challenger
    return float(np.mean(values[~arm])), float(np.mean(values[arm]))


def test_shares_are_steps_of_equal_length():
    share = streams.shares(10, streams.RAMP)
    assert len(share) == 10
    assert share[0] == 0.01
    assert share[-1] == 0.5
    assert (np.diff(share) >= 0).all()
    assert streams.shares(7, streams.HALVES).tolist() == [0.5] * 7


@pytest.mark.parametrize("name", EVERY_COURSE)
def test_courses_are_rates(rng, name):
    course = EVERY_COURSE[name](rng, 5_000)
    for rates in (course.errors, course.wrong):
        assert rates.shape == (5_000,)
        assert 0 < rates.min() <= rates.max() < 1
    assert min(course.latency.min(), course.value.min(), course.tilt.min()) > 0
    stream = streams.live(rng, streams.shares(5_000, streams.RAMP), course)
    assert np.isfinite(stream.requests.latency).all()
    assert set(np.unique(stream.requests.category)) <= {0, 1, 2}


def test_errors_swing_tenfold(rng):
    errors = streams.errors_swing(rng, N).errors
    assert errors.max() / errors.min() == pytest.approx(10, rel=1e-3)


def test_equal_arms_are_equal(rng):
    stream = live(rng)
    for values in (
        stream.requests.failed,
        np.log(stream.requests.latency),
        stream.requests.score,
        stream.requests.category,
        stream.loss,
        stream.value,
    ):
        champion, challenger = by_arm(stream, values)
        spread = np.std(values) * 2 / np.sqrt(N)
        assert abs(champion - challenger) < 4.5 * spread


def test_base_rates_are_those_that_are_told(rng):
    stream = live(rng)
    assert stream.requests.failed.mean() == pytest.approx(0.01, rel=0.1)
    assert np.median(stream.requests.latency) == pytest.approx(20_000, rel=0.01)
    assert stream.worth.mean() == pytest.approx(1.0, rel=0.03)
    assert stream.worth.std() / stream.worth.mean() == pytest.approx(1.8, rel=0.15)
    assert (stream.worth > streams.VALUE_CAP).mean() == pytest.approx(0.01, rel=0.1)
    assert (stream.loss[stream.requests.failed] == LOSS_STEPS).all()


@pytest.mark.parametrize(
    ("difference", "measured", "expected"),
    [
        (Difference(error_ratio=5), lambda s: by_arm(s, s.requests.failed), 0.05),
        (Difference(error_ratio=1.2, error_points=0.02), lambda s: by_arm(s, s.requests.failed),
         0.03),
        (Difference(latency_ratio=1.25, latency_slack_us=5_000),
         lambda s: by_arm(s, s.requests.latency <= 1.25 * 20_000 + 5_000), 0.5),
        (Difference(value_ratio=0.8),
         lambda s: [part / by_arm(s, s.value)[0] for part in by_arm(s, s.value)], 0.8),
        (Difference(score_shift=0.1), lambda s: by_arm(s, s.requests.score < 0.5), 0.4),
        (Difference(wrong_points=0.02), lambda s: by_arm(s, s.loss > 0), 1 - 0.99 * 0.88),
    ],
)  # fmt: skip
def test_differences_are_as_large_as_told(rng, difference, measured, expected):
    _, challenger = measured(live(rng, difference))
    assert challenger == pytest.approx(expected, rel=0.05)


def test_score_shift_is_largest_at_the_median(rng):
    stream = live(rng, Difference(score_shift=0.1))
    gaps = []
    for cut in np.arange(1, 10) / 10:
        champion, challenger = by_arm(stream, stream.requests.score < cut)
        gaps.append(champion - challenger)
    assert int(np.argmax(gaps)) == 4
    assert max(gaps) == pytest.approx(0.1, abs=0.01)


def test_tail_ratio_stretches_the_tail_alone(rng):
    stream = live(rng, Difference(tail_ratio=1.2))
    arm = stream.requests.challenger
    one, two = (
        np.quantile(stream.requests.latency[part], (0.5, 0.9, 0.99)) for part in (~arm, arm)
    )
    assert two / one == pytest.approx([1, 1, 1.2], rel=0.03)


def test_mirrored_pairs_differ_by_the_points_and_agree_otherwise(rng):
    pairs = streams.mirrored(rng, streams.flat(rng, N), Difference(wrong_points=0.02))
    answered = pairs.loss >= 0
    assert answered.mean() == pytest.approx(0.98, rel=0.01)
    assert (pairs.flip[~answered] == -1).all()
    difference = (pairs.loss[answered] - LOSS_STEPS) / LOSS_STEPS
    assert difference.mean() == pytest.approx(0.02, rel=0.1)
    assert pairs.flip[answered].mean() == pytest.approx(0.05, rel=0.05)
    assert (pairs.error - 1).mean() == pytest.approx(0, abs=0.001)


def test_failing_draws_arms_by_the_share(rng):
    requests = streams.failing(
        rng, np.full(N, 0.1), streams.flat(rng, N), Difference(error_ratio=50)
    )
    assert requests.challenger.mean() == pytest.approx(0.1, rel=0.05)
    assert requests.failed[requests.challenger].mean() == pytest.approx(0.5, rel=0.05)
    sticky = streams.failing(
        rng, np.full(9, 0.5), streams.flat(rng, 9), challenger=np.ones(9, bool)
    )
    assert sticky.challenger.all()
