"""Bars from simulated runs: rates held by their confidence limits, times by their quantiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serinus.proof import intervals
from serinus.proof.types import Bar

RUNS = "of runs"


def rate_at_most(
    name: str,
    hits: NDArray[Any],
    limit: float,
    others: Mapping[str, NDArray[Any]] | None = None,
) -> Bar:
    """A rate whose upper confidence limit must stay below ``limit``.

    Args:
        name: of the bar.
        hits: shape (runs,), whether it happened.
        limit: the published one.
        others: by rule, shape (runs,).
    """
    count, runs = int(np.sum(hits)), np.size(hits)
    upper = intervals.rate_upper(count, runs)
    rates = {rule: float(np.mean(times)) for rule, times in (others or {}).items()}
    return Bar(name, RUNS, count / runs, upper, "<=", limit, by_confidence=True, others=rates)


def rate_at_least(
    name: str,
    hits: NDArray[Any],
    limit: float | None,
    *,
    whose: str = "Serinus",
    others: Mapping[str, NDArray[Any]] | None = None,
) -> Bar:
    """A rate that must reach ``limit``; its lower confidence limit is told beside it.

    Without a limit both are only told.
    """
    count, runs = int(np.sum(hits)), np.size(hits)
    lower = intervals.rate_lower(count, runs)
    rates = {rule: float(np.mean(times)) for rule, times in (others or {}).items()}
    return Bar(name, RUNS, count / runs, lower, ">=", limit, others=rates, whose=whose)


def times_at_most(
    name: str,
    times: NDArray[Any],
    limits: tuple[float | None, float | None] = (None, None),
    others: Mapping[str, NDArray[Any]] | None = None,
    unit: str = "requests",
) -> tuple[Bar, Bar]:
    """Median and 90 % quantile of times, each with its limit, if any; never is infinite."""
    median, most = (
        Bar(
            f"{name}, {words}",
            unit,
            intervals.quantile(times, share),
            intervals.quantile_upper(times, share),
            "<=",
            limit,
            others={rule: intervals.quantile(found, share) for rule, found in rules.items()},
        )
        for words, share, limit, rules in (
            ("median", 0.5, limits[0], others or {}),
            ("90 %", 0.9, limits[1], others or {}),
        )
    )
    return median, most
