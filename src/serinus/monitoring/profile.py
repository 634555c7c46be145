"""Folds predictions into windows of counts: what a version's traffic looked like, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from serinus.monitoring import cells, traffic
from serinus.monitoring.cells import Baseline, Placed
from serinus.monitoring.traffic import Traffic
from serinus.stats import bins
from serinus.stats.bins import Counts
from serinus.wire import Prediction


@dataclass(frozen=True)
class Window:
    """A stretch of one version's predictions; ``closed_at`` is None while it is open.

    ``reference`` is the version whose bins the counts are over. Times are epoch microseconds of
    the events: a late event counts into the window that is open when it is read.
    """

    model: str
    version: str
    number: int
    reference: str
    opened_at: int
    closed_at: int | None
    rows: int
    counts: dict[str, Counts]
    traffic: Traffic


@dataclass(frozen=True)
class Extent:
    """When a window may close: at so many rows and after so many seconds, both."""

    rows: int
    seconds: float


def fold(
    window: Window | None,
    number: int,
    predictions: Sequence[Prediction],
    rows: Placed,
    baseline: Baseline,
    extent: Extent,
) -> list[Window]:
    """The windows that new predictions of one version lead to, the last perhaps still open.

    Args:
        window: the open one, counted over the same baseline; None if there is none.
        number: of the window after it.
        predictions: at least one, in the order of their times.
        rows: where their values lie.
        baseline: what is counted by.
        extent: when a window closes. Where it closes depends on the order of events alone, not
            on how they were cut into batches.
    """
    at = np.array([prediction.at for prediction in predictions], np.int64)
    windows: list[Window] = []
    start = 0
    while start < len(predictions):
        if window is None:
            window = opened(predictions[start], number, baseline)
            number += 1
        ripe = np.searchsorted(at, window.opened_at + round(extent.seconds * 1e6))
        last = max(start, start + extent.rows - window.rows - 1, int(ripe))
        part = slice(start, last + 1)
        window = _plus(window, predictions[part], rows[part], baseline)
        if last < len(predictions):
            windows.append(replace(window, closed_at=int(at[last])))
            window = None
        start = last + 1
    return windows if window is None else [*windows, window]


def opened(first: Prediction, number: int, baseline: Baseline) -> Window:
    """An empty window that begins at a prediction."""
    return Window(
        first.assignment.model,
        first.version,
        number,
        baseline.reference.version,
        first.at,
        None,
        0,
        {name: np.zeros(bins.size(made), np.int64) for name, made in baseline.bins.items()},
        traffic.nothing(first.at),
    )


def with_failures(windows: Sequence[Window], times: Sequence[int]) -> list[Window]:
    """Those windows that failures belong to, with them: the last opened before, or the first.

    Args:
        windows: of one version, at least one, in the order of their numbers.
        times: of the version's failures, epoch microseconds.
    """
    openings = np.maximum.accumulate([window.opened_at for window in windows])
    places = np.maximum(np.searchsorted(openings, times, side="right") - 1, 0)
    found: dict[int, list[int]] = {}
    for place, at in zip(places.tolist(), times, strict=True):
        found.setdefault(place, []).append(at)
    return [
        replace(windows[place], traffic=traffic.with_failures(windows[place].traffic, failed))
        for place, failed in sorted(found.items())
    ]


def _plus(
    window: Window, predictions: Sequence[Prediction], rows: Placed, baseline: Baseline
) -> Window:
    found = cells.by_column(cells.counted(rows, baseline), baseline)
    return replace(
        window,
        rows=window.rows + len(predictions),
        counts={name: held + found[name] for name, held in window.counts.items()},
        traffic=window.traffic + traffic.answered(predictions),
    )
