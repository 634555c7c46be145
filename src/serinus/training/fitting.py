"""From a spec and its rows to a fitted model. Touches nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from serinus.data import ingest, validation
from serinus.data.dataset import Dataset, Prepared, without_duplicates
from serinus.data.split import Split, split
from serinus.data.types import ValidationReport
from serinus.errors import InvalidInput
from serinus.registry import model_types
from serinus.registry.model_types import ModelType
from serinus.training import trainers
from serinus.training.spec import TrainingSpec

SMALL_VALUES = 200_000
FEWEST_ROWS = 40


@dataclass(frozen=True)
class Fit:
    """A fitted model with the rows on both sides of the split.

    Args:
        model: the fitted pipeline.
        algorithm: how it learned.
        profile: the gates it is held to.
        report: what checking the rows found.
        prepared: the rows.
        train: the rows that it learned from.
        test: the rows that judge it.
        dealt: how the two were told apart.
    """

    model: Any
    algorithm: trainers.Algorithm
    profile: ModelType
    report: ValidationReport
    prepared: Prepared
    train: pd.DataFrame
    test: pd.DataFrame
    dealt: Split

    def inputs(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The features of rows as the model reads them."""
        return trainers.inputs(rows, self.prepared.kinds)


def learn(
    spec: TrainingSpec,
    dataset: Dataset | None,
    types: Mapping[str, ModelType] | None,
    enter: Callable[[str], None],
) -> Fit:
    """Read, validate, split and fit; ``enter`` is told each of these stages as it begins.

    Raises:
        InvalidInput: the data cannot be used (all faults at once), the profile or algorithm does
            not fit the target, or fitting fails.
        NotFound: there is no such file.
    """
    enter("read")
    dataset = ingest.read(spec.data) if dataset is None else dataset
    dataset = _once(dataset) if spec.unique_rows else dataset
    enter("validate")
    report, prepared = validation.prepare(dataset, spec.purpose())
    known = model_types.load() if types is None else types
    profile = model_types.choose(known, spec.model_type, prepared.task)
    algorithm = trainers.choose(spec.algorithm, prepared)
    model = trainers.pipeline(algorithm, prepared, spec.params, spec.seed)
    enter("split")
    dealt, by = spec.dealing(prepared.task)
    learned, judged = split(
        prepared.frame, kind=dealt, test_size=spec.test_size, seed=spec.seed, by=by
    )
    enter("fit")
    fitted = _fit(model, prepared, learned, algorithm)
    return Fit(fitted, algorithm, profile, report, prepared, learned, judged, dealt)


def _once(dataset: Dataset) -> Dataset:
    """Each repeated row once, unless that leaves too few to learn from.

    Rows of a few categories repeat by nature: how often each came is then what there is to learn.
    """
    once = without_duplicates(dataset)
    return once if len(once.frame) >= FEWEST_ROWS else dataset


def _fit(model: Any, prepared: Prepared, rows: pd.DataFrame, algorithm: trainers.Algorithm) -> Any:
    # A pool of threads only slows down what is small.
    threads = 1 if rows.size < SMALL_VALUES else None
    try:
        with threadpool_limits(threads):
            return model.fit(
                trainers.inputs(rows, prepared.kinds), rows[prepared.target].to_numpy()
            )
    except Exception as error:  # whatever a library raises is about what it was given
        raise InvalidInput(
            f"the algorithm {algorithm.name} cannot be fitted ({type(error).__name__}: {error})",
            where="fit",
            remedy="Change its parameters or use another algorithm; nothing was changed.",
        ) from error
