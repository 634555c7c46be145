"""A fitted model as a folder that a gateway can serve: the MLflow model and ``serinus.json``."""

from __future__ import annotations

import importlib
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import mlflow
import mlflow.sklearn
import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from msgspec import UNSET

from serinus import wire
from serinus.registry import ranges, tracking

Task = Literal["classification", "regression"]
InputType = Literal["double", "long", "boolean", "string"]

_REQUIREMENTS = ("scikit-learn", "numpy", "pandas", "cloudpickle")
_EXTRA_REQUIREMENTS = {"xgboost": ("xgboost-cpu", "xgboost")}


class Predictor(Protocol):
    """What every fitted model here can do."""

    def predict(self, rows: pd.DataFrame, /) -> Any:
        """A class or a number for each row."""


@dataclass(frozen=True)
class Logged:
    """Where a model was put.

    Args:
        uri: absolute folder, or s3 address, with ``MLmodel`` and ``serinus.json`` in it.
        source: what MLflow's registry points to.
        run_id: the run that it was logged to.
    """

    uri: str
    source: str
    run_id: str


def inputs_of(rows: pd.DataFrame, before: wire.Manifest | None = None) -> tuple[wire.Field, ...]:
    """The inputs that ``rows`` show: types, whether a value may be missing, what would be unusual.

    Every number is a ``double``: JSON does not tell 3 from 3.0, and a column of whole numbers
    today may hold 3.5 or nothing tomorrow. An input that the earlier version (``before``) did
    not require stays so, or each complete data set would break its callers.
    """
    lenient = {field.name for field in before.inputs if not field.required} if before else set()
    return tuple(_input(rows[name], lenient=str(name) in lenient) for name in rows.columns)


def _input(column: pd.Series[Any], *, lenient: bool) -> wire.Field:
    kind = _input_type(column)
    low, high = ranges.far(column) if kind == "double" else (UNSET, UNSET)
    return wire.Field(
        name=str(column.name),
        type=kind,
        required=not column.isna().any() and not lenient,
        low=low,
        high=high,
        known=ranges.known(column) if kind == "string" else UNSET,
    )


def example_of(rows: pd.DataFrame) -> dict[str, wire.Cell]:
    """The first row without a missing value (or the first at all) as the cells of a request."""
    complete = rows.dropna()
    row = (complete if len(complete) else rows).iloc[0]
    return {str(name): _cell(row[name]) for name in rows.columns}


def rows_of(frame: pd.DataFrame, manifest: wire.Manifest) -> list[tuple[wire.Cell, ...]]:
    """Rows as requests would carry them: the manifest's inputs, a column that is absent missing."""
    columns = [
        [_cell(value) for value in frame[field.name].tolist()]
        if field.name in frame.columns
        else [None] * len(frame)
        for field in manifest.inputs
    ]
    return list(zip(*columns, strict=True))


def classes_of(fitted: object) -> tuple[str | int | bool, ...]:
    """The classes that a fitted classifier knows, as plain values; empty if it tells none."""
    known = getattr(fitted, "classes_", None)
    return () if known is None else tuple(np.asarray(known).tolist())


def signature_of(manifest: wire.Manifest) -> ModelSignature:
    """MLflow's signature with the same inputs, and the type of the answer."""
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec(DataType[field.type], field.name, required=field.required)
        for field in manifest.inputs
    ]
    answer = DataType.double
    if manifest.task == "classification" and manifest.classes:
        kinds: Mapping[type, DataType] = {
            bool: DataType.boolean,
            int: DataType.long,
            float: DataType.double,
        }
        answer = kinds.get(type(manifest.classes[0]), DataType.string)
    return ModelSignature(Schema(inputs), Schema([ColSpec(answer, manifest.target)]))


def log(
    fitted: Predictor, manifest: wire.Manifest, *, run_id: str, uri: str, artifacts: Path
) -> Logged:
    """Log a fitted model with signature, example and manifest to an MLflow run.

    Args:
        fitted: anything picklable with ``predict(rows)``.
        manifest: becomes ``serinus.json`` beside ``MLmodel``.
        run_id: the run.
        uri: MLflow's tracking address.
        artifacts: where artifacts go that only a tracking server could hand out.
    """
    store = tracking.client(uri)
    with warnings.catch_warnings(), mlflow.start_run(run_id=run_id):
        # MLflow compares an index with a range, which pandas will read differently one day.
        warnings.filterwarnings("ignore", "Operation with range", DeprecationWarning)
        info = mlflow.sklearn.log_model(
            fitted,
            name="model",
            signature=signature_of(manifest),
            input_example=_frame(manifest),
            pip_requirements=requirements(fitted),
            serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE,
        )
    with tempfile.TemporaryDirectory() as folder:
        path = write_manifest(Path(folder), manifest)
        store.log_model_artifact(info.model_id, str(path))
    return Logged(tracking.folder(info.artifact_path, artifacts), info.model_uri, run_id)


def save(fitted: Predictor, manifest: wire.Manifest, folder: Path) -> None:
    """The same as a folder of its own, which no run of MLflow knows."""
    tracking.quiet()
    mlflow.sklearn.save_model(
        fitted,
        str(folder),
        signature=signature_of(manifest),
        pip_requirements=requirements(fitted),
        serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE,
    )
    write_manifest(folder, manifest)


def write_manifest(folder: Path, manifest: wire.Manifest) -> Path:
    """Put ``serinus.json`` into a folder."""
    path = folder / wire.MANIFEST_FILE
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    return path


def load(model_uri: str) -> Any:
    """The fitted estimator of a logged model, else MLflow's general wrapper of it."""
    flavors = mlflow.models.get_model_info(model_uri).flavors
    for name in ("sklearn", "xgboost", "lightgbm"):
        if name in flavors:
            return importlib.import_module(f"mlflow.{name}").load_model(model_uri)
    return mlflow.pyfunc.load_model(model_uri)


def scores(fitted: Any, rows: pd.DataFrame, classes: Sequence[Any]) -> npt.NDArray[np.float64]:
    """The probability of each of ``classes`` (columns, in that order) for each row.

    A classifier that gives no probabilities gets 1 for the class it chose.
    """
    if hasattr(fitted, "predict_proba"):
        known = list(classes_of(fitted))
        given = np.asarray(fitted.predict_proba(rows), dtype=float)
        out = np.zeros((len(rows), len(classes)))
        for column, label in enumerate(classes):
            if label in known:
                out[:, column] = given[:, known.index(label)]
        return out
    chosen = np.asarray(fitted.predict(rows)).tolist()
    return np.array([[float(answer == label) for label in classes] for answer in chosen])


def requirements(fitted: object) -> list[str]:
    """The packages, pinned, that a process needs to load the model."""
    names = list(_REQUIREMENTS)
    described = repr(fitted)
    for module, packages in _EXTRA_REQUIREMENTS.items():
        if module in described.lower() or "XGB" in described:
            names += packages
    return [f"{name}=={_version(name)}" for name in names if _version(name)]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _input_type(series: pd.Series[Any]) -> InputType:
    if pd.api.types.is_bool_dtype(series.dtype):
        return "boolean"
    if pd.api.types.is_numeric_dtype(series.dtype):
        return "double"
    # Booleans with gaps: MLflow has no optional boolean column, numbers may have gaps.
    return "double" if pd.api.types.infer_dtype(series.dropna()) == "boolean" else "string"


def _cell(value: Any) -> wire.Cell:
    if pd.isna(value):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return cast("wire.Cell", value)


def _frame(manifest: wire.Manifest) -> pd.DataFrame | None:
    if not manifest.example:
        return None
    kinds = {"double": "float64", "long": "int64", "boolean": "bool", "string": "object"}
    frame = pd.DataFrame([manifest.example], columns=[field.name for field in manifest.inputs])
    whole = {
        field.name: kinds[field.type]
        for field in manifest.inputs
        if manifest.example.get(field.name) is not None or field.type == "double"
    }
    return frame.astype(whole)
