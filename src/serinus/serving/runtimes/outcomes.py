"""What a model gave -> outcomes in its manifest's terms, where no mistake looks like an answer."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from serinus.errors import InvalidInput
from serinus.serving.types import Outcome
from serinus.wire import Answer, Manifest, Output

UNUSABLE = "unusable output"

# Below, an array operation costs more than it saves.
_FEW_ROWS = 8


class ClassIndex:
    """The classes of a manifest, and outcomes in their terms."""

    def __init__(self, manifest: Manifest) -> None:
        self._model = manifest.model
        self._classes = manifest.classes
        self._by_value: dict[Any, Answer] = {name: name for name in manifest.classes}

    def of_array(self, given: npt.NDArray[Any]) -> list[Outcome]:
        """Outcomes of a model that gives a class, or a score for each class, in their order."""
        classes = len(self._classes)
        if given.ndim == 2 and given.shape[1] == classes > 1:
            return self.of_scores(given.astype(np.float64))
        return self.of_values(flat(given))

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

    def of_scores(self, scores: npt.NDArray[np.floating[Any]]) -> list[Outcome]:
        """Outcomes of a model whose class is the one of the highest score."""
        classes = self._classes
        if len(classes) == 2:
            first, second = classes
            return [
                Output(second if b > a else first, (a, b)) if isfinite(a + b) else UNUSABLE
                for a, b in scores.tolist()
            ]
        if len(scores) <= _FEW_ROWS:
            return [
                Output(classes[row.index(max(row))], tuple(row)) if isfinite(sum(row)) else UNUSABLE
                for row in scores.tolist()
            ]
        best = scores.argmax(axis=1).tolist()
        usable = _finite_rows(scores)
        return [
            Output(classes[top], tuple(row)) if good else UNUSABLE
            for top, row, good in zip(best, scores.tolist(), usable, strict=True)
        ]

    def of_both(self, values: list[Any], scores: npt.NDArray[np.floating[Any]]) -> list[Outcome]:
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


def _finite_rows(scores: npt.NDArray[np.floating[Any]]) -> list[bool]:
    return list(np.isfinite(scores).all(axis=1).tolist())


def numbers(values: Any) -> list[Outcome]:
    """Outcomes of a regression, which gives one number for each row."""
    flat = np.asarray(values, dtype=np.float64)
    if flat.ndim == 2 and flat.shape[1] == 1:
        flat = flat[:, 0]
    if flat.ndim != 1:
        raise InvalidInput(f"the model gave an array of shape {flat.shape}, not one number per row")
    return [Output(value) if isfinite(value) else UNUSABLE for value in flat.tolist()]


def flat(values: Any) -> list[Any]:
    """One plain value for each row of what a model gave."""
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InvalidInput(f"the model gave an array of shape {array.shape}, not one class per row")
    return list(array.tolist())


def _plain(value: Any) -> Outcome:
    if isinstance(value, float) and not isfinite(value):
        return UNUSABLE
    return Output(value) if isinstance(value, str | int | float | bool) else UNUSABLE
