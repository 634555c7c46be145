"""What to train: everything that decides a training, so that the same spec trains the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import msgspec

from serinus.data.split import SPLITS, Split
from serinus.data.types import Task
from serinus.data.validation import Purpose
from serinus.errors import InvalidInput
from serinus.registry import names, versions

AUTO = "auto"


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """A training, as plain values that a job's payload can carry.

    Args:
        model: name to register under.
        data: path of a CSV or Parquet file, or name of a bundled set; what the rows are called
            when a frame is given instead.
        target: the column to predict.
        algorithm: a name of :data:`serinus.training.trainers.ALGORITHMS`, or ``auto``.
        params: the algorithm's own parameters, over its defaults.
        task: None is judged by the target's values.
        split: None is by time or by group if such a column is named, else stratified for
            classes and random for numbers.
        test_size: share of the rows that judge the model.
        seed: decides the split, the fit and the bootstrap.
        model_type: the profile that gates are taken from; None is the task.
        version: None is the next one.
        time_column: orders the rows for a split by time; no input of the model.
        group_column: rows of one group stay together; no input of the model.
        exclude: columns that the model must not see.
        features: exactly these inputs (a retraining, whose signature must not change).
        unique_rows: drop exact duplicates before the split, if enough rows are left.
        reason: why it is trained, kept with the version.
        tags: kept with the run and the version.
    """

    model: str
    data: str
    target: str
    algorithm: str = AUTO
    params: Mapping[str, Any] = field(default_factory=dict)
    task: Task | None = None
    split: Split | None = None
    test_size: float = 0.2
    seed: int = 0
    model_type: str | None = None
    description: str = ""
    version: str | None = None
    time_column: str = ""
    group_column: str = ""
    exclude: tuple[str, ...] = ()
    features: tuple[str, ...] | None = None
    unique_rows: bool = False
    reason: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def purpose(self) -> Purpose:
        """What the dataset is checked for."""
        return Purpose(
            target=self.target,
            task=self.task,
            exclude=self.exclude,
            order_by=self.time_column,
            group_by=self.group_column,
            features=self.features,
        )

    def dealing(self, task: Task) -> tuple[Split, str]:
        """The split in force for a task, and the column that it goes by."""
        kind = self.split
        if kind is None:
            kind = "stratified" if task == "classification" else "random"
            kind = "grouped" if self.group_column else kind
            kind = "time" if self.time_column else kind
        by = {"stratified": self.target, "grouped": self.group_column, "time": self.time_column}
        return kind, by.get(kind, "")

    def to_dict(self) -> dict[str, Any]:
        """The spec as plain JSON; :func:`from_dict` gives it back."""
        document = {item.name: getattr(self, item.name) for item in fields(self)}
        plain: dict[str, Any] = msgspec.to_builtins(document)
        return plain


def from_dict(document: Mapping[str, Any]) -> TrainingSpec:
    """The spec that :meth:`TrainingSpec.to_dict` wrote, checked.

    Raises:
        InvalidInput: a field is unknown, missing or of the wrong type.
    """
    known = {item.name for item in fields(TrainingSpec)}
    unknown = sorted(set(document) - known)
    if unknown:
        raise InvalidInput(
            f"unknown fields: {', '.join(unknown)}",
            where="training",
            remedy=f"The fields are: {', '.join(sorted(known))}.",
        )
    try:
        return msgspec.convert(dict(document), TrainingSpec)
    except msgspec.ValidationError as error:
        raise InvalidInput(str(error), where="training", remedy="Correct this field.") from error


def check(spec: TrainingSpec) -> None:
    """Do nothing if the spec is sound in itself, whatever its data.

    Raises:
        InvalidInput: listing every fault.
    """
    faults: list[str] = []
    for check_one, text in ((names.check, spec.model), (versions.parse, spec.version)):
        try:
            if text is not None:
                check_one(text)
        except InvalidInput as error:
            faults.append(f"{error.where}: {error.what}. {error.remedy}")
    if not 0 < spec.test_size < 1:
        faults.append(f"test_size: {spec.test_size} is no share between 0 and 1.")
    if spec.split is not None and spec.split not in SPLITS:
        faults.append(f"split: there is no {spec.split!r}. Use one of {', '.join(SPLITS)}.")
    if spec.split == "time" and not spec.time_column:
        faults.append("time_column: a split by time needs one. Name a column of times.")
    if spec.split == "grouped" and not spec.group_column:
        faults.append("group_column: a split by groups needs one. Name a column.")
    if not 0 <= spec.seed < 2**32:
        faults.append(f"seed: {spec.seed} is outside 0 to 4294967295.")
    if faults:
        raise InvalidInput(
            "this training cannot be started",
            where=f"model {spec.model[:100]!r}",
            faults=faults,
            remedy="Correct these and try again; nothing was changed.",
        )
