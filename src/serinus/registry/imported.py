"""Models that others logged to MLflow: what their signatures tell, and a copy of our own."""

from __future__ import annotations

import math
import shutil
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from msgspec.structs import replace

from serinus import wire
from serinus.errors import InvalidInput, NotFound
from serinus.registry import folders
from serinus.registry.folders import InputType

_PLAIN: Mapping[InputType, type] = {"double": float, "long": int, "boolean": bool, "string": str}
_KINDS: Mapping[DataType, InputType] = {
    DataType.double: "double",
    DataType.float: "double",
    DataType.long: "long",
    DataType.integer: "long",
    DataType.boolean: "boolean",
    DataType.string: "string",
}


def bring_in(model_uri: str, manifest: wire.Manifest, *, artifacts: Path) -> str:
    """Copy an MLflow model that exists elsewhere, with the manifest added; its new folder.

    The original stays as it is: other things may point to it.
    """
    target = artifacts.absolute() / "imported" / uuid.uuid4().hex
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as part:
        found = mlflow.artifacts.download_artifacts(artifact_uri=model_uri, dst_path=part)
        # Somebody else's file may be read-only or a link into their store; ours is a copy.
        shutil.copytree(found, f"{part}/copy")
        (Path(part) / "copy" / wire.PACKAGE_FILE).unlink(missing_ok=True)
        folders.write_manifest(Path(part) / "copy", manifest)
        (Path(part) / "copy").rename(target)
    return str(target)


def manifest_from(model_uri: str, name: str, target: str) -> tuple[wire.Manifest, str]:
    """The manifest that an MLflow model's own signature tells, and the run that made it.

    Its example is a row of the model's input example, the first that a request could carry.

    The classes are those that the fitted model knows; else those that its metadata lists under
    ``classes``; else 0, 1, … where its signature promises several numbers for each row. A model
    that takes other packages than there are here need not be loaded if it tells what it answers.

    Raises:
        NotFound: there is no such model.
        InvalidInput: it has no signature of named columns, nor of one table of numbers; or it can
            neither be loaded nor tells what it answers.
    """
    try:
        info = mlflow.models.get_model_info(model_uri)
    except (MlflowException, OSError) as error:
        raise NotFound(
            f"there is no MLflow model ({str(error).splitlines()[0]})",
            where=model_uri,
            remedy="Give runs:/RUN/PATH, models:/NAME/VERSION, models:/m-ID or a folder.",
        ) from error
    schema = info.signature.inputs if info.signature else None
    inputs = _inputs(schema, model_uri)
    answers = info.signature.outputs if info.signature else None
    told = _told_classes(info.metadata or {}, answers)
    try:
        classes = folders.classes_of(folders.load(model_uri)) or told
    except Exception as error:  # whatever a model's packages or its own code raise
        if not told and not _are_numbers(answers):
            raise InvalidInput(
                f"the model cannot be loaded here ({type(error).__name__}: {error})",
                where=model_uri,
                remedy="Install what it needs; or log it with metadata={'classes': [...]} and "
                "then serve it by: serinus models package NAME VERSION --environment.",
            ) from error
        classes = told
    manifest = wire.Manifest(
        model=name,
        task="classification" if classes else "regression",
        inputs=inputs,
        target=target,
        classes=classes,
    )
    return replace(manifest, example=_example(model_uri, manifest)), str(info.run_id or "")


def _example(model_uri: str, manifest: wire.Manifest) -> dict[str, wire.Cell]:
    """The first row of the input example that a request could carry, best without a gap."""
    fields = manifest.inputs
    found = [
        {field.name: value for field, value in zip(fields, row, strict=True)}
        for given in example_rows(model_uri, manifest)
        if (row := _typed(given, fields)) is not None
    ]
    return min(found, key=lambda row: None in row.values(), default={})


def _typed(row: Sequence[wire.Cell], fields: Sequence[wire.Field]) -> list[wire.Cell] | None:
    """The row with its cells as the manifest types them; None if no request could carry it."""
    cells = [
        _whole(value) if field.type == "long" else value
        for field, value in zip(fields, row, strict=True)
    ]
    fit = all(_fits(value, field) for field, value in zip(fields, cells, strict=True))
    return cells if fit else None


def _whole(value: wire.Cell) -> wire.Cell:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _fits(value: wire.Cell, field: wire.Field) -> bool:
    if value is None:
        return not field.required
    finite = not isinstance(value, float) or math.isfinite(value)
    return finite and isinstance(value, _PLAIN[field.type])


def example_rows(folder: str, manifest: wire.Manifest) -> list[tuple[wire.Cell, ...]]:
    """The rows of the input example that a model was logged with; none if it has none."""
    try:
        given: Any = Model.load(folder).load_input_example(folder)
        frame = given if isinstance(given, pd.DataFrame) else _framed(given, manifest)
        return folders.rows_of(frame, manifest)
    except (MlflowException, OSError, ValueError, TypeError):
        # An example may be anything that the model's own code understands.
        return []


def _framed(given: Any, manifest: wire.Manifest) -> pd.DataFrame:
    names = [field.name for field in manifest.inputs]
    return pd.DataFrame(np.asarray(given).reshape(-1, len(names)), columns=names)


def _inputs(schema: Schema | None, place: str) -> tuple[wire.Field, ...]:
    specs = schema.inputs if schema is not None else []
    if len(specs) == 1 and isinstance(specs[0], TensorSpec):
        return _of_tensor(specs[0], place)
    columns = [spec for spec in specs if isinstance(spec, ColSpec) and spec.name]
    if not columns or len(columns) < len(specs):
        raise InvalidInput(
            "the model has no signature of named columns",
            where=place,
            remedy="Log it again with signature=mlflow.models.infer_signature(DataFrame, answers).",
        )
    return tuple(
        wire.Field(str(spec.name), _kind(spec, place), required=bool(spec.required))
        for spec in columns
    )


def _of_tensor(spec: TensorSpec, place: str) -> tuple[wire.Field, ...]:
    if len(spec.shape) != 2 or spec.shape[1] < 1 or spec.type.kind not in "fiu":
        raise InvalidInput(
            f"the model takes a tensor of shape {list(spec.shape)} and type {spec.type}, "
            "which no row of named values is",
            where=place,
            remedy="Log it again with a table of numbers, shape (-1, columns), as its signature.",
        )
    stem = f"{spec.name}_" if spec.name else "f"
    return tuple(
        wire.Field(f"{stem}{place}", "double", required=True) for place in range(spec.shape[1])
    )


def _told_classes(
    metadata: Mapping[str, Any], answers: Schema | None
) -> tuple[str | int | bool, ...]:
    told = metadata.get("classes")
    if isinstance(told, Sequence) and not isinstance(told, str) and len(told) > 1:
        return tuple(told)
    specs = answers.inputs if answers is not None else []
    if len(specs) == 1 and isinstance(specs[0], TensorSpec) and len(specs[0].shape) == 2:
        return tuple(range(specs[0].shape[1])) if specs[0].shape[1] > 1 else ()
    return ()


def _are_numbers(answers: Schema | None) -> bool:
    """Whether a signature promises one number for each row, so that there are no classes."""
    kinds = {spec.type for spec in answers.inputs} if answers is not None else set()
    return bool(kinds) and kinds <= {DataType.double, DataType.float}


def _kind(spec: ColSpec, place: str) -> InputType:
    if not isinstance(spec.type, DataType) or spec.type not in _KINDS:
        raise InvalidInput(
            f"input {spec.name!r} is of type {spec.type}, which no request can carry",
            where=place,
            remedy="Use columns of numbers, booleans and text.",
        )
    return _KINDS[spec.type]
