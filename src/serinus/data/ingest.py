"""Reads datasets: CSV and Parquet files, bundled sets, DataFrames."""

from __future__ import annotations

import csv
import importlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from serinus.data.dataset import Dataset, content_digest, kind_of
from serinus.data.types import Finding, Kind
from serinus.errors import InvalidInput, NotFound

BUNDLED = frozenset({"iris", "breast_cancer", "wine", "diabetes"})
"""The sets that come with scikit-learn; the column to predict is ``target``."""

DELIMITERS = ",;\t|"


def read(source: str | Path) -> Dataset:
    """The dataset at a path (``.csv``, ``.tsv``, ``.txt``, ``.parquet``), or a bundled set by name.

    A file named like a bundled set wins over the set. The whole file is read into memory.

    Raises:
        NotFound: there is no such file or set.
        InvalidInput: the file is empty, cannot be decoded, or is of an unknown format.
    """
    path = Path(source)
    if not path.exists() and str(source) in BUNDLED:
        return from_frame(_bundled(str(source)), name=str(source), source=f"bundled:{source}")
    if not path.exists():
        raise NotFound(
            "there is no such file or bundled set",
            where=str(source),
            remedy=f"Give a CSV or Parquet file, or one of {', '.join(sorted(BUNDLED))}.",
        )
    try:
        frame, header = _read_file(path)
    except InvalidInput:
        raise
    except (OSError, UnicodeDecodeError, ValueError, pa.ArrowException, csv.Error) as error:
        raise InvalidInput(
            f"the file cannot be read ({error})",
            where=str(source),
            remedy="Give a CSV file in UTF-8 with a header line, or a Parquet file.",
        ) from error
    frame.columns = pd.Index(_unique(header))
    return _dataset(frame, path.stem, str(path.absolute()), _header_faults(header))


def from_frame(frame: pd.DataFrame, *, name: str, source: str) -> Dataset:
    """A dataset of rows in memory; the frame is copied, its index dropped."""
    header = [str(column) for column in frame.columns]
    copy = frame.reset_index(drop=True)
    copy.columns = pd.Index(_unique(header))
    return _dataset(copy, name, source, _header_faults(header))


def _bundled(name: str) -> pd.DataFrame:
    # Scikit-learn takes most of a second, for which a control process that comes back would be
    # missed; hardly any asks for these sets.
    load = getattr(importlib.import_module("sklearn.datasets"), f"load_{name}")
    frame: pd.DataFrame = load(as_frame=True).frame
    return frame


def _read_file(path: Path) -> tuple[pd.DataFrame, list[str]]:
    if path.is_dir():
        raise InvalidInput("this is a folder", where=str(path), remedy="Give one file in it.")
    if path.stat().st_size == 0:
        raise InvalidInput(
            "the file is empty", where=str(path), remedy="Give a file with a header and rows."
        )
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".pq"):
        table = pq.read_table(path)
        return table.rename_columns(_unique(table.column_names)).to_pandas(
            ignore_metadata=True
        ), list(table.column_names)
    if suffix in (".csv", ".tsv", ".txt"):
        return _read_csv(path)
    raise InvalidInput(
        f"files of type {suffix or 'without a suffix'!r} are not known",
        where=str(path),
        remedy="Give a .csv, .tsv, .txt or .parquet file.",
    )


def _read_csv(path: Path) -> tuple[pd.DataFrame, list[str]]:
    # The header is read apart because pandas renames a repeated column without a word.
    with path.open(encoding="utf-8-sig", newline="") as lines:
        first = next((line for line in lines if line.strip()), "")
    if not first:
        raise InvalidInput(
            "the file holds only blank lines",
            where=str(path),
            remedy="Give a file with a header and rows.",
        )
    delimiter = max(DELIMITERS, key=first.count)
    with path.open(encoding="utf-8-sig", newline="") as lines:
        header = next(row for row in csv.reader(lines, delimiter=delimiter) if any(row))
    frame = pd.read_csv(
        path,
        sep=delimiter,
        encoding="utf-8-sig",
        header=0,
        names=_unique(header),
        index_col=False,
        on_bad_lines="error",
        low_memory=False,
    )
    return frame, header


def _dataset(frame: pd.DataFrame, name: str, source: str, faults: tuple[Finding, ...]) -> Dataset:
    frame = frame.copy()
    for column in frame.columns:
        if isinstance(frame[column].dtype, pd.CategoricalDtype):
            frame[column] = frame[column].astype(frame[column].cat.categories.dtype)
        if frame[column].dtype == object:
            frame[column] = frame[column].infer_objects()
    kinds = {str(column): kind_of(frame[column]) for column in frame.columns}
    for column, kind in kinds.items():
        if kind in ("number", "boolean"):
            frame[column] = _plain(frame[column], kind)
    return Dataset(name, source, frame, content_digest(frame), kinds, faults)


def _plain(series: pd.Series[Any], kind: Kind) -> pd.Series[Any]:
    # Nullable and Arrow types become numpy's, so that every library downstream reads the same.
    if kind == "boolean":
        return series.astype(bool) if not series.isna().any() else series.astype(object)
    if isinstance(series.dtype, np.dtype):
        return series
    whole = pd.api.types.is_integer_dtype(series.dtype) and not series.isna().any()
    return series.astype("int64" if whole else "float64")


def _unique(header: Sequence[str]) -> list[str]:
    seen: Counter[str] = Counter()
    names: list[str] = []
    for position, raw in enumerate(header, start=1):
        name = str(raw).strip() or f"column {position}"
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def _header_faults(header: Sequence[str]) -> tuple[Finding, ...]:
    counts = Counter(name.strip() for name in header)
    trimmed = [name for name in header if name.strip() and name != name.strip()]
    spaces = Finding(
        "warning",
        "header",
        f"names of columns with spaces around them: {', '.join(map(repr, trimmed))}",
        "They are called without these spaces from here on, by requests too.",
    )
    return (spaces,) * bool(trimmed) + tuple(
        Finding(
            "error",
            f"column {name!r}",
            f"{count} columns have this name",
            "Rename or remove all but one.",
        )
        for name, count in counts.items()
        if count > 1 and name
    )
