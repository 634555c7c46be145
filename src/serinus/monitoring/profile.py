"""Folds predictions into windows of counts: what a version's traffic looked like, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from serinus.monitoring import traffic
from serinus.monitoring.traffic import Traffic
from serinus.monitoring.types import OUTPUT, Reference
from serinus.stats import bins
from serinus.stats.bins import Bins, Counts
from serinus.wire import Cell, Output, Prediction


@dataclass(frozen=True)
class Baseline:
    """A reference, ready to count by: bins and reference counts by name, inputs in their order."""

    reference: Reference

    @cached_property
    def bins(self) -> dict[str, Bins]:
        """The bins of each feature and last of the answer; empty without a profile."""
        return {name: bins.from_dict(part["bins"]) for name, part in self._parts.items()}

    @cached_property
    def counts(self) -> dict[str, Counts]:
        """The reference's counts by name."""
        return {name: np.array(part["counts"], np.int64) for name, part in self._parts.items()}

    @cached_property
    def _parts(self) -> dict[str, dict[str, Any]]:
        profile = self.reference.profile
        parts = dict(profile.get("features", {}))
        if "output" in profile:
            parts[OUTPUT] = profile["output"]
        return parts


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
    baseline: Baseline,
    extent: Extent,
) -> list[Window]:
    """The windows that new predictions of one version lead to, the last perhaps still open.

    Args:
        window: the open one, counted over the same baseline; None if there is none.
        number: of the window after it.
        predictions: at least one, in the order of their times.
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
        window = _plus(window, predictions[start : last + 1], baseline)
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


def answer_number(output: Output, task: str) -> Cell:
    """One number for an answer, the same that references are made of.

    The value of a regression; of a classifier the second class's probability of two, the greatest
    of more, None if it gives no probabilities.
    """
    if task == "regression":
        return output.value
    if len(output.scores) == 2:
        return output.scores[1]
    return max(output.scores, default=None)


def _plus(window: Window, predictions: Sequence[Prediction], baseline: Baseline) -> Window:
    counts = dict(window.counts)
    names = [name for name in baseline.bins if name != OUTPUT]
    # A version of other inputs cannot be counted by these bins; its answers can.
    rows = [item.features for item in predictions if len(item.features) == len(names)]
    for name, column in zip(names, zip(*rows, strict=True), strict=bool(rows)):
        counts[name] = counts[name] + bins.count(baseline.bins[name], column)
    if OUTPUT in baseline.bins:
        answers = [answer_number(item.output, baseline.reference.task) for item in predictions]
        counts[OUTPUT] = counts[OUTPUT] + bins.count(baseline.bins[OUTPUT], answers)
    return replace(
        window,
        rows=window.rows + len(predictions),
        counts=counts,
        traffic=window.traffic + traffic.answered(predictions),
    )
