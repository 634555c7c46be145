"""The models that are served while measuring, made from a seed: the same wherever they are made.

Every server is measured with a model of its own packages' making, because a file that one
version of scikit-learn wrote need not mean the same to another. So this module imports nothing of
Serinus: the environment of each peer runs it as a program (``recipes.py KIND FOLDER``), and its
``model.joblib`` answers the rows as ours does, which is checked before anything is measured.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FEATURES = 30
ROWS = 256
TRAINED_ON = 2_000
KINDS = ("logistic", "forest", "boosted")
NAMES = tuple(f"feature {index:02d}" for index in range(FEATURES))


def training(seed: int = 0) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Rows and their classes, 0 or 1: a plane through a cloud, and some noise."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(10, 3, (TRAINED_ON, FEATURES))
    score = (rows - 10) @ rng.normal(size=FEATURES) + rng.normal(0, 3, TRAINED_ON)
    return rows, (score > 0).astype(np.int64)


def asked() -> npt.NDArray[np.float64]:
    """The rows that servers are asked for, none twice: four decimals, as a client would send."""
    return np.random.default_rng(7).normal(10, 3, (ROWS, FEATURES)).round(4)


def fit(kind: str, *, seed: int = 0, named: bool = False) -> Any:
    """A fitted classifier of a kind.

    Args:
        kind: ``logistic`` (regression, with scaling), ``forest`` (100 random trees) or
            ``boosted`` (200 trees of XGBoost).
        seed: of the training rows and of the fitting.
        named: fit on a data frame, so that the model knows the names of its inputs.
    """
    rows, classes = training(seed)
    return _unfitted(kind, seed).fit(pd.DataFrame(rows, columns=NAMES) if named else rows, classes)


def _unfitted(kind: str, seed: int) -> Any:
    if kind == "logistic":
        return make_pipeline(StandardScaler(), LogisticRegression())
    if kind == "forest":
        return RandomForestClassifier(100, random_state=seed, n_jobs=1)
    import xgboost  # noqa: PLC0415 (slow to import, and one kind of three needs it)

    return xgboost.XGBClassifier(n_estimators=200, random_state=seed, n_jobs=1)


def main(kind: str, folder: str, *options: str) -> None:
    """Fit a kind and save it as ``model.joblib`` in a folder; ``--named`` fits on a frame."""
    joblib.dump(fit(kind, named="--named" in options), Path(folder) / "model.joblib")


if __name__ == "__main__":
    main(*sys.argv[1:])
