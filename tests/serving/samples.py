"""Real MLflow model folders for the gateway's tests, and a model that does as its rows say."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from serinus import wire

INPUTS = (
    wire.Field("age", "double", required=True),
    wire.Field("mood", "double"),
    wire.Field("home town", "string"),
)
EXAMPLE: dict[str, wire.Cell] = {"age": 40.0, "mood": 0.0, "home town": "Ulm"}
CLASSES = ("no", "yes")


def obedient(*, answer: str = "", always_raises: bool = False, seconds: float = 0.0) -> Any:
    """A classifier of INPUTS: ``yes`` from 50 years on, unless ``mood`` demands a failure.

    A mood of 1 raises, 2 answers NaN, 3 sleeps for ten seconds. With ``answer`` it always says
    that. Made inside a function, so that it is pickled with its code and any process can load it.
    """

    class Obedient(ClassifierMixin, BaseEstimator):
        classes_ = np.array(CLASSES)

        def predict_proba(self, rows: pd.DataFrame) -> Any:
            mood = rows["mood"].to_numpy()
            if always_raises and (rows["age"] != 40.0).any():
                raise RuntimeError("I always raise")
            if (mood == 1).any():
                raise ValueError("a mood of 1")
            time.sleep(10.0 if (mood == 3).any() else seconds)
            yes = (rows["age"].to_numpy() >= 50).astype(float) * 0.8 + 0.1
            if answer:
                yes = np.full(len(rows), 0.9 if answer == "yes" else 0.1)
            yes = np.where(mood == 2, np.nan, yes)
            return np.column_stack([1.0 - yes, yes])

        def predict(self, rows: pd.DataFrame) -> Any:
            return self.classes_[self.predict_proba(rows).argmax(axis=1)]

    return Obedient()


def deadly() -> Any:
    """A classifier of INPUTS that ends its process, unless it is asked its own example."""

    class Deadly(ClassifierMixin, BaseEstimator):
        classes_ = np.array(CLASSES)

        def predict_proba(self, rows: pd.DataFrame) -> Any:
            if (rows["age"] == 61.0).any():
                os._exit(3)
            return np.full((len(rows), 2), 0.5)

        def predict(self, rows: pd.DataFrame) -> Any:
            return self.classes_[self.predict_proba(rows).argmax(axis=1)]

    return Deadly()


def sleepy(seconds: float) -> Any:
    """A fitted classifier over NUMBERS that takes so long to load."""

    class Sleepy(LogisticRegression):
        def __setstate__(self, state: dict[str, Any]) -> None:
            time.sleep(seconds)
            super().__setstate__(state)

    rows = number_rows(50, 0)
    return Sleepy().fit(
        pd.DataFrame(rows, columns=[field.name for field in NUMBERS]), (rows[:, 0] > 0).astype(int)
    )


def manifest(model: str = "mood", **changes: Any) -> wire.Manifest:
    plain = wire.Manifest(model, "classification", INPUTS, "outcome", CLASSES, EXAMPLE)
    return msgspec.structs.replace(plain, **changes)


def save(folder: Path, fitted: Any, about: wire.Manifest, *, form: str = "cloudpickle") -> str:
    """A model folder as registration makes it; its address."""
    with warnings.catch_warnings():
        # MLflow warns of its own type hints when it is imported, and of cloudpickle when it saves.
        warnings.simplefilter("ignore")
        import mlflow.sklearn

        mlflow.sklearn.save_model(
            fitted, str(folder), serialization_format=form, pip_requirements=["scikit-learn"]
        )
    (folder / wire.MANIFEST_FILE).write_bytes(msgspec.json.encode(about))
    return str(folder)


NUMBERS = tuple(wire.Field(f"x{index}", "double", required=True) for index in range(4))


def logistic(seed: int = 0) -> Any:
    """A fitted pipeline over NUMBERS with the classes 0 and 1."""
    rows = number_rows(200, seed)
    frame = pd.DataFrame(rows, columns=[field.name for field in NUMBERS])
    target = (frame["x0"] + (seed + 1) * frame["x1"] > 0).astype(int)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, target)


def linear() -> Any:
    """A fitted regression over NUMBERS."""
    frame = pd.DataFrame(number_rows(100, 3), columns=[field.name for field in NUMBERS])
    return LinearRegression().fit(frame, frame["x0"] * 2 + 1)


def number_rows(count: int, seed: int) -> Any:
    return np.random.default_rng(seed).normal(size=(count, len(NUMBERS)))


def number_manifest(model: str = "numbers", **changes: Any) -> wire.Manifest:
    example: dict[str, wire.Cell] = {field.name: 0.5 for field in NUMBERS}
    plain = wire.Manifest(model, "classification", NUMBERS, "target", (0, 1), example)
    return msgspec.structs.replace(plain, **changes)
