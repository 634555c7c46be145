"""Fitted models of every library, and graphs of them in the gateway's own runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from serinus import wire
from serinus.registry import folders
from serinus.registry.packaging.conversion import registered
from serinus.registry.packaging.conversion import sklearn as conversion
from serinus.registry.packaging.types import Row
from serinus.serving.runtimes.estimator import SklearnRuntime
from serinus.serving.runtimes.onnx import OnnxRuntime

WIDTH = 4
NAMES = [f"x{place}" for place in range(WIDTH)]


def numbers(count: int = 300, seed: int = 0, *, gaps: bool = False) -> pd.DataFrame:
    """Random numbers, some missing if asked for."""
    chance = np.random.default_rng(seed)
    rows = chance.normal(size=(count, WIDTH)) * [1.0, 10.0, 0.01, 1e4]
    if gaps:
        rows[chance.random(rows.shape) < 0.1] = np.nan
    return pd.DataFrame(rows, columns=NAMES)


def truth(rows: pd.DataFrame, classes: tuple[Any, ...]) -> npt.NDArray[Any]:
    """What is true of the rows: one of the classes, or a number if there are none."""
    score = rows["x0"].fillna(0) + rows["x1"].fillna(0).abs() / 10 + rows["x3"].fillna(0) / 1e4
    if not classes:
        return np.asarray(score * 3 + 100)
    edges = np.quantile(score, np.linspace(0, 1, len(classes) + 1)[1:-1])
    return np.array(classes, dtype=object if isinstance(classes[0], str) else None)[
        np.digitize(score, edges)
    ]


def manifest(classes: tuple[Any, ...] = (), *, required: bool = True) -> wire.Manifest:
    """Of a model over ``numbers``."""
    return wire.Manifest(
        "m",
        "classification" if classes else "regression",
        tuple(wire.Field(name, "double", required=required) for name in NAMES),
        "y",
        classes,
        dict.fromkeys(NAMES, 0.5),
    )


def graph(model: Any, about: wire.Manifest, folder: Path) -> OnnxRuntime:
    """The graph of a fitted estimator, in the runtime that serves it."""
    made = registered.of_estimator(model, conversion.convert(model, about), about)
    path = folder / "graph.onnx"
    path.write_bytes(made.SerializeToString())
    return OnnxRuntime(path, about)


def original(model: Any, about: wire.Manifest) -> SklearnRuntime:
    """The estimator in the runtime that serves it."""
    return SklearnRuntime(model, about)


def rows_of(frame: pd.DataFrame, about: wire.Manifest) -> list[Row]:
    """As requests would carry them."""
    return folders.rows_of(frame, about)


TOWNS = ("Ulm", "Bonn", "Jena", "Köln")


def mixed(count: int = 300, seed: int = 0) -> pd.DataFrame:
    """People: numbers and texts with gaps, a flag, and streets of which most are rare."""
    chance = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "town": chance.choice(TOWNS, count),
            "age": chance.normal(40, 10, count).round(1),
            "flag": chance.random(count) < 0.4,
            "street": chance.choice([f"street {number}" for number in range(90)], count),
        }
    )
    rows.loc[::7, "age"] = np.nan
    rows.loc[::5, "town"] = None
    return rows
