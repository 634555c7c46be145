"""A loaded version: rows -> outputs, whatever library made it.

Two kinds: a scikit-learn model (XGBoost's and LightGBM's included) is called as it is, any other
MLflow model through ``mlflow.pyfunc``. What comes out is checked against the manifest, so that
nothing that is not an answer ever looks like one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from serinus.errors import InvalidInput
from serinus.serving.frames import FrameBuilder
from serinus.serving.types import Features, Outcome
from serinus.wire import Answer, Manifest, Output

UNUSABLE = "unusable output"
_SYNTHETIC: Mapping[str, Any] = {"double": 0.0, "long": 0, "boolean": False, "string": ""}
# Their predict() is the class of the highest of predict_proba(), so one call gives both.
_ARGMAX = frozenset(
    {
        "DecisionTreeClassifier",
        "ExtraTreesClassifier",
        "GradientBoostingClassifier",
        "HistGradientBoostingClassifier",
        "LogisticRegression",
        "MLPClassifier",
        "RandomForestClassifier",
        "XGBClassifier",
    }
)


class Runtime(Protocol):
    """A loaded version, to be called by one thread at a time."""

    @property
    def manifest(self) -> Manifest:
        """What the version's folder says of it."""

    def answer(self, rows: Sequence[Features]) -> list[Outcome]:
        """One outcome for each row; raises whatever the model raises."""


class SklearnRuntime:
    """A fitted estimator or pipeline.

    Args:
        model: with ``predict``, and for a classifier perhaps ``predict_proba``.
        manifest: of the version.

    Raises:
        InvalidInput: the model's classes are not the manifest's.
    """

    def __init__(self, model: Any, manifest: Manifest) -> None:
        self._model = _on_one_thread(model)
        self._manifest = manifest
        self._frames = FrameBuilder(manifest.inputs)
        self._classes = ClassIndex(manifest)
        self._order: npt.NDArray[np.intp] | None = None
        if manifest.task == "classification" and hasattr(model, "predict_proba"):
            self._order = self._classes.order(np.asarray(model.classes_).tolist())
        last = _steps(model)[-1]
        self._argmax = _is_from_library(last) and type(last).__name__ in _ARGMAX
        self._by_array = False

    @property
    def manifest(self) -> Manifest:
        """What the version's folder says of it."""
        return self._manifest

    def answer(self, rows: Sequence[Features]) -> list[Outcome]:
        """One outcome for each row; raises whatever the model raises."""
        return self._answer(
            self._frames.array(rows) if self._by_array else self._frames.build(rows)
        )

    def use_arrays(self, probes: Sequence[Features]) -> bool:
        """Call the model with plain arrays from now on, if the same answers come out.

        Only where the library's own code alone sees the rows, all inputs are numbers, and the
        ``probes`` are answered alike: building a frame costs as much as a small model.
        """
        steps = _steps(self._model)
        plain = all(_is_from_library(step) and not hasattr(step, "func") for step in steps)
        if not (plain and self._frames.is_numeric):
            return False
        try:
            by_array = self._answer(self._frames.array(probes))
        except Exception:
            return False
        self._by_array = by_array == self._answer(self._frames.build(probes))
        return self._by_array

    def _answer(self, rows: Any) -> list[Outcome]:
        if self._manifest.task == "regression":
            return _numbers(self._model.predict(rows))
        if self._order is None:
            return self._classes.of_values(_flat(self._model.predict(rows)))
        scores = np.asarray(self._model.predict_proba(rows), dtype=np.float64)[:, self._order]
        if self._argmax:
            return self._classes.of_scores(scores)
        return self._classes.of_both(_flat(self._model.predict(rows)), scores)


class PyfuncRuntime:
    """Any MLflow model, through its ``predict``."""

    def __init__(self, model: Any, manifest: Manifest) -> None:
        self._model = model
        self._manifest = manifest
        self._frames = FrameBuilder(manifest.inputs)
        self._classes = ClassIndex(manifest)

    @property
    def manifest(self) -> Manifest:
        """What the version's folder says of it."""
        return self._manifest

    def answer(self, rows: Sequence[Features]) -> list[Outcome]:
        """One outcome for each row; raises whatever the model raises."""
        given = np.asarray(self._model.predict(self._frames.build(rows)))
        if self._manifest.task == "regression":
            return _numbers(given)
        classes = len(self._manifest.classes)
        if given.ndim == 2 and given.shape[1] == classes > 1:
            return self._classes.of_scores(given.astype(np.float64))
        return self._classes.of_values(_flat(given))


class ClassIndex:
    """The classes of a manifest, and outcomes in their terms."""

    def __init__(self, manifest: Manifest) -> None:
        self._model = manifest.model
        self._classes = manifest.classes
        self._by_value: dict[Any, Answer] = {name: name for name in manifest.classes}

    def order(self, known: list[Any]) -> npt.NDArray[np.intp]:
        """Where each of the manifest's classes is among those that the model knows.

        A model fitted on 0, 1, 2... for other names gives positions in the manifest's list.

        Raises:
            InvalidInput: the two do not fit.
        """
        if len(known) == len(self._classes):
            if set(known) == set(self._classes):
                return np.array([known.index(name) for name in self._classes], dtype=np.intp)
            if known == list(range(len(known))):
                self._by_value = dict(enumerate(self._classes))
                return np.arange(len(known))
        raise InvalidInput(
            f"the model knows the classes {known}, its manifest {list(self._classes)}",
            where=self._model,
            remedy="Register the version again.",
        )

    def of_values(self, values: list[Any]) -> list[Outcome]:
        """Outcomes of a model that names classes only."""
        if not self._classes:
            return [_plain(value) for value in values]
        return [
            UNUSABLE if (name := self._name(value)) is None else Output(name) for value in values
        ]

    def of_scores(self, scores: npt.NDArray[np.float64]) -> list[Outcome]:
        """Outcomes of a model whose class is the one of the highest score."""
        classes = self._classes
        best = scores.argmax(axis=1).tolist()
        usable = _finite_rows(scores)
        return [
            Output(classes[top], tuple(row)) if good else UNUSABLE
            for top, row, good in zip(best, scores.tolist(), usable, strict=True)
        ]

    def of_both(self, values: list[Any], scores: npt.NDArray[np.float64]) -> list[Outcome]:
        """Outcomes of a model that decides otherwise than by the highest score."""
        usable = _finite_rows(scores)
        return [
            Output(name, tuple(row))
            if good and (name := self._name(value)) is not None
            else UNUSABLE
            for value, row, good in zip(values, scores.tolist(), usable, strict=True)
        ]

    def _name(self, value: Any) -> Answer | None:
        try:
            return self._by_value.get(value)
        except TypeError:
            return None


def probe_rows(manifest: Manifest, count: int) -> list[Features]:
    """Rows to try a model with: the manifest's example, its numbers varied; else made-up ones."""
    example: list[Any] = [
        manifest.example.get(field.name, _SYNTHETIC[field.type] if field.required else None)
        for field in manifest.inputs
    ]
    return [
        tuple(
            value * (1.0 + 0.25 * math.sin(row * 7 + column)) if isinstance(value, float) else value
            for column, value in enumerate(example)
        )
        if row
        else tuple(example)
        for row in range(count)
    ]


def _finite_rows(scores: npt.NDArray[np.float64]) -> list[bool]:
    # A sum is finite only if all of its terms are.
    return list(np.isfinite(scores.sum(axis=1)).tolist())


def _numbers(values: Any) -> list[Outcome]:
    flat = np.asarray(values, dtype=np.float64)
    if flat.ndim == 2 and flat.shape[1] == 1:
        flat = flat[:, 0]
    if flat.ndim != 1:
        raise InvalidInput(f"the model gave an array of shape {flat.shape}, not one number per row")
    return [Output(value) if math.isfinite(value) else UNUSABLE for value in flat.tolist()]


def _flat(values: Any) -> list[Any]:
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InvalidInput(f"the model gave an array of shape {array.shape}, not one class per row")
    return list(array.tolist())


def _plain(value: Any) -> Outcome:
    if isinstance(value, float) and not math.isfinite(value):
        return UNUSABLE
    return Output(value) if isinstance(value, str | int | float | bool) else UNUSABLE


def _steps(model: Any) -> list[Any]:
    """The steps of a pipeline, those of pipelines in it included; a lone model is one step."""
    steps = getattr(model, "steps", None)
    if not isinstance(steps, list):
        return [model]
    return [part for _, step in steps for part in _steps(step)]


def _is_from_library(step: Any) -> bool:
    return step == "passthrough" or type(step).__module__.split(".")[0] in {"sklearn", "xgboost"}


def _on_one_thread(model: Any) -> Any:
    """Keep a model from starting threads for every request: a worker is meant for one core."""
    try:
        parameters = model.get_params(deep=True)
    except (AttributeError, TypeError):
        return model
    wide = {
        name: 1
        for name, value in parameters.items()
        if name.split("__")[-1] == "n_jobs" and value not in (None, 1)
    }
    return model.set_params(**wide) if wide else model
