"""Rows with their origin, as read and as made ready for one purpose; what tells them apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
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


def without_duplicates(dataset: Dataset) -> Dataset:
    """The dataset with each exact duplicate row once: none can be on both sides of a split."""
    plain = [name for name, kind in dataset.kinds.items() if kind != "unusable"]
    frame = dataset.frame.drop_duplicates(plain or None, ignore_index=True)
    return replace(dataset, frame=frame, digest=content_digest(frame))


def content_digest(frame: pd.DataFrame) -> str:
    """SHA-256 (hex) of the names, kinds and values; the same for a CSV and a Parquet of it."""
    digest = hashlib.sha256()
    for name in frame.columns:
        series = frame[name]
        kind = kind_of(series)
        digest.update(f"{name}\0{kind}\0".encode())
        if kind in ("number", "boolean"):
            series = series.astype("float64")
        elif kind != "time":
            series = series.map(str, na_action="ignore").astype(object)
        digest.update(pd.util.hash_pandas_object(series, index=False).to_numpy().tobytes())
    return digest.hexdigest()


def kind_of(series: pd.Series[Any]) -> Kind:
    """What a column holds, judged by its type and, for loose types, by its values."""
    dtype = series.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "time"
    if pd.api.types.is_complex_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        return "unusable"
    if pd.api.types.is_numeric_dtype(dtype):
        return "number"
    present = series.dropna()
    if pd.api.types.infer_dtype(present) == "boolean":
        return "boolean"
    scalar = present.map(lambda value: isinstance(value, str | int | float | bool | np.generic))
    return "text" if bool(scalar.all()) else "unusable"
