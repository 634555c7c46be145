"""BentoML: requests are gathered into batches by its adaptive batching.

Loaded by ``bentoml serve bento:Classifier`` in the environment of that peer, with the model in
the folder that it is started in.
"""

from __future__ import annotations

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Classifier:
    """The classes of rows of numbers."""

    def __init__(self) -> None:
        self.model = joblib.load("model.joblib")

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1_000)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        """The class of each row."""
        return self.model.predict(rows)
