"""Under which laws simulated requests are drawn: what was observed, and what must be assumed. Pure.

Everything that a forecast takes for granted beside the plan is here, each with its sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import log, sqrt
from typing import Literal

import numpy as np
from scipy import special

from serinus.delivery.forecast.types import Traffic
from serinus.delivery.types import Plan
from serinus.delivery.verdicts.evidence import (
    LATENCY_QUANTILES,
    LOSS_STEPS,
    SCORE_BINS,
    Floats,
    Measure,
)

ENTITIES = 10_000
"""Distinct entities that a plan by entity is thought to meet where nobody says how many."""

# Where nothing was observed.
_ERROR_RATE = 0.001
_LATENCY_SIGMA = 0.5
_LEAST_SIGMA = 0.05
# Two versions of a model are seldom right and wrong on other requests more often than this.
_DISAGREEING = 0.05
# Of the typical error of a regression: how far the two versions' errors lie apart.
_DIFFERING = 0.5
# The champion's latencies until there are thresholds, and how far these lie below the quantiles.
_FIRST_LATENCIES = 100.0
_BELOW_QUANTILE = 0.99
_Z95 = 1.6449


@dataclass(frozen=True)
class Harm:
    """What is wrong with a challenger.

    ``size``: times the champion's errors or latency, or points of loss more (0.02 is two).
    """

    kind: Literal["errors", "quality", "latency"]
    size: float

    @property
    def words(self) -> str:
        """As a person says it: ``errors x 5``, ``quality -2 points``, ``latency +20 %``."""
        if self.kind == "errors":
            return f"errors x {self.size:g}"
        if self.kind == "quality":
            return f"quality -{100 * self.size:g} points"
        return f"latency +{100 * (self.size - 1):g} %"


@dataclass(frozen=True)
class Circumstances:
    """How likely each level of each measure is, for one unit.

    Attributes:
        laws: shape (2, levels) by (champion, challenger), pairs (levels,); a sum below 1 leaves
            units that do not count.
        lag: units of a step after which the first one of a measure counts.
        assumptions: what the laws rest on, in sentences.
    """

    laws: Mapping[Measure, Floats]
    lag: Mapping[Measure, float]
    assumptions: tuple[str, ...]


@dataclass(frozen=True)
class Crowd:
    """How many distinct entities come with how many requests, if some are far busier than others.

    Entities are drawn by Zipf's law (the k-th busiest sends 1/k as much as the first).
    """

    entities: int

    @cached_property
    def _curve(self) -> tuple[Floats, Floats]:
        """Distinct entities after requests, both rising."""
        ranks = np.arange(1, self.entities + 1, dtype=np.float64)
        if self.entities > 20_000:
            # The crowd's tail in equal steps of its logarithm: the sum below stays small.
            ranks = np.geomspace(1, self.entities, 20_000)
        weight = np.gradient(ranks)
        rate = 1.0 / ranks
        rate /= (rate * weight).sum()
        requests = np.geomspace(1.0, 1e4 * self.entities, 400)
        seen = np.array([(weight * -np.expm1(-count * rate)).sum() for count in requests])
        return requests, seen

    def distinct(self, requests: float) -> float:
        """Distinct entities among so many requests, on average."""
        counts, seen = self._curve
        return float(np.interp(requests, [0.0, *counts], [0.0, *seen]))

    def requests(self, units: Floats) -> Floats:
        """Requests until so many distinct entities came; inf for more than there are."""
        requests, seen = self._curve
        found = np.interp(units, np.concatenate([[0.0], seen]), np.concatenate([[0.0], requests]))
        return np.where(units > min(self.entities, seen[-1]), np.inf, found)


def circumstances(plan: Plan, traffic: Traffic | None, harm: Harm | None = None) -> Circumstances:
    """The laws of a plan's measures, for an equal challenger or a harmful one."""
    failing, said = _failing(traffic)
    worse = min(1.0, failing * harm.size) if harm and harm.kind == "errors" else failing
    loss = _loss(plan, traffic)
    more = harm.size if harm and harm.kind == "quality" else 0.0
    slower = harm.size if harm and harm.kind == "latency" else 1.0
    errors = np.array([[1 - failing, failing], [1 - worse, worse]])
    answered = 1 - np.array([[failing], [worse]])
    tenths = np.full(SCORE_BINS, 1 / SCORE_BINS)
    worth = _exponential(plan.value.baseline) if plan.value else np.ones(1)
    laws = {
        Measure.ERROR: errors,
        Measure.FIRST_FAILURE: errors,
        Measure.SCORE: answered * tenths,
        Measure.LOSS: np.stack([_losses(plan, loss), _losses(plan, loss + more)]),
        Measure.VALUE: np.stack([worth, worth]),
        Measure.PAIR_ERROR: np.array(
            [failing * (1 - worse), failing * worse + (1 - failing) * (1 - worse),
             worse * (1 - failing)]
        ),
        Measure.PAIR_LOSS: _pairs(plan, loss, more),
    }  # fmt: skip
    for kind, ratio in (
        (Measure.LATENCY, 1 + plan.latency.tolerance),
        (Measure.LATENCY_EARLY, plan.latency.early_ratio),
        (Measure.LATENCY_LAST, plan.latency.last_ratio),
    ):
        laws[kind] = answered * _latencies(plan, traffic, slower, ratio)
    delay = traffic.label_delay_seconds / 3600 * traffic.per_hour if traffic else 0.0
    lag = dict.fromkeys(
        (Measure.LATENCY, Measure.LATENCY_EARLY, Measure.LATENCY_LAST), _FIRST_LATENCIES
    )
    lag |= dict.fromkeys((Measure.LOSS, Measure.PAIR_LOSS), delay)
    return Circumstances(laws, lag, (said, *_said(plan, traffic, loss)))


def _failing(traffic: Traffic | None) -> tuple[float, str]:
    if traffic is None or traffic.error_rate is None:
        return _ERROR_RATE, f"{_ERROR_RATE:.1%} of requests fail (assumed)"
    # Half a failure more than was seen: none among so many does not mean that none ever comes.
    rate = (traffic.error_rate * traffic.requests + 0.5) / (traffic.requests + 1)
    return rate, f"{rate:.2%} of requests fail, as lately"


def _loss(plan: Plan, traffic: Traffic | None) -> float:
    if traffic is None or traffic.loss is None:
        return plan.quality.baseline
    return min(max(traffic.loss / plan.quality.cap, 0.001), 0.9)


def _said(plan: Plan, traffic: Traffic | None, loss: float) -> list[str]:
    said = []
    if plan.has("latency") and (traffic is None or traffic.p95_ms is None):
        said.append("latencies spread as usual (lognormal, sigma 0.5), nothing being known of them")
    if plan.has("business"):
        said.append("business values spread like an exponential of the plan's baseline")
    if not plan.has("quality", "shadow_quality"):
        return said
    if plan.quality.task == "classification":
        alone = _disagreeing(loss)
        said.append(
            f"{loss:.1%} of labelled answers are wrong, and on {alone:.1%} of requests only one of "
            "the two versions is right"
        )
    else:
        said.append(
            f"errors are {loss:.2f} of the scale on average, and those of the two versions differ "
            "half as much"
        )
    delay = traffic.label_delay_seconds if traffic else 0.0
    if delay:
        said.append(f"labels come {delay:.0f} s after the answer")
    else:
        said.append("labels come at once: add the time that yours take")
    if traffic and traffic.labelled is not None and traffic.labelled < plan.label_coverage:
        said.append(
            f"every answer gets its label (lately {traffic.labelled:.1%} did; below "
            f"{plan.label_coverage:.1%} quality decides nothing)"
        )
    return said


def _latencies(plan: Plan, traffic: Traffic | None, slower: float, ratio: float) -> Floats:
    """Shape (2, levels): by how many of the champion's quantiles a latency exceeds, forgiven."""
    quantiles = np.array(LATENCY_QUANTILES)
    sigma, slack = _LATENCY_SIGMA, 0.0
    if traffic is not None and traffic.p50_ms and traffic.p95_ms:
        sigma = max(_LEAST_SIGMA, log(traffic.p95_ms / traffic.p50_ms) / _Z95)
        slack = plan.latency.slack_us / (1e3 * traffic.p50_ms)
    # In medians of the champion.
    thresholds = _BELOW_QUANTILE * np.exp(sigma * special.ndtri(quantiles))
    compared = (thresholds * ratio + slack) / slower
    above = np.stack([special.ndtr(-np.log(ends) / sigma) for ends in (thresholds, compared)])
    ends = np.concatenate([np.ones((2, 1)), above, np.zeros((2, 1))], axis=1)
    return -np.diff(ends, axis=1)


def _losses(plan: Plan, loss: float) -> Floats:
    found = np.zeros(LOSS_STEPS + 1)
    if plan.quality.task == "classification":
        found[0], found[-1] = 1 - min(loss, 1.0), min(loss, 1.0)
        return found
    # |error| of a normal law with this mean, beyond the cap at the last level.
    spread = loss * sqrt(np.pi / 2)
    below = special.erf(np.arange(1, LOSS_STEPS + 1) / LOSS_STEPS / spread / sqrt(2))
    return np.diff(np.concatenate([[0.0], below, [1.0]]))


def _disagreeing(loss: float) -> float:
    return min(_DISAGREEING, 2 * loss * (1 - loss))


def _pairs(plan: Plan, loss: float, more: float) -> Floats:
    found = np.zeros(2 * LOSS_STEPS + 1)
    if plan.quality.task == "classification":
        alone = _disagreeing(loss) / 2
        found[0], found[-1] = alone, min(alone + more, 1 - alone)
        found[LOSS_STEPS] = 1 - found[0] - found[-1]
        return found
    ends = (np.arange(-LOSS_STEPS, LOSS_STEPS) + 0.5) / LOSS_STEPS
    below = special.ndtr((ends - more) / (_DIFFERING * loss))
    return np.diff(np.concatenate([[0.0], below, [1.0]]))


def _exponential(mean: float) -> Floats:
    ends = (np.arange(LOSS_STEPS) + 0.5) / LOSS_STEPS
    return np.diff(np.concatenate([[0.0], -np.expm1(-ends / mean), [1.0]]))
