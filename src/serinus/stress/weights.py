"""Models of several weights, each saved twice: a version and its twin, which differ in nothing."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler

from serinus import wire
from serinus.registry import folders
from serinus.registry.packaging import packager
from serinus.registry.packaging.types import Limits

Weight: TypeAlias = Literal["logistic", "forest", "steps", "python", "process"]

WEIGHTS: tuple[Weight, ...] = ("logistic", "forest", "steps", "python", "process")
FEATURES = 12
NAMES = tuple(f"feature {index:02d}" for index in range(FEATURES))
FIRST, TWIN = "1.0.0", "1.1.0"
_ROWS = 600
_TREES = 300
_PASSES = 60


def save(home: Path, weight: Weight) -> tuple[wire.Target, wire.Target]:
    """Save a model of a weight under ``home``, as registration leaves it, and its twin.

    ``logistic`` and ``forest`` (of 300 trees) are converted to graphs, ``steps`` is a pipeline of
    scikit-learn's own steps as it was registered, ``python`` one with a step of somebody's own
    code, and ``process`` the same in a process of its own.
    """
    rows, classes = training()
    fitted = _unfitted(weight).fit(rows, classes)
    manifest = wire.Manifest(
        model=weight,
        task="classification",
        inputs=folders.inputs_of(rows),
        target="target",
        classes=folders.classes_of(fitted),
        example=folders.example_of(rows),
    )
    folder = home / f"{weight}-{FIRST}"
    folders.save(fitted, manifest, folder)
    if weight in ("logistic", "forest"):
        proven_on = folders.rows_of(rows, manifest)
        packager.package(str(folder), manifest, proven_on, limits=Limits(), version=FIRST)
    elif weight == "process":
        package = msgspec.json.encode(wire.Package("process"))
        (folder / wire.PACKAGE_FILE).write_bytes(package)
    twin = home / f"{weight}-{TWIN}"
    shutil.copytree(folder, twin)
    return wire.Target(FIRST, str(folder)), wire.Target(TWIN, str(twin))


def training() -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """Rows and their classes, 0 or 1: the same ones for each weight."""
    rng = np.random.default_rng(0)
    rows = rng.normal(10, 3, (_ROWS, FEATURES))
    score = (rows - 10) @ rng.normal(size=FEATURES) + rng.normal(0, 3, _ROWS)
    return pd.DataFrame(rows, columns=list(NAMES)), (score > 0).astype(np.int64)


def asked(count: int) -> list[dict[str, float]]:
    """So many rows to ask for."""
    rows = np.random.default_rng(7).normal(10, 3, (count, FEATURES)).round(4)
    return [dict(zip(NAMES, row, strict=True)) for row in rows.tolist()]


def by_hand(rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Rows with a column more, made slowly and in plain Python, as somebody's own code is."""
    made = [_walk(values) for values in np.asarray(rows, np.float64).tolist()]
    return np.column_stack([np.asarray(rows, np.float64), made])


def _walk(values: Sequence[float]) -> float:
    found = 0.0
    for turn in range(_PASSES):
        for place, value in enumerate(values):
            found = 0.5 * found + value * ((turn + place) % 3 - 1)
    return found


def _unfitted(weight: Weight) -> Any:
    match weight:
        case "logistic":
            return make_pipeline(StandardScaler(), LogisticRegression())
        case "forest":
            return RandomForestClassifier(_TREES, random_state=0, n_jobs=1)
        case "steps":
            return make_pipeline(
                StandardScaler(),
                PolynomialFeatures(2, include_bias=False),
                SelectKBest(f_classif, k=30),
                GradientBoostingClassifier(n_estimators=60, random_state=0),
            )
        case _:
            return make_pipeline(
                FunctionTransformer(by_hand), StandardScaler(), LogisticRegression()
            )
