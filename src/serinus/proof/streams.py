"""Simulated traffic: what two versions would have answered, and what came of it.

Base rates follow a :class:`Course` over the run (a day's swing, a trend, a step, bursts), and the
challenger differs from the champion by a :class:`Difference`, by default not at all. Values are
those of a small service: 1 % errors, lognormal latency with a median of 20 ms, 10 % wrong
answers, a lognormal business value with a coefficient of variation of 1.8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from serinus.delivery.verdicts.evidence import LOSS_STEPS
from serinus.delivery.verdicts.tally import Requests

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

ERROR_RATE = 0.01
WRONG_RATE = 0.10
LATENCY_MEDIAN_US = 20_000.0
LATENCY_SIGMA = 0.5
# The normal quantile of 0.95: beyond it lies the tail that a harmed tail stretches.
_P95 = 1.6448536
VALUE_SIGMA = np.sqrt(np.log1p(1.8**2))
# The 99 % quantile of values with mean 1: where they are winsorised.
VALUE_CAP = float(np.exp(2.3263479 * VALUE_SIGMA - VALUE_SIGMA**2 / 2))
CLASS_SHARES = (0.6, 0.3, 0.1)
# How often two versions that are equally good answer differently.
DISAGREEMENT = 0.05

RAMP = (0.01, 0.05, 0.25, 0.50)
HALVES = (0.50,)


@dataclass(frozen=True)
class Course:
    """Base rates over a run, each of shape (n,), common to both arms.

    Attributes:
        errors: chance of a failure.
        wrong: chance of a wrong answer.
        latency: factor of every latency.
        value: factor of every value.
        tilt: exponent of the scores (1 is uniform) and of the class shares.
        sigma: of the logarithm of latency.
    """

    errors: Floats
    wrong: Floats
    latency: Floats
    value: Floats
    tilt: Floats
    sigma: float = LATENCY_SIGMA


@dataclass(frozen=True)
class Difference:
    """How a challenger differs; by default it does not.

    Attributes:
        error_ratio: its error rate over the champion's.
        error_points: what its error rate is above the champion's, if that is more.
        latency_ratio: its latency over the champion's.
        latency_slack_us: and then so many microseconds more.
        tail_ratio: factor of latencies beyond the 95 % quantile only.
        wrong_points: what its rate of wrong answers is above.
        value_ratio: the part of its values that is not lost.
        score_shift: by how much its scores' distribution is off at the median.
    """

    error_ratio: float = 1.0
    error_points: float = 0.0
    latency_ratio: float = 1.0
    latency_slack_us: float = 0.0
    tail_ratio: float = 1.0
    wrong_points: float = 0.0
    value_ratio: float = 1.0
    score_shift: float = 0.0


EQUAL = Difference()


@dataclass(frozen=True)
class Stream:
    """Live requests in order; every array of shape (n,).

    ``loss`` and ``value`` are levels as evidence counts them, ``worth`` the value itself.
    """

    requests: Requests
    loss: Counts
    value: Counts
    worth: Floats


@dataclass(frozen=True)
class Pairs:
    """Mirrored requests in order, as levels: of failures' difference, of losses', of a flip."""

    error: Counts
    loss: Counts
    flip: Counts


# ------------------------------------------------------------------ courses


def flat(rng: np.random.Generator, n: int) -> Course:
    """Nothing changes."""
    return _course(n)


def errors_swing(rng: np.random.Generator, n: int) -> Course:
    """Errors swing tenfold with the day, two days a run, from a random hour."""
    return _course(n, errors=_swing(rng, n, 10.0))


def all_swing(rng: np.random.Generator, n: int) -> Course:
    """Every metric swings with the day: errors tenfold, the others up to twofold."""
    day = np.log(_swing(rng, n, 10.0)) / np.log(10.0)
    return _course(
        n,
        errors=10.0**day,
        wrong=2.0**day,
        latency=1.8**day,
        value=0.6**day,
        tilt=2.0**day,
    )


def trend(rng: np.random.Generator, n: int) -> Course:
    """Everything gets worse from the first request to the last: errors fivefold."""
    late = np.linspace(-0.5, 0.5, n)
    return _course(
        n, errors=5.0**late, wrong=2.0**late, latency=1.6**late, value=0.6**late, tilt=1.5**late
    )


def step_change(rng: np.random.Generator, n: int) -> Course:
    """At a random moment everything jumps: errors threefold."""
    late = (np.arange(n) >= rng.integers(n // 10, n * 9 // 10)).astype(float)
    return _course(
        n, errors=3.0**late, wrong=1.6**late, latency=1.5**late, value=0.7**late, tilt=1.5**late
    )


def bursts(rng: np.random.Generator, n: int) -> Course:
    """Six outages of 150 requests, in which 30 % fail and the rest takes three times as long."""
    out = np.zeros(n)
    for start in rng.integers(0, n - 150, 6):
        out[start : start + 150] = 1.0
    return _course(n, errors=30.0**out, latency=3.0**out)


def heavy_tails(rng: np.random.Generator, n: int) -> Course:
    """Latency without a variance to speak of, swinging with the day."""
    return _course(n, latency=_swing(rng, n, 3.0), sigma=1.5)


def both_failing(rng: np.random.Generator, n: int) -> Course:
    """Eight per cent fail in either arm, from the first request to the last."""
    return _course(n, errors=8.0)


def long_outage(rng: np.random.Generator, n: int) -> Course:
    """Late in the ramp 60 % fail in either arm, for a tenth of all requests."""
    return _outage(n, 8 * n // 10, n // 10)


def outage_at_half(rng: np.random.Generator, n: int) -> Course:
    """Just as the last of four steps begins 60 % fail in either arm, for 3 % of all requests."""
    return _outage(n, 3 * n // 4, 3 * n // 100)


def failing_at(rate: float, rng: np.random.Generator, n: int) -> Course:
    """Nothing changes, and so many fail."""
    return _course(n, errors=rate / ERROR_RATE)


def with_errors(course: Course, errors: Floats) -> Course:
    """The same course with other chances of a failure."""
    return replace(course, errors=errors)


AA_COURSES: Mapping[str, Callable[[np.random.Generator, int], Course]] = {
    "flat": flat,
    "errors swing": errors_swing,
    "all metrics swing": all_swing,
    "trend": trend,
}
DRIFTING_COURSES: Mapping[str, Callable[[np.random.Generator, int], Course]] = {
    "trend": trend,
    "step change": step_change,
    "bursts of errors": bursts,
    "heavy-tailed latency": heavy_tails,
    "8 % fail in both arms": both_failing,
    "long outage": long_outage,
    "outage as half begins": outage_at_half,
}


def _outage(n: int, start: int, length: int) -> Course:
    out = np.zeros(n)
    out[start : start + length] = 1.0
    return _course(n, errors=60.0**out)


def _course(
    n: int,
    *,
    errors: Floats | float = 1.0,
    wrong: Floats | float = 1.0,
    latency: Floats | float = 1.0,
    value: Floats | float = 1.0,
    tilt: Floats | float = 1.0,
    sigma: float = LATENCY_SIGMA,
) -> Course:
    ones = np.ones(n)
    return Course(
        ERROR_RATE * errors * ones,
        WRONG_RATE * wrong * ones,
        latency * ones,
        value * ones,
        tilt * ones,
        sigma,
    )


def _swing(rng: np.random.Generator, n: int, ratio: float) -> Floats:
    """A factor of geometric mean 1 whose peak is ``ratio`` times its trough."""
    phase = rng.uniform(0, 2 * np.pi)
    swing: Floats = ratio ** (0.5 * np.sin(np.linspace(0, 4 * np.pi, n) + phase))
    return swing


# ------------------------------------------------------------------ requests


def shares(n: int, steps: tuple[float, ...]) -> Floats:
    """The configured share of each of ``n`` requests, the steps equally long."""
    return np.repeat(steps, np.diff(np.linspace(0, n, len(steps) + 1).astype(int)))


def live(
    rng: np.random.Generator,
    share: Floats,
    course: Course,
    difference: Difference = EQUAL,
    *,
    challenger: Flags | None = None,
) -> Stream:
    """Requests whose arms are drawn with the configured ``share``, shape (n,).

    ``challenger`` says which arm each falls to where arms are not drawn by request.
    """
    n = len(share)
    if challenger is None:
        challenger = rng.random(n) < share
    failed = failures(rng, challenger, course.errors, difference)
    category = _categories(rng, course.tilt)
    requests = Requests(
        share=share,
        challenger=challenger,
        step=np.zeros(n, np.int64),
        failed=failed,
        latency=latencies(rng, challenger, course, difference),
        score=_scores(rng, challenger, course.tilt, difference),
        category=category,
    )
    wrong = rng.random(n) < course.wrong + difference.wrong_points * challenger
    worth = np.exp(rng.normal(-(VALUE_SIGMA**2) / 2, VALUE_SIGMA, n)) * course.value
    if difference.value_ratio != 1.0:
        # Lost wholly or not at all, so that the winsorised mean falls by the same ratio.
        worth[challenger & (rng.random(n) >= difference.value_ratio)] = 0.0
    return Stream(
        requests=requests,
        # What failed counts as wrong, whatever would have been right.
        loss=np.where(wrong | failed, LOSS_STEPS, 0),
        value=np.rint(np.clip(worth / VALUE_CAP, 0.0, 1.0) * LOSS_STEPS).astype(np.int64),
        worth=worth,
    )


def failing(
    rng: np.random.Generator,
    share: Floats,
    course: Course,
    difference: Difference = EQUAL,
    *,
    challenger: Flags | None = None,
) -> Requests:
    """Requests of which only failures matter: all equally fast, without scores or classes."""
    n = len(share)
    if challenger is None:
        challenger = rng.random(n) < share
    return Requests(
        share=share,
        challenger=challenger,
        step=np.zeros(n, np.int64),
        failed=failures(rng, challenger, course.errors, difference),
        latency=np.full(n, LATENCY_MEDIAN_US),
        score=np.full(n, np.nan),
        category=np.full(n, -1),
    )


def failures(
    rng: np.random.Generator, challenger: Flags, errors: Floats, difference: Difference
) -> Flags:
    """Which requests fail."""
    harmed = np.maximum(difference.error_ratio * errors, errors + difference.error_points)
    failed: Flags = rng.random(len(errors)) < np.where(challenger, harmed, errors)
    return failed


def latencies(
    rng: np.random.Generator, challenger: Flags, course: Course, difference: Difference
) -> Floats:
    """Microseconds, shape (n,)."""
    normal = rng.standard_normal(len(challenger))
    latency = LATENCY_MEDIAN_US * course.latency * np.exp(course.sigma * normal)
    slower = latency * difference.latency_ratio + difference.latency_slack_us
    if difference.tail_ratio != 1.0:
        slower = np.where(normal > _P95, slower * difference.tail_ratio, slower)
    return np.where(challenger, slower, latency)


def mirrored(rng: np.random.Generator, course: Course, difference: Difference = EQUAL) -> Pairs:
    """Requests that both versions answer; they disagree on 5 % (more if the harm needs it)."""
    n = len(course.errors)
    champion = rng.random(n) < course.errors
    challenger = failures(rng, np.ones(n, np.bool_), course.errors, difference)
    error = challenger.astype(np.int64) - champion + 1
    worse = (DISAGREEMENT + difference.wrong_points) / 2
    better = max(0.0, worse - difference.wrong_points)
    draw = rng.random(n)
    sign = (draw < worse).astype(np.int64) - ((draw >= worse) & (draw < worse + better))
    answered = ~champion & ~challenger
    return Pairs(
        error=error,
        loss=np.where(answered, LOSS_STEPS * (sign + 1), -1),
        flip=np.where(answered, np.abs(sign), -1),
    )


def _scores(
    rng: np.random.Generator, challenger: Flags, tilt: Floats, difference: Difference
) -> Floats:
    score = rng.random(len(tilt))
    if difference.score_shift:
        # So many of the lower half, moved to the upper, take just that much from below its median.
        moved = challenger & (score < 0.5)
        moved &= rng.random(len(tilt)) < 2 * difference.score_shift
        score = np.where(moved, score + 0.5, score)
    tilted: Floats = score**tilt
    return tilted


def _categories(rng: np.random.Generator, tilt: Floats) -> Counts:
    draw = rng.random(len(tilt))
    first = CLASS_SHARES[0] ** tilt
    rest = CLASS_SHARES[1] / (CLASS_SHARES[1] + CLASS_SHARES[2])
    return (draw >= first).astype(np.int64) + (draw >= first + (1 - first) * rest)
