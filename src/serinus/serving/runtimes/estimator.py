"""A scikit-learn model (XGBoost's and LightGBM's included), called as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from serinus.serving.runtimes.families import (
    highest_decides,
    is_from_library,
    on_one_thread,
    steps_of,
)
from serinus.serving.runtimes.frames import FrameBuilder
from serinus.serving.runtimes.outcomes import ClassIndex, flat, numbers
from serinus.serving.types import Features, Outcome
from serinus.wire import Manifest


class SklearnRuntime:
    """A fitted estimator or pipeline.

    Args:
        model: with ``predict``, and for a classifier perhaps ``predict_proba``.
        manifest: of the version.

    Raises:
        InvalidInput: the model's classes are not the manifest's.
    """

    def __init__(self, model: Any, manifest: Manifest) -> None:
        self._model = on_one_thread(model)
        self._manifest = manifest
        self._frames = FrameBuilder(manifest.inputs)
        self._classes = ClassIndex(manifest)
        self._order: npt.NDArray[np.intp] | None = None
        if manifest.task == "classification" and hasattr(model, "predict_proba"):
            self._order = self._classes.order(np.asarray(model.classes_).tolist())
        self._argmax = highest_decides(model)
        self._by_array = False
        steps = steps_of(self._model)
        self._is_plain = all(is_from_library(step) and not hasattr(step, "func") for step in steps)

    @property
    def manifest(self) -> Manifest:
        """What the version's folder says of it."""
        return self._manifest

    @property
    def is_steady(self) -> bool:
        """Whether only the libraries' own code sees the rows."""
        return self._is_plain

    def answer(self, rows: Sequence[Features]) -> list[Outcome]:
        """One outcome for each row; raises whatever the model raises."""
        return self._answer(
            self._frames.array(rows) if self._by_array else self._frames.build(rows)
        )

    def close(self) -> None:
        """Nothing of it lives outside of this process's memory."""

    def use_arrays(self, probes: Sequence[Features]) -> bool:
        """Call the model with plain arrays from now on, if the same answers come out.

        Only where the library's own code alone sees the rows, all inputs are numbers, and the
        ``probes`` are answered alike: building a frame costs as much as a small model.
        """
        if not (self._is_plain and self._frames.is_numeric):
            return False
        try:
            by_array = self._answer(self._frames.array(probes))
        except Exception:
            return False
        self._by_array = by_array == self._answer(self._frames.build(probes))
        return self._by_array

    def _answer(self, rows: Any) -> list[Outcome]:
        if self._manifest.task == "regression":
            return numbers(self._model.predict(rows))
        if self._order is None:
            return self._classes.of_values(flat(self._model.predict(rows)))
        scores = np.asarray(self._model.predict_proba(rows), dtype=np.float64)[:, self._order]
        if self._argmax:
            return self._classes.of_scores(scores)
        return self._classes.of_both(flat(self._model.predict(rows)), scores)
