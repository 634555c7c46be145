"""Model versions whose answers tell who gave them: the same slope, each with its own level."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from serinus import wire

MODEL = "levels"
MIXED = "mixed"
NAMES = ("a", "b", "c", "d")
# Together less than one: no finite input makes an infinite answer.
WEIGHTS = (0.25, 0.125, -0.25, 0.125)
LEVEL = 1_000.0
_EXAMPLE = (0.5, -1.0, 2.0, 0.0)


def save(home: Path, number: int) -> wire.Target:
    """Save version number ``number`` under ``home``."""
    rows = np.random.default_rng(number).normal(size=(50, len(NAMES)))
    answers = [expected(number, tuple(row)) for row in rows.tolist()]
    fitted = LinearRegression().fit(pd.DataFrame(rows, columns=list(NAMES)), answers)
    inputs = tuple(wire.Field(name, "double", required=True) for name in NAMES)
    example: dict[str, wire.Cell] = dict(zip(NAMES, _EXAMPLE, strict=True))
    manifest = wire.Manifest(MODEL, "regression", inputs, "level", example=example)
    return _save(home, fitted, manifest, f"1.{number}.0")


def save_mixed(home: Path) -> wire.Target:
    """Save a version with an input of each type, two of which may be missing."""
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "number": rng.normal(size=200),
            "count": rng.integers(0, 9, 200).astype(float),
            "flag": rng.integers(0, 2, 200).astype(float),
            "town": rng.choice(["Ulm", "Bern", "Graz"], 200),
        }
    )
    told = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["town"]),
        (SimpleImputer(), ["number", "count", "flag"]),
    )
    fitted = make_pipeline(told, LinearRegression()).fit(
        rows, 0.25 * rows["number"] + 0.25 * rows["count"]
    )
    inputs = (
        wire.Field("number", "double", required=True),
        wire.Field("count", "long"),
        wire.Field("flag", "boolean"),
        wire.Field("town", "string", required=True),
    )
    example: dict[str, wire.Cell] = {"number": 0.5, "count": 3, "flag": True, "town": "Ulm"}
    return _save(home, fitted, wire.Manifest(MIXED, "regression", inputs, "sum", example=example))


def _save(home: Path, fitted: Any, manifest: wire.Manifest, version: str = "1.0.0") -> wire.Target:
    folder = home / f"{manifest.model}-{version}"
    with warnings.catch_warnings():
        # MLflow warns of its own type hints as it is imported.
        warnings.simplefilter("ignore")
        import mlflow.sklearn  # noqa: PLC0415

        mlflow.sklearn.save_model(
            fitted,
            str(folder),
            serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
            skops_trusted_types=["numpy.dtype"],
            pip_requirements=["scikit-learn"],
        )
    (folder / wire.MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
    return wire.Target(version, str(folder))


def number_of(version: str) -> int:
    """The number of a version by its name."""
    return int(version.split(".")[1])


def expected(number: int, row: tuple[float, ...]) -> float:
    """What version number ``number`` answers."""
    terms = (weight * value for weight, value in zip(WEIGHTS, row, strict=True))
    return LEVEL * number + sum(terms)
