"""A model that answers until it is asked something extreme; gateways import this module."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

FEATURE = "amount"
EXTREME = 1e6
"""What is larger makes it fail."""


class Fragile(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Class 1 for what is positive; fails at what is extreme.

    Args:
        robust: whether it does not fail after all.
    """

    def __init__(self, robust: bool = True) -> None:  # noqa: FBT001, FBT002
        self.robust = robust
        self.classes_ = np.array([0, 1])

    def fit(self, _rows: pd.DataFrame, _classes: NDArray[np.int64]) -> Fragile:
        """There is nothing to learn."""
        return self

    def predict_proba(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Shape (n, 2).

        Raises:
            ValueError: a row is extreme.
        """
        amount = rows[FEATURE].to_numpy(float)
        if not self.robust and (amount > EXTREME).any():
            raise ValueError("too much")
        positive = (amount > 0).astype(float)
        return np.column_stack([1.0 - positive, positive])

    def predict(self, rows: pd.DataFrame) -> NDArray[np.int64]:
        """Shape (n,)."""
        return (self.predict_proba(rows)[:, 1] > 0.5).astype(np.int64)
