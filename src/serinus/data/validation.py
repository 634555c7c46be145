"""Checks a dataset for one purpose (predict this target) and makes it ready for it.

All faults are found in one pass and told at once; nothing is written anywhere.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from serinus.data import columns
from serinus.data.dataset import Dataset, Prepared
from serinus.data.types import Finding, Kind, Task, ValidationReport

FEWEST_ROWS = 10
FEWEST_PER_CLASS = 2
MOST_INTEGER_CLASSES = 20
MOST_CLASSES = 1_000
RARE_CLASS = 0.05


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """What a dataset is to be used for.

    Args:
        target: the column to predict.
        task: classification or regression; None is judged by the target's values.
        exclude: columns that the model must not see.
        order_by: a column of times that only orders the rows, no input.
        group_by: a column that only groups the rows, no input.
        features: exactly these inputs, none dropped however dull they are (a retraining, whose
            signature must not change); None is every other column that can inform a model.
    """

    target: str
    task: Task | None = None
    exclude: tuple[str, ...] = ()
    order_by: str = ""
    group_by: str = ""
    features: tuple[str, ...] | None = None


def validate(dataset: Dataset, purpose: Purpose) -> tuple[ValidationReport, Prepared | None]:
    """The report, and the usable dataset unless the report has errors."""
    findings = [*dataset.faults, *_missing_columns(dataset, purpose)]
    frame = dataset.frame
    if frame.empty:
        findings.append(
            Finding("error", "the rows", "there are none", "Give a file with rows of data.")
        )
        return _report(dataset, findings), None
    task = purpose.task
    classes: tuple[str | int | bool, ...] = ()
    if purpose.target in frame.columns:
        frame, found = _with_target(frame, purpose.target)
        findings += found
        if frame.empty:
            return _report(dataset, findings), None
        frame, task, classes, found = _target(dataset, frame, purpose)
        findings += found
    frame, found = _ordered(frame, purpose)
    findings += found
    kinds, found = _features(frame, dataset.kinds, purpose)
    findings += [*found, *_rows(frame, dataset.kinds)]
    report = _report(dataset, findings)
    if not report.passed or task is None:
        return report, None
    kept = [name for name in frame.columns if name in kinds or name in _apart(purpose)]
    prepared = Prepared(
        dataset=dataset,
        frame=frame[kept].reset_index(drop=True),
        features=tuple(kinds),
        kinds=kinds,
        target=purpose.target,
        task=task,
        classes=classes,
    )
    return report, prepared


def prepare(dataset: Dataset, purpose: Purpose) -> tuple[ValidationReport, Prepared]:
    """As :func:`validate`, for callers that cannot go on without a usable dataset.

    Raises:
        InvalidInput: listing every error of the report.
    """
    report, prepared = validate(dataset, purpose)
    report.require_passed()
    assert prepared is not None  # a report without errors comes with the dataset
    return report, prepared


# ------------------------------------------------------------------ the columns asked for


def _apart(purpose: Purpose) -> set[str]:
    return {purpose.target, purpose.order_by, purpose.group_by} - {""}


def _missing_columns(dataset: Dataset, purpose: Purpose) -> list[Finding]:
    roles = [("target", purpose.target)]
    roles += [("time", purpose.order_by)] if purpose.order_by else []
    roles += [("group", purpose.group_by)] if purpose.group_by else []
    roles += [("excluded", name) for name in purpose.exclude]
    roles += [("input", name) for name in purpose.features or ()]
    names = [str(name) for name in dataset.frame.columns]
    return [_missing_column(role, name, names) for role, name in roles if name not in names]


def _missing_column(role: str, name: str, names: Sequence[str]) -> Finding:
    near = difflib.get_close_matches(name, names, n=1)
    listed = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return Finding(
        "error",
        f"{role} column {name!r}",
        "there is no such column",
        f"{hint}The columns are: {listed}.",
    )


# ------------------------------------------------------------------ the target


def _with_target(frame: pd.DataFrame, target: str) -> tuple[pd.DataFrame, list[Finding]]:
    missing = frame[target].isna()
    if not missing.any():
        return frame, []
    kept = frame[~missing]
    place = f"target column {target!r}"
    if kept.empty:
        fact = "it is missing in every row, so that 0 rows are left"
        return kept, [Finding("error", place, fact, "Give rows whose target is known.")]
    rows = columns.rows_named([int(row) for row in np.flatnonzero(missing)])
    fact = f"it is missing in {rows}"
    return kept, [Finding("warning", place, fact, "These rows are not used.")]


def _target(
    dataset: Dataset, frame: pd.DataFrame, purpose: Purpose
) -> tuple[pd.DataFrame, Task | None, tuple[str | int | bool, ...], list[Finding]]:
    name, kind = purpose.target, dataset.kinds[purpose.target]
    broken = columns.broken_values(frame[[name]], {name: kind})
    broken = [replace(found, place=f"target column {name!r}") for found in broken]
    if kind == "text" and purpose.task == "regression" and not broken:
        broken = [_not_numbers(name, frame[name])]
    if kind == "time":
        broken = [
            Finding("error", f"target column {name!r}", "it holds times", "Name another target.")
        ]
    if broken:
        return frame, None, (), broken
    values = _labels(frame[name], kind)
    task = purpose.task or infer_task(values)
    frame = frame.assign(**{name: values.astype(float) if task == "regression" else values})
    if task == "regression":
        return frame, task, (), _number_target(name, values)
    classes = tuple(sorted(set(values.tolist())))
    return frame, task, classes, _class_target(name, values, classes)


def infer_task(target: pd.Series[Any]) -> Task:
    """Text, booleans and at most 20 different whole numbers are classes; all else is a number."""
    if target.dtype.kind not in "iuf":
        return "classification"
    whole = target.dtype.kind in "iu"
    return "classification" if whole and target.nunique() <= MOST_INTEGER_CLASSES else "regression"


def _labels(target: pd.Series[Any], kind: Kind) -> pd.Series[Any]:
    # A missing value anywhere had turned booleans into objects and whole numbers into floats.
    if kind == "boolean":
        return target.astype(bool)
    if kind == "number":
        numbers = target.to_numpy(float)
        return target.astype("int64") if (numbers == np.floor(numbers)).all() else target
    return target.map(str).astype(object)


def _not_numbers(name: str, target: pd.Series[Any]) -> Finding:
    return Finding(
        "error",
        f"target column {name!r}",
        f"it holds text such as {str(target.iloc[0])[:40]!r}, and regression predicts numbers",
        "Use task=classification, or name a column of numbers.",
    )


def _number_target(name: str, values: pd.Series[Any]) -> list[Finding]:
    if values.nunique() > 1:
        return []
    fact = f"every value is {values.iloc[0]}"
    return [Finding("error", f"target column {name!r}", fact, "Give rows with different values.")]


def _class_target(
    name: str, values: pd.Series[Any], classes: Sequence[str | int | bool]
) -> list[Finding]:
    place = f"target column {name!r}"
    if len(classes) == 1:
        fact = f"there is only one class, {classes[0]!r}"
        return [Finding("error", place, fact, "Give rows of at least two classes.")]
    if len(classes) > min(MOST_CLASSES, len(values) // 2):
        fact = f"there are {len(classes)} classes in {len(values)} rows"
        return [Finding("error", place, fact, "Use task=regression, or name another target.")]
    counts = values.value_counts()
    findings: list[Finding] = []
    for label, count in counts.items():
        if count < FEWEST_PER_CLASS:
            fact = f"class {label!r} has {count} row"
            remedy = "Give more rows of this class, or leave the row out."
            findings.append(Finding("error", place, fact, remedy))
        elif count < RARE_CLASS * len(values):
            fact = f"class {label!r} is rare: {count} of {len(values)} rows"
            remedy = "Judge the model by more than its accuracy."
            findings.append(Finding("warning", place, fact, remedy))
    return findings


# ------------------------------------------------------------------ rows and features


def _ordered(frame: pd.DataFrame, purpose: Purpose) -> tuple[pd.DataFrame, list[Finding]]:
    findings: list[Finding] = []
    for name in (purpose.order_by, purpose.group_by):
        if not name or name not in frame.columns:
            continue
        series = frame[name]
        if name == purpose.order_by and not pd.api.types.is_numeric_dtype(series.dtype):
            series = pd.to_datetime(series, errors="coerce", utc=True, format="mixed")
            frame = frame.assign(**{name: series})
        unreadable = series.index[series.isna()].tolist()
        if unreadable:
            rows = columns.rows_named(unreadable)
            word = "time" if name == purpose.order_by else "group"
            fact, remedy = f"no {word} can be read in {rows}", "Correct or leave out these rows."
            findings.append(Finding("error", f"{word} column {name!r}", fact, remedy))
    return frame, findings


def _features(
    frame: pd.DataFrame, kinds: Mapping[str, Kind], purpose: Purpose
) -> tuple[dict[str, Kind], list[Finding]]:
    aside = _apart(purpose) | set(purpose.exclude)
    asked = purpose.features
    names = [name for name in kinds if name not in aside] if asked is None else list(asked)
    chosen = {name: kinds[name] for name in names if name in kinds}
    findings = columns.broken_values(frame[list(chosen)], chosen)
    faulty = {found.place for found in findings}
    dull = columns.useless(frame, chosen)
    if asked is None:
        findings += [found for found in dull.values() if found.place not in faulty]
        kept = {name: kind for name, kind in chosen.items() if name not in dull}
        if not kept:
            place = "the columns" if chosen else "the file"
            fact = "no column is left to learn from"
            remedy = f"Give columns beside the target {purpose.target!r} whose values differ."
            findings.append(Finding("error", place, fact, remedy))
    else:
        findings += [_pinned(found, frame[name]) for name, found in dull.items()]
        kept = chosen
    if purpose.target in frame.columns:
        sound = {name: kind for name, kind in kept.items() if kind != "unusable"}
        findings += columns.leaks(frame, sound, purpose.target)
    return kept, [*findings, *columns.remarks(frame, kept)]


def _pinned(found: Finding, series: pd.Series[Any]) -> Finding:
    if series.isna().all():
        remedy = "The model's signature names it: give rows in which it is known."
        return replace(found, level="error", remedy=remedy)
    return replace(found, remedy="It is used all the same: the model's signature names it.")


def _rows(frame: pd.DataFrame, kinds: Mapping[str, Kind]) -> list[Finding]:
    findings: list[Finding] = []
    if len(frame) < FEWEST_ROWS:
        fact = f"there are only {len(frame)}"
        findings.append(
            Finding("error", "the rows", fact, f"Give at least {FEWEST_ROWS} usable rows.")
        )
    plain = [name for name, kind in kinds.items() if kind != "unusable"]
    repeated = int(frame.duplicated(plain).sum()) if plain else 0
    if repeated:
        fact = f"{repeated} of {len(frame)} repeat an earlier row exactly"
        remedy = "They count as they are; drop them if they are the same case twice."
        findings.append(Finding("warning", "the rows", fact, remedy))
    return findings


def _report(dataset: Dataset, findings: Sequence[Finding]) -> ValidationReport:
    return ValidationReport(
        source=dataset.source,
        rows=len(dataset.frame),
        columns=len(dataset.frame.columns),
        findings=tuple(sorted(findings, key=lambda found: found.level)),
    )
