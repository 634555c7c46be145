"""A scikit-learn model (XGBoost's and LightGBM's included), called as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from serinus.serving.runtimes.families import ARGMAX
from serinus.serving.runtimes.frames import FrameBuilder
from serinus.serving.runtimes.outcomes import ClassIndex, flat, numbers
from serinus.serving.types import Features, Outcome
from serinus.wire import Manifest

_LIBRARIES = frozenset({"lightgbm", "sklearn", "xgboost"})


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
        self._argmax = highest_decides(model)
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

    def close(self) -> None:
        """Nothing of it lives outside of this process's memory."""

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
            return numbers(self._model.predict(rows))
        if self._order is None:
            return self._classes.of_values(flat(self._model.predict(rows)))
        scores = np.asarray(self._model.predict_proba(rows), dtype=np.float64)[:, self._order]
        if self._argmax:
            return self._classes.of_scores(scores)
        return self._classes.of_both(flat(self._model.predict(rows)), scores)


def highest_decides(model: Any) -> bool:
    """Whether a classifier's answer is known to be the class with the highest probability."""
    last = _steps(model)[-1]
    votes = type(last).__name__ == "VotingClassifier" and last.voting == "soft"
    return _is_from_library(last) and (votes or type(last).__name__ in ARGMAX)


def _steps(model: Any) -> list[Any]:
    """The steps of a pipeline, those of pipelines in it included; a lone model is one step."""
    steps = getattr(model, "steps", None)
    if not isinstance(steps, list):
        return [model]
    return [part for _, step in steps for part in _steps(step)]


def _is_from_library(step: Any) -> bool:
    return step == "passthrough" or type(step).__module__.split(".")[0] in _LIBRARIES


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
