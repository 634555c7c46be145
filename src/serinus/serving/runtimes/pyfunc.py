"""Any MLflow model, called in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from serinus.serving.runtimes.frames import FrameBuilder
from serinus.serving.runtimes.outcomes import ClassIndex, numbers
from serinus.serving.runtimes.signatures import Shaper
from serinus.serving.types import Features, Outcome
from serinus.wire import Manifest


class PyfuncRuntime:
    """Any MLflow model, through its ``predict``."""

    def __init__(self, model: Any, manifest: Manifest) -> None:
        self._model = model
        self._manifest = manifest
        self._frames = FrameBuilder(manifest.inputs)
        self._shaper = Shaper(model)
        self._classes = ClassIndex(manifest)

    @property
    def manifest(self) -> Manifest:
        """What the version's folder says of it."""
        return self._manifest

    @property
    def is_steady(self) -> bool:
        """Somebody's own code may do anything."""
        return False

    def answer(self, rows: Sequence[Features]) -> list[Outcome]:
        """One outcome for each row; raises whatever the model raises."""
        given = np.asarray(self._model.predict(self._shaper.shape(self._frames.build(rows))))
        if self._manifest.task == "regression":
            return numbers(given)
        return self._classes.of_array(given)

    def close(self) -> None:
        """Nothing of it lives outside of this process's memory."""
