"""How others decide, from their documented behaviour, on the very same streams.

Every rule says after how many requests it takes the challenger back; infinity is never. Where a
rule has thresholds they are given room: well beyond the champion's own level, as its operator
would set them.

- *Four tests re-run*: the usual dashboard, 5 % two-sided each (a challenger that is better alarms
  nobody; Kolmogorov-Smirnov has no direction), from 30 challenger requests on, at every look.
- *Flagger*: each interval the challenger's success rate and 99 % latency are held against
  thresholds; no value is a failed check; the counter of failed checks never goes back
  (documentation "Deployment strategies", threshold 10; pkg/controller/scheduler.go).
- *Argo Rollouts*: a success condition on each interval's success rate; more failed measurements
  than ``failureLimit`` abort, as do more than four consecutive empty ones (documentation
  "Analysis", success rate of at least 0.95, failureLimit 3).
- *Kayenta*: the Mann-Whitney judge on one value an interval and metric, judged every ten
  intervals from 50 values on; tolerance 0.25, confidence 0.98 (NetflixACAJudge.scala,
  MannWhitneyClassifier.scala); one metric of two classified High scores 50 of 100, a failure.
- *GrowthBook*: one-sided asymptotic confidence sequence of the difference of means, tuning
  parameter 5,000, each guardrail metric at 5 %, harm threshold zero (documentation "Safe
  Rollouts"; Waudby-Smith et al., arXiv 2103.06476, eq. 134).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import special

from serinus.delivery.verdicts.tally import Requests
from serinus.proof.judging import first
from serinus.proof.streams import LATENCY_MEDIAN_US, LATENCY_SIGMA

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

LEAST_CHALLENGER = 30
_CRITICAL = 1.959964
_KOLMOGOROV = float(special.kolmogi(0.05))
_LATENCY_BINS = 256
_SCORE_BINS = 128

INTERVAL = 200
"""Requests of the one-minute interval in which others measure."""
FLAGGER_THRESHOLD = 10
ARGO_INTERVALS = 5
ARGO_FAILURE_LIMIT = 3
ARGO_ERROR_LIMIT = 4
KAYENTA_TOLERANCE = 0.25
KAYENTA_CONFIDENCE = 0.98
KAYENTA_LEAST = 50
KAYENTA_EVERY = 10
GROWTHBOOK_TUNING = 5_000
GROWTHBOOK_ALPHA = 0.05


@dataclass(frozen=True)
class Thresholds:
    """Where an operator who knows the champion would set the limits of its challenger.

    ``success`` is the least success rate of an interval, ``p99_us`` the largest 99 % latency.
    """

    success: float = 0.95
    p99_us: float = 2.0 * LATENCY_MEDIAN_US * float(np.exp(2.3263479 * LATENCY_SIGMA))

    @classmethod
    def of(cls, champion: Requests) -> Thresholds:
        """Five times the champion's errors, at least 5 %, and twice its 99 % latency."""
        allowed = max(0.05, 5.0 * float(champion.failed.mean()))
        return cls(1.0 - allowed, 2.0 * float(np.quantile(champion.latency, 0.99)))


SIMULATED = Thresholds()
"""Of the simulated service."""

NAIVE = (
    "two-proportion, errors",
    "Welch, latency",
    "Mann-Whitney, latency",
    "Kolmogorov-Smirnov, score",
)
FOUR = "four tests re-run"
OTHERS = ("Flagger", "Argo Rollouts", "Kayenta", "GrowthBook")


@dataclass(frozen=True)
class Seen:
    """Requests with the looks at them: sums up to each look, by (champion, challenger)."""

    requests: Requests
    ends: Counts

    @cached_property
    def _cell(self) -> Counts:
        look = np.searchsorted(self.ends, np.arange(len(self.requests)), side="right")
        cell: Counts = look * 2 + self.requests.challenger
        return cell

    def sums(self, values: Floats | None = None) -> Floats:
        """Shape (looks, 2): the sum of ``values`` up to each look, without any the requests."""
        found = np.bincount(self._cell, weights=values, minlength=2 * len(self.ends) + 2)
        total: Floats = found.reshape(-1, 2)[: len(self.ends)].cumsum(axis=0).astype(np.float64)
        return total

    def histograms(self, bins: Counts, wide: int) -> Floats:
        """Shape (looks, 2, ``wide``): how often each bin came up to each look."""
        cells = 2 * (len(self.ends) + 1) * wide
        found = np.bincount(self._cell * wide + bins, minlength=cells)
        counts = found.reshape(-1, 2, wide)[: len(self.ends)]
        total: Floats = counts.cumsum(axis=0, dtype=np.float64)
        return total

    @cached_property
    def units(self) -> Floats:
        """Shape (looks, 2): requests."""
        return self.sums()

    @cached_property
    def failures(self) -> Floats:
        """Shape (looks, 2): failed requests."""
        return self.sums(self.requests.failed.astype(np.float64))

    @cached_property
    def latency(self) -> tuple[Floats, Floats]:
        """Shape (looks, 2) each: mean and variance of latency."""
        return self.moments(self.requests.latency)

    def moments(self, values: Floats) -> tuple[Floats, Floats]:
        """Shape (looks, 2) each: mean and variance of ``values``."""
        units = np.maximum(self.units, 1.0)
        mean = self.sums(values) / units
        square = self.sums(values * values) / units
        return mean, np.maximum(square - mean * mean, 0.0) * units / np.maximum(units - 1.0, 1.0)

    @cached_property
    def ready(self) -> Flags:
        """Shape (looks,): where there are challenger requests enough for a test."""
        enough: Flags = self.units.min(axis=1) >= LEAST_CHALLENGER
        return enough


def times(requests: Requests, ends: Counts, thresholds: Thresholds = SIMULATED) -> dict[str, float]:
    """After how many requests each rule takes the challenger back."""
    seen = Seen(requests, ends)
    found = naive(seen)
    return {
        FOUR: min(found.values()),
        **found,
        "Flagger": flagger(requests, thresholds),
        "Argo Rollouts": argo(requests, thresholds),
        "Kayenta": kayenta(requests),
        "GrowthBook": growthbook(seen),
    }


# ------------------------------------------------------------------ the usual tests


def naive(seen: Seen) -> dict[str, float]:
    """The usual four tests at every look."""
    rules: Mapping[str, Flags] = dict(
        zip(
            NAIVE,
            (two_proportions(seen), welch(seen), mann_whitney(seen), kolmogorov_smirnov(seen)),
            strict=True,
        )
    )
    return {name: first(alarm & seen.ready, seen.ends) for name, alarm in rules.items()}


def two_proportions(seen: Seen) -> Flags:
    """Where the pooled z test finds more errors."""
    return _above(_proportion_z(seen.failures, seen.units))


def proportion_time(events: Flags, challenger: Flags, ends: Counts) -> float:
    """After how many observations the pooled z test, re-run, finds more events.

    Args:
        events: shape (n,), in the order in which they become known.
        challenger: shape (n,), whose they are.
        ends: after how many somebody looks.
    """
    look = np.searchsorted(ends, np.arange(len(events)), side="right")
    cell = look * 2 + challenger
    wide = 2 * len(ends) + 2
    units, found = (
        np.bincount(kept, minlength=wide).reshape(-1, 2)[: len(ends)].cumsum(axis=0).astype(float)
        for kept in (cell, cell[events])
    )
    ready = units.min(axis=1) >= LEAST_CHALLENGER
    return first(_above(_proportion_z(found, units)) & ready, ends)


def welch(seen: Seen) -> Flags:
    """Where Welch's t finds a larger mean latency (at 30 and more: the normal quantile)."""
    mean, variance = seen.latency
    return _above(_mean_z(mean, variance, seen.units))


def mann_whitney(seen: Seen) -> Flags:
    """Where U finds larger latencies, with the normal approximation and its correction for ties."""
    logs = np.log(seen.requests.latency)
    bins = _binned(logs, _LATENCY_BINS)
    champion, challenger = np.moveaxis(seen.histograms(bins, _LATENCY_BINS), 1, 0)
    wins = (challenger * (champion.cumsum(axis=1) - 0.5 * champion)).sum(axis=1)
    one, two = seen.units.T
    total = one + two
    tied = champion + challenger
    ties = (tied**3 - tied).sum(axis=1) / np.maximum(total * (total - 1), 1.0)
    variance = one * two / 12 * (total + 1 - ties)
    return _above((wins - one * two / 2) / np.sqrt(np.maximum(variance, 1e-12)))


def kolmogorov_smirnov(seen: Seen) -> Flags:
    """Where the scores' distribution functions are further apart than chance allows at 5 %."""
    score = np.nan_to_num(seen.requests.score)
    bins = _binned(score, _SCORE_BINS)
    counts = seen.histograms(bins, _SCORE_BINS).cumsum(axis=2)
    parts = counts / np.maximum(seen.units, 1.0)[:, :, None]
    distance = np.abs(parts[:, 0] - parts[:, 1]).max(axis=1)
    one, two = seen.units.T
    scale = np.sqrt((one + two) / np.maximum(one * two, 1.0))
    beyond: Flags = distance > _KOLMOGOROV * scale
    return beyond


def margin_excluded(seen: Seen, values: Floats, ratio: float, margin: float) -> float:
    """After how many requests the usual test of non-inferiority, re-run, lets a challenger through.

    Where the mean of ``values`` (more is worse) is significantly below ``ratio`` times the
    champion's plus ``margin``, one-sided at 2.5 %.
    """
    mean, variance = seen.moments(values)
    scaled = np.array([ratio, 1.0])
    z = _mean_z(mean * scaled + [margin, 0.0], variance * scaled**2, seen.units)
    return first((z < -_CRITICAL) & seen.ready, seen.ends)


def _above(z: Floats) -> Flags:
    beyond: Flags = z > _CRITICAL
    return beyond


def _proportion_z(events: Floats, units: Floats) -> Floats:
    safe = np.maximum(units, 1.0)
    rates = events / safe
    pooled = events.sum(axis=1) / safe.sum(axis=1)
    variance = pooled * (1 - pooled) * (1 / safe).sum(axis=1)
    z: Floats = (rates[:, 1] - rates[:, 0]) / np.sqrt(np.maximum(variance, 1e-18))
    return z


def _mean_z(mean: Floats, variance: Floats, units: Floats) -> Floats:
    error = np.sqrt(np.maximum((variance / np.maximum(units, 1.0)).sum(axis=1), 1e-18))
    z: Floats = (mean[:, 1] - mean[:, 0]) / error
    return z


def _binned(values: Floats, bins: int) -> Counts:
    """Equally full bins of all values: ties within one cost the tests almost nothing."""
    edges = np.quantile(values, np.arange(1, bins) / bins)
    return np.searchsorted(edges, values)


# ------------------------------------------------------------------ canary controllers


def flagger(requests: Requests, thresholds: Thresholds = SIMULATED) -> float:
    """A counter of failed checks that never goes back."""
    units, failed = _windows(requests, INTERVAL)
    success = np.where(units > 0, 1 - failed / np.maximum(units, 1), 0.0)
    checks = (units == 0) | (success < thresholds.success) | (_p99(requests) > thresholds.p99_us)
    return _reached(np.cumsum(checks) >= FLAGGER_THRESHOLD, INTERVAL)


def argo(requests: Requests, thresholds: Thresholds = SIMULATED) -> float:
    """A success condition that may fail three times, and be unanswered four times in a row."""
    every = INTERVAL * ARGO_INTERVALS
    units, failed = _windows(requests, every)
    missed = (units > 0) & (1 - failed / np.maximum(units, 1) < thresholds.success)
    empty = units == 0
    last_answer = np.maximum.accumulate(np.where(empty, -1, np.arange(len(units))))
    in_a_row = np.arange(len(units)) - last_answer
    over = (np.cumsum(missed) > ARGO_FAILURE_LIMIT) | (in_a_row > ARGO_ERROR_LIMIT)
    return _reached(over, every)


def kayenta(requests: Requests, *, every: int = INTERVAL) -> float:
    """Mann-Whitney on the intervals' error rates and mean latencies.

    ``every`` requests are an interval; a long rollout has longer ones.
    """
    arms = (~requests.challenger, requests.challenger)
    metrics = []
    for values in (requests.failed.astype(np.float64), requests.latency):
        metrics.append([_interval_means(values, arm, every) for arm in arms])
    count = len(metrics[0][0])
    for end in range(KAYENTA_LEAST, count + 1, KAYENTA_EVERY):
        for champion, challenger in metrics:
            control, experiment = champion[:end], challenger[:end]
            experiment = experiment[~np.isnan(experiment)]
            if len(experiment) and _is_high(control[~np.isnan(control)], experiment):
                return float(end * every)
    return float("inf")


def _is_high(control: Floats, experiment: Floats) -> bool:
    """Whether the interval of the Hodges-Lehmann shift lies above a quarter of its estimate."""
    shifts = np.sort(np.subtract.outer(experiment, control), axis=None)
    one, two = len(control), len(experiment)
    z = float(special.ndtri(0.5 + KAYENTA_CONFIDENCE / 2))
    rank = int(one * two / 2 - z * np.sqrt(one * two * (one + two + 1) / 12))
    if rank < 1:
        return False
    low, estimate = shifts[rank - 1], np.median(shifts)
    return bool(low > KAYENTA_TOLERANCE * abs(estimate))


def _windows(requests: Requests, every: int) -> tuple[Floats, Floats]:
    """Shape (windows,) each: the challenger's requests and failures in each full interval."""
    window = np.arange(len(requests)) // every
    windows = len(requests) // every
    mine = requests.challenger & (window < windows)
    units = np.bincount(window[mine], minlength=windows).astype(np.float64)
    failed = np.bincount(window[mine & requests.failed], minlength=windows).astype(np.float64)
    return units, failed


def _p99(requests: Requests) -> Floats:
    """Shape (windows,): the challenger's 99 % latency in each interval, 0 without requests."""
    windows = len(requests) // INTERVAL
    latency = np.where(requests.challenger, requests.latency, np.nan)
    ordered = np.sort(latency[: windows * INTERVAL].reshape(windows, INTERVAL), axis=1)
    units = (~np.isnan(ordered)).sum(axis=1)
    rank = np.maximum(np.ceil(0.99 * units).astype(np.int64) - 1, 0)
    found: Floats = np.nan_to_num(ordered[np.arange(windows), rank])
    return found


def _interval_means(values: Floats, arm: Flags, every: int) -> Floats:
    """Shape (windows,): the mean of each interval, NaN without requests of the arm."""
    windows = len(values) // every
    window = np.arange(windows * every) // every
    mine = arm[: windows * every]
    units = np.bincount(window[mine], minlength=windows).astype(np.float64)
    totals = np.bincount(window[mine], weights=values[: len(mine)][mine], minlength=windows)
    units[units == 0] = np.nan
    means: Floats = totals / units
    return means


def _reached(over: Flags, every: int) -> float:
    return float((over.argmax() + 1) * every) if over.any() else float("inf")


# ------------------------------------------------------------------ asymptotic sequences


def growthbook(seen: Seen) -> float:
    """Where the lower limit of the rise of errors or of mean latency is above zero."""
    return first(growthbook_harm(seen) & seen.ready, seen.ends)


def growthbook_harm(seen: Seen) -> Flags:
    """At which looks either metric is harmed. Where none is to the end, the version is shipped."""
    rates = seen.failures / np.maximum(seen.units, 1.0)
    errors = sequence_excludes_zero(rates, rates * (1 - rates), seen.units)
    return errors | sequence_excludes_zero(*seen.latency, seen.units)


def sequence_excludes_zero(mean: Floats, variance: Floats, units: Floats) -> Flags:
    """Whether the lower confidence sequence of challenger's mean minus champion's is above 0.

    Args:
        mean: shape (looks, 2), by (champion, challenger).
        variance: shape (looks, 2), within each arm.
        units: shape (looks, 2).
    """
    error = (variance / np.maximum(units, 1.0)).sum(axis=1)
    n = np.maximum(units.sum(axis=1), 1.0)
    alpha = 2 * GROWTHBOOK_ALPHA
    square = (-2 * np.log(alpha) + np.log(-2 * np.log(alpha) + 1)) / GROWTHBOOK_TUNING
    grown = n * square + 1
    half = np.sqrt(error * n) * np.sqrt(
        2 * grown / (n * n * square) * np.log1p(np.sqrt(grown) / alpha)
    )
    above: Flags = (mean[:, 1] - mean[:, 0] > half) & (error > 0)
    return above
