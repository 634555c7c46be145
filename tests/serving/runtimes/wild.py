"""Models that do to their process what a row demands, as folders that a version has."""

from __future__ import annotations

import ctypes
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import cloudpickle
import msgspec
import numpy as np
import yaml

from serinus import wire

INPUTS = (
    wire.Field("deed", "string"),
    wire.Field("x", "double"),
    wire.Field("n", "long"),
    wire.Field("good", "boolean"),
)
EXAMPLE: dict[str, wire.Cell] = {"deed": "", "x": 0.5, "n": 1, "good": True}
REGRESSION = wire.Manifest("wild", "regression", INPUTS, "y", (), EXAMPLE)
CLASSES = wire.Manifest("wild", "classification", INPUTS, "y", ("no", "yes"), EXAMPLE)


def row(deed: str | None = "", x: float | None = 1.0) -> tuple[wire.Cell, ...]:
    return (deed, x, 2, True)


def act(deed: str) -> None:
    """Do what a row demands."""
    name, _, argument = deed.rpartition(" ") if " " in deed else (deed, "", "")
    match name:
        case "raise":
            raise ValueError(argument or "so demanded")
        case "sleep":
            time.sleep(float(argument))
        case "spin":
            ctypes.PyDLL(None).sleep(int(argument))  # With the interpreter held.
        case "exit":
            sys.exit(int(argument))
        case "end":
            os._exit(int(argument))
        case "crash":
            ctypes.string_at(0)
        case "print":
            print("x" * int(argument))
            os.write(1, b"\x00\x00\x00\x05\x00\x00\x00\x00true!\n")
        case "take" | "take and keep":
            HOARD.append(np.ones(int(argument) * 125_000))
            time.sleep(30 if name.endswith("keep") else 0)
        case "fork" if os.fork() == 0:
            time.sleep(60)


HOARD: list[Any] = []


def wild(*, answer: str = "x", tame: bool = False) -> Any:
    """A model that answers its row's ``x``; or says ``yes`` from 1 on, or how sure it is of it."""

    class Wild:
        def predict(self, rows: Any) -> Any:
            for deed in () if tame else rows["deed"].dropna():
                act(deed)
            x = rows["x"].to_numpy()
            if answer == "x":
                return x
            if answer == "scores":
                return np.column_stack([1 - x / 4, x / 4])
            return np.where(x >= 1, "yes", "no").astype(object)

    return Wild()


def save(folder: Path, model: Any, manifest: wire.Manifest) -> Path:
    """A folder of an estimator: loaded within half a second, because it needs no MLflow."""
    folder.mkdir(parents=True)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    (folder / "model.pkl").write_bytes(cloudpickle.dumps(model))
    flavors = {"sklearn": {"pickled_model": "model.pkl", "serialization_format": "cloudpickle"}}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": flavors}))
    (folder / wire.MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
    return folder


def save_pyfunc(folder: Path, model: Any, manifest: wire.Manifest, *needs: str) -> Path:
    """A folder that MLflow itself wrote, of a model that only MLflow can load."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.pyfunc

        class Wrapped(mlflow.pyfunc.PythonModel):
            def predict(self, context, model_input, params=None):
                return model.predict(model_input)

        cloudpickle.register_pickle_by_value(sys.modules[__name__])
        mlflow.pyfunc.save_model(
            str(folder), python_model=Wrapped(), pip_requirements=list(needs) or ["pandas"]
        )
    (folder / wire.MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
    return folder
