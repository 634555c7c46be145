"""How well predictions turned out: sums over labels, and what they say about a version.

A window's sums grow for as long as its labels come, in whatever order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from serinus.monitoring.types import Measure, Metric
from serinus.stats import bins, intervals
from serinus.wire import Answer, Label

ENOUGH_LABELS = 30
"""Fewer labels are never called worse than the test."""

_POOLS = (1, 10)
_ERROR = 0.05
# The fourth power of an error must stay a float.
_LARGEST_ERROR = 1e60


class Sums(msgspec.Struct, frozen=True):
    """What labels add up to: ``right`` answers of classes; ``|e|``, ``e²``, ``e⁴`` of numbers."""

    rows: int = 0
    right: int = 0
    error: float = 0.0
    square: float = 0.0
    fourth: float = 0.0

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.rows + other.rows,
            self.right + other.right,
            self.error + other.error,
            self.square + other.square,
            self.fourth + other.fourth,
        )


class Expected(msgspec.Struct, frozen=True):
    """What a version's test said: its metrics, and on how many rows (None: taken as exact)."""

    metrics: Mapping[str, float]
    rows: int | None


class Shortfall(msgspec.Struct, frozen=True):
    """Live performance that is clearly worse than the test: the measure, over so many windows."""

    measure: Measure
    rows: int
    windows: int


def sums(label: Label, task: str) -> Sums:
    """One label's part; nothing for a label that is no number where one was predicted."""
    if task != "regression":
        right = bins.category(label.value) == bins.category(label.output.value)
        return Sums(1, int(right))
    error = abs(_number(label.value) - _number(label.output.value))
    if math.isnan(error):
        return Sums()
    error = min(error, _LARGEST_ERROR)
    return Sums(1, 0, error, error**2, error**4)


def measures(total: Sums, task: str, tested: Mapping[str, float]) -> tuple[Measure, ...]:
    """The metrics of a task with 95 % intervals; none without labels."""
    return tuple(
        Measure(
            name=name, value=it.value, low=max(0.0, it.low), high=it.high, test=tested.get(name)
        )
        for name, it in _estimates(total, task, 0.95).items()
    )


def loss(total: Sums, task: str) -> float | None:
    """The share of wrong classes, or the mean absolute error; None without labels."""
    if not total.rows:
        return None
    if task == "regression":
        return total.error / total.rows
    return 1 - total.right / total.rows


def shortfall(
    windows: Sequence[tuple[int, Sums]], task: str, expected: Expected
) -> Shortfall | None:
    """Whether the newest windows are clearly worse than the version's test; None if not.

    Looks at the newest window with labels and at the newest ten together. Worse is: the intervals
    of live and test do not meet. Over all windows of a version the live intervals err with at
    most 5 % (the error is spread over looks), so a version as good as its test is hardly ever
    called worse, however long it is watched. Two things are not paid for: labels that come after a
    look, and labels whose delay depends on what they say (then those that are there are no fair
    sample; delivery's judge waits for all of them, this does not).

    Args:
        windows: number and sums of closed windows, oldest first.
        task: ``classification`` (accuracy) or ``regression`` (mean absolute error).
        expected: what the test said.
    """
    held = [(number, total) for number, total in windows if total.rows]
    name: Metric = "mae" if task == "regression" else "accuracy"
    if not held or name not in expected.metrics:
        return None
    level = intervals.level_of_look(held[-1][0], _ERROR / len(_POOLS))
    for pool in _POOLS:
        total = sum((part for _, part in held[-pool:]), Sums())
        live = _estimates(total, task, level)[name]
        worst = bar(name, expected)
        worse = live.low > worst if name == "mae" else live.high < worst
        if total.rows >= ENOUGH_LABELS and worse:
            shown = {measure.name: measure for measure in measures(total, task, expected.metrics)}
            return Shortfall(shown[name], total.rows, len(held[-pool:]))
    return None


def _estimates(total: Sums, task: str, level: float) -> dict[Metric, intervals.Estimate]:
    if not total.rows:
        return {}
    if task != "regression":
        return {"accuracy": intervals.proportion(total.right, total.rows, level)}
    error = intervals.mean(total.error, total.square, total.rows, level)
    return {
        "mae": error,
        "rmse": intervals.root_mean_square(total.square, total.fourth, total.rows, level),
    }


def bar(name: Metric, expected: Expected) -> float:
    """What the test leaves possible on the worse side.

    A test's mean absolute error is known to about one part in √rows: exactly so for errors of
    the double exponential distribution, less for normal ones.
    """
    value, rows = expected.metrics[name], expected.rows
    if not rows:
        return value
    if name == "accuracy":
        return intervals.proportion(value * rows, rows, 1 - _ERROR).low
    return value * (1 + 2 / math.sqrt(rows))


def _number(value: Answer | Any) -> float:
    if isinstance(value, str):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
