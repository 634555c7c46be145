"""How much traffic there was, how fast it was answered and how much of it failed, by window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from serinus.stats.bins import Counts
from serinus.wire import Prediction

BINS = 108
"""Of latency: four a doubling from 1 microsecond, so that the last begins at 113 seconds."""

_A_DOUBLING = 4


@dataclass(frozen=True)
class Traffic:
    """Of one window: the failures of its version, its answers by latency, its last event's time.

    A window from before these were counted has none of them.
    """

    failed: int
    latency: Counts
    last_at: int

    @property
    def answered(self) -> int:
        """How many answers have their latency here."""
        return int(self.latency.sum())

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(
            self.failed + other.failed,
            self.latency + other.latency,
            max(self.last_at, other.last_at),
        )


@dataclass(frozen=True)
class Span:
    """When a window's traffic came, in epoch microseconds, and how many requests it was."""

    first_at: int
    last_at: int
    requests: int


def nothing(at: int) -> Traffic:
    """No traffic yet, in a window that was opened at that moment."""
    return Traffic(0, np.zeros(BINS, np.int64), at)


def answered(predictions: Sequence[Prediction]) -> Traffic:
    """The traffic that these answers are, at least one, in the order of their times."""
    micros = np.array([max(1, item.latency_us) for item in predictions], np.float64)
    cells = np.minimum((np.log2(micros) * _A_DOUBLING).astype(np.int64), BINS - 1)
    return Traffic(0, np.bincount(cells, minlength=BINS).astype(np.int64), predictions[-1].at)


def with_failures(held: Traffic, times: Sequence[int]) -> Traffic:
    """The same with failures at these times (epoch microseconds, at least one)."""
    return replace(
        held, failed=held.failed + len(times), last_at=max(held.last_at, int(max(times)))
    )


def to_dict(held: Traffic) -> dict[str, Any]:
    """As JSON has it."""
    return {"failed": held.failed, "latency": held.latency.tolist(), "last_at": held.last_at}


def from_dict(document: dict[str, Any] | None, last_at: int) -> Traffic:
    """What :func:`to_dict` made; None is a window from before traffic was counted."""
    if document is None:
        return nothing(last_at)
    latency = np.array(document["latency"], np.int64)
    return Traffic(document["failed"], latency, document["last_at"])


def quantile_ms(latency: Counts, level: float) -> float | None:
    """The latency in milliseconds that a share ``level`` of answers stayed under; None of none.

    Straight, on the logarithm, within the bin that it falls into: wrong by 19 % at most.
    """
    below = np.cumsum(latency)
    if not below[-1]:
        return None
    wanted = level * below[-1]
    cell = int(np.searchsorted(below, wanted))
    inside = (wanted - (below[cell] - latency[cell])) / max(1, latency[cell])
    return float(2 ** ((cell + inside) / _A_DOUBLING)) / 1e3


def within(spans: Sequence[Span], start: int, end: int) -> float:
    """How many of these windows' requests came from ``start`` to ``end``, as if evenly spread."""
    total = 0.0
    for span in spans:
        length = span.last_at - span.first_at
        if length <= 0:
            total += span.requests * (start <= span.first_at <= end)
            continue
        shared = min(end, span.last_at) - max(start, span.first_at)
        total += span.requests * max(0.0, shared / length)
    return total
