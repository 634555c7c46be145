"""Fitted objects out of an MLflow folder without MLflow: its loaders cost seconds and memory."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def load(folder: Path, flavors: Mapping[str, Any]) -> Any:
    """The fitted estimator, None if it takes MLflow to load the model.

    Args:
        folder: with ``MLmodel`` in it.
        flavors: as that file lists them.
    """
    if flavors.get("python_function", {}).get("code"):
        return None
    for name, read in (("sklearn", _sklearn), ("xgboost", _xgboost), ("lightgbm", _lightgbm)):
        if name in flavors:
            model = read(folder, flavors[name])
            return model if hasattr(model, "predict") else None
    return None


def _sklearn(folder: Path, flavor: Mapping[str, Any]) -> Any:
    return _unpickle(folder / flavor["pickled_model"], flavor)


def _xgboost(folder: Path, flavor: Mapping[str, Any]) -> Any:
    library, _, name = str(flavor.get("model_class", "")).rpartition(".")
    if not library.startswith("xgboost") or name == "Booster":
        return None
    model = getattr(importlib.import_module("xgboost"), name)()
    model.load_model(folder / flavor["data"])
    return model


def _lightgbm(folder: Path, flavor: Mapping[str, Any]) -> Any:
    if str(flavor.get("model_class", "")).endswith("Booster"):
        return None
    return _unpickle(folder / flavor["data"], flavor)


def _unpickle(path: Path, flavor: Mapping[str, Any]) -> Any:
    if flavor.get("serialization_format") == "skops":
        skops = importlib.import_module("skops.io")
        return skops.load(path, trusted=flavor.get("skops_trusted_types"))
    # cloudpickle writes what pickle reads, given that cloudpickle is there to be imported.
    with path.open("rb") as file:
        return pickle.load(file)
