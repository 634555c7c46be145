"""Rows with their origin, as read and as made ready for one purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from serinus.data.types import Finding, Kind, Task


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows with their origin.

    Args:
        name: what to call it.
        source: the file it was read from, ``bundled:NAME``, or what its maker said.
        frame: the rows, index 0 to n-1, column names unique.
        digest: SHA-256 of the content (names, kinds and values), the same whatever the format.
        kinds: what each column holds.
        faults: what reading it found already, for the report.
    """

    name: str
    source: str
    frame: pd.DataFrame
    digest: str
    kinds: Mapping[str, Kind]
    faults: tuple[Finding, ...] = ()


@dataclass(frozen=True, eq=False)
class Prepared:
    """A dataset that passed: what a model can be fitted to.

    Args:
        dataset: where it came from, untouched.
        frame: the usable rows: features, target, and the columns that only order or group rows.
        features: names of the model's inputs, in the dataset's order.
        kinds: what each feature holds: ``number``, ``boolean`` or ``text``.
        target: name of the column to predict.
        task: what the target asks for.
        classes: the target's classes, sorted; empty for a number.
    """

    dataset: Dataset
    frame: pd.DataFrame
    features: tuple[str, ...]
    kinds: Mapping[str, Kind]
    target: str
    task: Task
    classes: tuple[str | int | bool, ...] = ()
