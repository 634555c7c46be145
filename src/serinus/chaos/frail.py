"""Versions that suffer from what some requests bring along; gateways import this module.

A request brings the number of a harm, or nought. A frail version suffers from what is above nought;
what is below is a broken feed, from which every version suffers.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from serinus import clock

AMOUNT, BURDEN = "amount", "burden"
ERRORS, LATENCY, ANSWERS = 1, 2, 3
SLOW_SECONDS = 0.008


class Frail(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Class 1 for what is positive, unless it suffers.

    Args:
        robust: whether it suffers from a broken feed alone.
    """

    def __init__(self, robust: bool = True) -> None:  # noqa: FBT001, FBT002
        self.robust = robust
        self.classes_ = np.array([0, 1])

    def fit(self, _rows: pd.DataFrame, _classes: NDArray[np.int64]) -> Frail:
        """There is nothing to learn."""
        return self

    def predict_proba(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Shape (n, 2).

        Raises:
            ValueError: a row brings errors along.
        """
        burden = rows[BURDEN].to_numpy(float)
        suffered = np.where(burden < 0, -burden, 0.0 if self.robust else burden)
        if (suffered == ERRORS).any():
            raise ValueError("too much to bear")
        if (suffered == LATENCY).any():
            clock.sleep(SLOW_SECONDS)
        positive = (rows[AMOUNT].to_numpy(float) > 0) != (suffered == ANSWERS)
        return np.column_stack([1.0 - positive, positive])

    def predict(self, rows: pd.DataFrame) -> NDArray[np.int64]:
        """Shape (n,)."""
        return (self.predict_proba(rows)[:, 1] > 0.5).astype(np.int64)
