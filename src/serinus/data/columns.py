"""Checks of single columns: a pandera schema of what a model can read, told in people's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from serinus.data.types import Finding, Kind

MOSTLY = 0.8
"""A text column of which at least this share reads as numbers is a number column with faults."""

ROWS_NAMED = 5
MANY_CATEGORIES = 50
MOSTLY_UNIQUE = 0.9
MOSTLY_MISSING = 0.5

_NOT_A_NUMBER = "text among numbers"
_INFINITE = "infinite"
_UNUSABLE = "unusable"


def schema(frame: pd.DataFrame, kinds: Mapping[str, Kind]) -> pa.DataFrameSchema:
    """What the columns must satisfy: numbers finite, number columns free of text, plain values."""
    columns: dict[str, pa.Column] = {}
    for name, kind in kinds.items():
        checks: list[pa.Check] = []
        if kind == "number":
            checks = [pa.Check(_is_finite, error=_INFINITE)]
        elif kind == "text" and is_number_with_faults(frame[name]):
            checks = [pa.Check(_reads_as_number, error=_NOT_A_NUMBER)]
        elif kind == "unusable":
            checks = [pa.Check(lambda series: series.isna(), error=_UNUSABLE)]
        columns[name] = pa.Column(checks=checks, nullable=True)
    return pa.DataFrameSchema(columns, strict=True, unique_column_names=True)


def broken_values(frame: pd.DataFrame, kinds: Mapping[str, Kind]) -> list[Finding]:
    """An error for each column with values that no model can read, naming the first such rows."""
    try:
        schema(frame, kinds).validate(frame, lazy=True)
    except SchemaErrors as failure:
        cases = failure.failure_cases
        return [
            _broken(str(column), str(check), group)
            for (column, check), group in cases.groupby(["column", "check"], sort=False)
        ]
    return []


def useless(frame: pd.DataFrame, kinds: Mapping[str, Kind]) -> dict[str, Finding]:
    """The columns that cannot inform a model, each with the warning that says why it is dropped."""
    found: dict[str, Finding] = {}
    for name, kind in kinds.items():
        fact = "" if kind == "unusable" else _why_useless(frame[name], kind)
        if fact:
            found[name] = Finding(
                "warning", f"column {name!r}", fact, "It is not used for training."
            )
    return found


def remarks(frame: pd.DataFrame, kinds: Mapping[str, Kind]) -> list[Finding]:
    """Warnings about columns that are used all the same."""
    found: list[Finding] = []
    for name, kind in kinds.items():
        series = frame[name]
        missing = float(series.isna().mean())
        if MOSTLY_MISSING <= missing < 1:
            found.append(
                Finding(
                    "warning",
                    f"column {name!r}",
                    f"{missing:.0%} of the values are missing",
                    "They are filled in; think of leaving the column out.",
                )
            )
        if kind == "text" and series.nunique() > MANY_CATEGORIES:
            found.append(
                Finding(
                    "warning",
                    f"column {name!r}",
                    f"it has {series.nunique()} categories",
                    "The rarer ones are treated as one.",
                )
            )
    return found


def leaks(frame: pd.DataFrame, kinds: Mapping[str, Kind], target: str) -> list[Finding]:
    """An error for each feature that is the target itself, perhaps under other names of values."""
    truth = frame[target]
    return [
        Finding(
            "error",
            f"column {name!r}",
            f"it tells the target {target!r} exactly, row for row",
            f"Exclude it (exclude={name}), or name another target.",
        )
        for name in kinds
        if _is_same(frame[name], truth)
    ]


def is_number_with_faults(series: pd.Series[Any]) -> bool:
    """Whether a text column is meant to be numbers: most of its values read as numbers."""
    present = series.dropna()
    return len(present) > 0 and float(_reads_as_number(present).mean()) >= MOSTLY


def rows_named(positions: Sequence[int]) -> str:
    """Row numbers for a message; the first row of data is row 1."""
    shown = ", ".join(str(position + 1) for position in positions[:ROWS_NAMED])
    more = len(positions) - ROWS_NAMED
    word = "row" if len(positions) == 1 else "rows"
    return f"{word} {shown}" + (f" and {more} more" if more > 0 else "")


def _broken(column: str, check: str, cases: pd.DataFrame) -> Finding:
    rows = rows_named([int(row) for row in cases["index"]])
    if check == _INFINITE:
        what, remedy = f"infinite values in {rows}", "Correct these rows or leave them out."
    elif check == _NOT_A_NUMBER:
        sample = str(cases["failure_case"].iloc[0])[:40]
        what = f"text in a number column in {rows}, such as {sample!r}"
        remedy = "Correct these values, leave them empty, or exclude the column."
    else:
        what = f"values that are neither numbers, booleans nor text in {rows}"
        remedy = "Turn them into plain columns, or exclude the column."
    return Finding("error", f"column {column!r}", what, remedy)


def _why_useless(series: pd.Series[Any], kind: Kind) -> str:
    present = series.dropna()
    if present.empty:
        return "every value is missing"
    if kind == "time":
        return "times are no inputs of a model yet"
    if present.nunique() == 1 and len(present) == len(series):
        return f"every value is {str(present.iloc[0])[:40]!r}"
    different = present.nunique() / len(present)
    if kind == "text" and present.nunique() > MANY_CATEGORIES and different >= MOSTLY_UNIQUE:
        return f"it looks like an identifier ({present.nunique()} different texts)"
    if kind == "number" and len(present) > MANY_CATEGORIES and _counts_rows(series):
        return "it only counts the rows"
    return ""


def _counts_rows(series: pd.Series[Any]) -> bool:
    return not series.isna().any() and bool((np.diff(series.to_numpy(float)) == 1).all())


def _is_same(series: pd.Series[Any], truth: pd.Series[Any]) -> bool:
    if series.isna().any() or series.nunique() != truth.nunique() or truth.nunique() < 2:
        return False
    if truth.nunique() <= len(truth) // 2:
        # Codes count up in the order of first sight: equal codes are a one-to-one renaming.
        return bool((pd.factorize(series)[0] == pd.factorize(truth)[0]).all())
    # Where nearly every value is different any two columns rename each other: compare values.
    if series.dtype.kind not in "iuf" or truth.dtype.kind not in "iuf":
        return series.map(str).tolist() == truth.map(str).tolist()
    return bool(np.allclose(series.to_numpy(float), truth.to_numpy(float), rtol=1e-12, atol=0))


def _is_finite(series: pd.Series[Any]) -> pd.Series[Any]:
    return pd.Series(~np.isinf(series.to_numpy(float)), index=series.index)


def _reads_as_number(series: pd.Series[Any]) -> pd.Series[Any]:
    return pd.to_numeric(series, errors="coerce").notna() | series.isna()
