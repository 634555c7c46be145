"""The one way of counting: predictions -> a cell for each value -> counts over reference bins.

A value is looked at once; windows and minutes are sums over parts of the same cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from serinus.monitoring.types import OUTPUT, Reference
from serinus.stats import bins
from serinus.stats.bins import Bins, Counts, Places
from serinus.wire import Cell, Output, Prediction

Placed: TypeAlias = Places
"""Rows by columns of a baseline: in which of all of its cells each value lies."""


@dataclass(frozen=True)
class Baseline:
    """A reference, ready to count by: bins and reference counts by name, inputs in their order.

    The cells of all columns, one after the other, are one vector of ``width``.
    """

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
    def slices(self) -> dict[str, slice]:
        """Where each column's cells are in the vector of all of them."""
        found: dict[str, slice] = {}
        start = 0
        for name, made in self.bins.items():
            found[name] = slice(start, start + bins.size(made))
            start = found[name].stop
        return found

    @cached_property
    def width(self) -> int:
        """How many cells all columns have."""
        return sum(bins.size(made) for made in self.bins.values())

    @cached_property
    def _parts(self) -> dict[str, dict[str, Any]]:
        profile = self.reference.profile
        parts = dict(profile.get("features", {}))
        if "output" in profile:
            parts[OUTPUT] = profile["output"]
        return parts


def placed(predictions: Sequence[Prediction], baseline: Baseline) -> Placed:
    """Where the values of predictions lie.

    Features of a version of other inputs lie nowhere: they cannot be counted by these bins, but
    its answers can.
    """
    names = [name for name in baseline.bins if name != OUTPUT]
    # One cell more, for what is not counted.
    found = np.full((len(predictions), len(baseline.bins)), baseline.width, np.int64)
    fits = [place for place, it in enumerate(predictions) if len(it.features) == len(names)]
    if fits:
        columns = zip(*(predictions[place].features for place in fits), strict=True)
        for number, (name, column) in enumerate(zip(names, columns, strict=True)):
            start = baseline.slices[name].start
            found[fits, number] = start + bins.place(baseline.bins[name], column)
    if OUTPUT in baseline.bins:
        answers = [answer_number(it.output, baseline.reference.task) for it in predictions]
        start = baseline.slices[OUTPUT].start
        found[:, -1] = start + bins.place(baseline.bins[OUTPUT], answers)
    return found


def counted(rows: Placed, baseline: Baseline) -> Counts:
    """How many values lie in each of all cells."""
    found = np.bincount(rows.ravel(), minlength=baseline.width + 1)
    return found[: baseline.width].astype(np.int64)


def by_column(counts: Counts, baseline: Baseline) -> Mapping[str, Counts]:
    """The counts of each column, of those of all cells."""
    return {name: counts[part] for name, part in baseline.slices.items()}


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
