"""How good a fitted model is on rows it never saw, with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from serinus.data.types import Task
from serinus.registry import folders
from serinus.training import bootstrap
from serinus.training.bootstrap import Floats

Places = npt.NDArray[np.int64]

HIGHER_IS_BETTER = frozenset({"accuracy", "precision", "recall", "f1", "roc_auc", "r2"})
"""Of every other metric (losses and errors) less is better."""


@dataclass(frozen=True)
class Estimate:
    """A metric on the test rows and its 95 % bootstrap percentile interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Evaluation:
    """Every metric of one model on one set of test rows."""

    task: Task
    rows: int
    resamples: int
    metrics: dict[str, Estimate]

    def values(self) -> dict[str, float]:
        """Metric by name, without the intervals; those that are not defined are left out."""
        return {
            name: estimate.value
            for name, estimate in self.metrics.items()
            if np.isfinite(estimate.value)
        }

    def to_dict(self) -> dict[str, Any]:
        """The evaluation as plain JSON; a metric that is not defined is null."""
        return {
            "task": self.task,
            "rows": self.rows,
            "resamples": self.resamples,
            "confidence": bootstrap.CONFIDENCE,
            "metrics": {
                name: {
                    "value": _plain(estimate.value),
                    "low": _plain(estimate.low),
                    "high": _plain(estimate.high),
                }
                for name, estimate in self.metrics.items()
            },
        }


def evaluate_classes(
    truth: Sequence[Any], scores: Floats, classes: Sequence[Any], seed: int
) -> Evaluation:
    """Evaluate probabilities (rows × classes) against true classes.

    Precision, recall and F1 are macro averages; the Brier score of two classes is the mean
    squared error of the second's probability, of more the sum over the classes (Brier 1950).
    """
    place = {label: column for column, label in enumerate(classes)}
    actual = np.zeros((len(truth), len(classes)))
    actual[np.arange(len(truth)), [place[label] for label in truth]] = 1

    def metrics(places: Places, counts: Floats) -> dict[str, Floats]:
        return bootstrap.classification(actual[places], scores[places], counts)

    return _evaluation("classification", len(truth), metrics, seed)


def evaluate_numbers(truth: Floats, answers: Floats, seed: int) -> Evaluation:
    """Evaluate predicted numbers against true ones."""

    def metrics(places: Places, counts: Floats) -> dict[str, Floats]:
        return bootstrap.regression(truth[places], answers[places], counts)

    return _evaluation("regression", len(truth), metrics, seed)


def evaluate(
    fitted: Any,
    rows: pd.DataFrame,
    truth: pd.Series[Any],
    classes: Sequence[Any],
    seed: int,
) -> Evaluation:
    """Evaluate a fitted model on test rows; ``classes`` is empty for a regression."""
    if classes:
        given = folders.scores(fitted, rows, classes)
        return evaluate_classes(truth.tolist(), given, classes, seed)
    answers = np.asarray(fitted.predict(rows), dtype=float).ravel()
    return evaluate_numbers(truth.to_numpy(float), answers, seed)


def better_by(metric: str, new: float, old: float) -> float:
    """By how much ``new`` is better than ``old``; negative is worse."""
    return new - old if metric in HIGHER_IS_BETTER else old - new


def _evaluation(task: Task, rows: int, metrics: bootstrap.Metrics, seed: int) -> Evaluation:
    found = bootstrap.estimates(metrics, rows, seed)
    estimates = {name: Estimate(*values) for name, values in found.items()}
    return Evaluation(task, rows, bootstrap.resamples_for(rows), estimates)


def _plain(value: float) -> float | None:
    return value if np.isfinite(value) else None
