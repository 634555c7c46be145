"""From requests to counts: which level of each measure a request falls into. Pure, on arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from serinus.delivery.types import Plan
from serinus.delivery.verdicts.evidence import (
    LATENCY_QUANTILES,
    MOST_CLASSES,
    SCORE_BINS,
    Counts,
    Evidence,
    Floats,
    Measure,
)
from serinus.delivery.verdicts.watch import Watch

Levels: TypeAlias = Mapping[Measure, Counts]
"""By measure, shape (n,): the level of each request; -1 does not count."""


@dataclass(frozen=True)
class Requests:
    """One batch of a deployment's live requests in ledger order; each array has shape (n,).

    Attributes:
        share: the challenger's configured share; 0 if nobody drew an arm (a mirror step), 1 in
            the soak, when the challenger has all traffic.
        challenger: whether the challenger was to answer.
        step: the plan's step.
        failed: whether the assigned arm failed.
        latency: microseconds to the answer (NaN: unknown).
        score: the one number of an answer (NaN: none): the value of a regression, else the second
            class's probability of two, or the greatest of more.
        category: the answer's place among the plan's classes, their number for none of them (-1:
            no answer).
    """

    share: Floats
    challenger: NDArray[np.bool_]
    step: Counts
    failed: NDArray[np.bool_]
    latency: Floats
    score: Floats
    category: Counts

    def __len__(self) -> int:
        """How many requests there are."""
        return len(self.share)


def levels(
    plan: Plan, requests: Requests, watch: Watch, counts: NDArray[np.bool_] | None = None
) -> tuple[Levels, Watch]:
    """The level of every request in every measure that the plan's guardrails need.

    Args:
        plan: of the deployment.
        requests: in ledger order.
        watch: the champion's latency quantiles so far.
        counts: shape (n,), which requests count; None is all (a plan by entity counts the first).

    Returns:
        The levels, and the watch behind these requests.
    """
    counting = requests.share > 0 if counts is None else (requests.share > 0) & counts
    drawn = counting & (requests.share < 1)
    answered = drawn & ~requests.failed
    found: dict[Measure, Counts] = {
        Measure.ERROR: np.where(counting, requests.failed, -1),
        Measure.STEP: np.where(counting, requests.step, -1),
    }
    if plan.has("latency"):
        told = ~np.isnan(requests.latency)
        champion = ~requests.challenger & ~requests.failed & (requests.share < 1) & told
        thresholds, watch = watch.follow(requests.latency, champion)
        known = told & ~np.isnan(thresholds[:, 0])
        scale = plan.latency
        for measure, ratio in (
            (Measure.LATENCY, 1.0 + scale.tolerance),
            (Measure.LATENCY_EARLY, scale.early_ratio),
            (Measure.LATENCY_LAST, scale.last_ratio),
        ):
            forgiven = (requests.latency - scale.slack_us) / ratio
            compared = np.where(requests.challenger, forgiven, requests.latency)
            exceeded = (compared[:, None] > thresholds).sum(axis=1)
            found[measure] = np.where(answered & known, exceeded, -1)
        # For harm a failure is the slowest of all: a champion that gives up on heavy requests must
        # not make a challenger look slow that answers them.
        given_up = drawn & known & requests.failed
        found[Measure.LATENCY] = np.where(given_up, thresholds.shape[1], found[Measure.LATENCY])
    if plan.has("distribution"):
        tenth = np.searchsorted(plan.score_cuts, requests.score)
        found[Measure.SCORE] = np.where(answered & ~np.isnan(requests.score), tenth, -1)
    if plan.has("class_mix"):
        found[Measure.CLASS] = np.where(answered, requests.category, -1)
    return found, watch


def width(measure: Measure) -> int:
    """How many levels the tables of a measure of live requests have."""
    return _WIDTHS.get(measure, 2)


def totals(found: Levels, requests: Requests) -> Evidence:
    """The evidence of a batch."""
    ends = np.array([len(requests)])
    return Evidence(
        {
            measure: {share: counts[0] for share, counts in tables.items()}
            for measure, tables in running(found, requests, ends).items()
        }
    )


def running(
    found: Levels, requests: Requests, ends: NDArray[np.int64]
) -> dict[Measure, dict[float, Counts]]:
    """Tables as they stand after the first ``ends`` requests, shape (looks, 2, levels) each.

    Args:
        found: the levels of the requests.
        requests: in ledger order.
        ends: shape (looks,), ascending; requests behind the last are not counted.
    """
    look = np.searchsorted(ends, np.arange(len(requests)), side="right")
    shares, place = np.unique(requests.share, return_inverse=True)
    base = (look * len(shares) + place) * 2 + requests.challenger
    tables: dict[Measure, dict[float, Counts]] = {}
    for measure, level in found.items():
        counted = (level >= 0) & (look < len(ends))
        if not counted.any():
            continue
        wide = max(width(measure), int(level.max()) + 1)
        cells = np.bincount(
            base[counted] * wide + level[counted], minlength=len(ends) * len(shares) * 2 * wide
        )
        counts = cells.reshape(len(ends), len(shares), 2, wide).cumsum(axis=0)
        tables[measure] = {
            float(share): counts[:, number]
            for number, share in enumerate(shares)
            if counts[-1, number].any()
        }
    return tables


_LATENCY_LEVELS = len(LATENCY_QUANTILES) + 1
_WIDTHS = {
    Measure.LATENCY: _LATENCY_LEVELS,
    Measure.LATENCY_EARLY: _LATENCY_LEVELS,
    Measure.LATENCY_LAST: _LATENCY_LEVELS,
    Measure.SCORE: SCORE_BINS,
    Measure.CLASS: MOST_CLASSES + 1,
}
