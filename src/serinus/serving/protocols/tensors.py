"""Tensors of the Open Inference Protocol <-> rows and answers, however they travelled. Pure.

A model takes one tensor per input, of shape [N] or [N, 1]; a model of numbers alone also takes a
single one of shape [N, inputs], in the order of its inputs. Both HTTP and gRPC carry tensors as
lists of values or as raw bytes: little-endian, row by row, text with its length in 4 bytes before.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from serinus.errors import InvalidInput, Unavailable
from serinus.serving.protocols import cells
from serinus.serving.protocols.answers import Predicted, class_names
from serinus.serving.protocols.decode import check_length
from serinus.serving.types import Features
from serinus.wire import Answer, Field, Manifest

MATRIX = "input"
"""What the one tensor of all inputs is called in metadata; any name but an input's will do."""

_LENGTH = struct.Struct("<I")
_RAW: Mapping[str, str] = {
    "BOOL": "?",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
DATATYPES = (*_RAW, "BYTES")
"""Those that can be read."""

_FLOATS = frozenset({"FP16", "FP32", "FP64"})
_WHOLE = frozenset({int})
_LISTED: Mapping[str, frozenset[type]] = {
    "BOOL": frozenset({bool}),
    "BYTES": frozenset({str}),
    **dict.fromkeys(_FLOATS, frozenset({int, float})),
}
"""What JSON has for a datatype; whole numbers for all others."""

_OF_FIELD = {"double": "FP64", "long": "INT64", "boolean": "BOOL", "string": "BYTES"}
_NUMBERS = frozenset(_RAW) - {"BOOL"}
_TAKEN: Mapping[str, frozenset[str]] = {
    "double": _NUMBERS,
    "long": _NUMBERS,
    "boolean": frozenset({"BOOL"}),
    "string": frozenset({"BYTES"}),
}


class Tensor(msgspec.Struct, frozen=True):
    """One tensor of a request: its values as a list, nested or not, or as raw bytes."""

    name: str
    datatype: str
    shape: Sequence[int]
    values: list[Any] | None = None
    raw: memoryview | None = None


class Answered(msgspec.Struct, frozen=True):
    """One tensor of an answer; ``values`` are flat, row by row."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Sequence[Answer]

    def raw(self) -> bytes:
        """The values as bytes."""
        if self.datatype != "BYTES":
            return np.array(self.values, dtype=_RAW[self.datatype]).tobytes()
        texts = [str(value).encode() for value in self.values]
        return b"".join(chain.from_iterable((_LENGTH.pack(len(text)), text) for text in texts))


class Described(msgspec.Struct, frozen=True):
    """A tensor as metadata tells of it; -1 stands for any number of rows."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: dict[str, str | bool] = {}


# ------------------------------------------------------------------ requests


def features(tensors: Sequence[Tensor], inputs: Sequence[Field], max_rows: int) -> list[Features]:
    """The rows that tensors hold.

    Raises:
        InvalidInput: naming the tensor, and the row, that the model cannot take.
    """
    if not tensors:
        raise InvalidInput("there is no tensor", where="inputs", remedy="Send at least one.")
    names = [field.name for field in inputs]
    first = tensors[0]
    if len(tensors) == 1 and first.name not in names and len(first.shape) == 2:
        return _matrix(first, inputs, max_rows)
    known = dict(zip(names, inputs, strict=True))
    columns: dict[str, Sequence[Any]] = {}
    count = _rows_of(first, max_rows)
    for tensor in tensors:
        field = known.get(tensor.name)
        if field is None:
            raise _unknown(tensor.name, inputs)
        if tensor.name in columns:
            raise InvalidInput("the tensor is there twice", where=tensor.name)
        if tuple(tensor.shape) not in ((count,), (count, 1)):
            raise InvalidInput(
                f"the shape is {list(tensor.shape)}, not [{count}] or [{count}, 1]",
                where=tensor.name,
                remedy="All tensors have one value for each row.",
            )
        _check_datatype(tensor, field)
        columns[tensor.name] = _values(tensor, count)
    return cells.rows(inputs, columns, count)


def is_numeric(inputs: Sequence[Field]) -> bool:
    """Whether one tensor of numbers can hold all inputs."""
    return all(field.type in ("double", "long") for field in inputs)


def _matrix(tensor: Tensor, inputs: Sequence[Field], max_rows: int) -> list[Features]:
    if not is_numeric(inputs):
        raise _unknown(tensor.name, inputs)
    width = len(inputs)
    count = _rows_of(tensor, max_rows)
    if tensor.shape[1] != width:
        raise InvalidInput(
            f"the shape is {list(tensor.shape)}, not [{count}, {width}]",
            where=tensor.name,
            remedy=f"Send the inputs in this order: {_listed(inputs)}.",
        )
    if tensor.datatype not in _NUMBERS:
        raise _wrong_datatype(tensor, "FP64")
    if tensor.raw is None:
        flat: Sequence[Any] = _values(tensor, count * width)
        columns = {field.name: flat[index::width] for index, field in enumerate(inputs)}
        return cells.rows(inputs, columns, count)
    table = _array(tensor, count * width).reshape(count, width)
    is_plain = tensor.datatype in _FLOATS and all(field.type == "double" for field in inputs)
    if is_plain and np.isfinite(table).all():
        # The fast way in: no column is looked at for itself.
        return list(map(tuple, table.tolist()))
    columns = {field.name: table[:, index].tolist() for index, field in enumerate(inputs)}
    return cells.rows(inputs, columns, count)


def _rows_of(tensor: Tensor, max_rows: int) -> int:
    if not 1 <= len(tensor.shape) <= 2 or tensor.shape[0] < 0:
        raise InvalidInput(
            f"the shape is {list(tensor.shape)[:8]}, which is no list of rows", where=tensor.name
        )
    count = tensor.shape[0]
    check_length(range(count), max_rows, tensor.name)
    return count


def _check_datatype(tensor: Tensor, field: Field) -> None:
    if tensor.datatype not in _TAKEN[field.type]:
        raise _wrong_datatype(tensor, _OF_FIELD[field.type])


def _wrong_datatype(tensor: Tensor, wanted: str) -> InvalidInput:
    return InvalidInput(
        f"the datatype is {tensor.datatype[:20]!r}, which this input does not take",
        where=tensor.name,
        remedy=f"Send {wanted}.",
    )


def _unknown(name: str, inputs: Sequence[Field]) -> InvalidInput:
    matrix = ", or one tensor of all in this order" if is_numeric(inputs) else ""
    return InvalidInput(
        f"the model has no input {name[:100]!r}",
        where="inputs",
        remedy=f"It takes: {_listed(inputs)}{matrix}.",
    )


def _listed(inputs: Sequence[Field]) -> str:
    names = [field.name for field in inputs]
    return ", ".join(names if len(names) <= 40 else [*names[:40], f"and {len(names) - 40} more"])


# ------------------------------------------------------------------ values


def _values(tensor: Tensor, count: int) -> Sequence[Any]:
    """So many values as Python has them."""
    if tensor.raw is None:
        return _listed_values(tensor, count)
    if tensor.datatype == "BYTES":
        return list(_texts(tensor, tensor.raw, count))
    values: list[Any] = _array(tensor, count).tolist()
    return values


def _array(tensor: Tensor, count: int) -> npt.NDArray[Any]:
    raw = tensor.raw if tensor.raw is not None else memoryview(b"")
    dtype = np.dtype(_RAW[tensor.datatype])
    if len(raw) != count * dtype.itemsize:
        raise InvalidInput(
            f"there are {len(raw)} bytes, where {count} values of {tensor.datatype} "
            f"have {count * dtype.itemsize}",
            where=tensor.name,
        )
    return np.frombuffer(raw, dtype)


def _texts(tensor: Tensor, raw: memoryview, count: int) -> Iterator[str]:
    place = 0
    for row in range(count):
        start = place + _LENGTH.size
        if start > len(raw):
            raise InvalidInput(f"there are {row} texts, not {count}", where=tensor.name)
        place = start + _LENGTH.unpack_from(raw, place)[0]
        if place > len(raw):
            raise cells.fault("the text ends after the tensor", row, tensor.name)
        try:
            yield str(raw[start:place], "utf-8")
        except UnicodeDecodeError as error:
            raise cells.fault("the text is not UTF-8", row, tensor.name) from error
    if place != len(raw):
        raise InvalidInput(f"{len(raw) - place} bytes are too many", where=tensor.name)


def _listed_values(tensor: Tensor, count: int) -> list[Any]:
    values = tensor.values
    if values is None:
        raise InvalidInput("the tensor has no data", where=tensor.name)
    width = tensor.shape[1] if len(tensor.shape) == 2 else 0
    if width and list in set(map(type, values)):
        if len(values) != tensor.shape[0] or not all(
            isinstance(row, list) and len(row) == width for row in values
        ):
            raise InvalidInput(
                f"the data is not {tensor.shape[0]} lists of {width}", where=tensor.name
            )
        values = list(chain.from_iterable(values))
    if len(values) != count:
        raise InvalidInput(
            f"there are {len(values)} values, not {count}",
            where=tensor.name,
            remedy="The shape says how many there are.",
        )
    _check_listed(tensor, values, max(width, 1))
    return values


def _check_listed(tensor: Tensor, values: list[Any], width: int) -> None:
    """Refuse values that are none of the tensor's datatype; null is a missing value of any."""
    right = _LISTED.get(tensor.datatype, _WHOLE)
    low, high = _range(tensor.datatype) if right is _WHOLE else (0, 0)
    is_plain = set(map(type, values)) <= right
    if is_plain and (right is not _WHOLE or (min(values) >= low and max(values) <= high)):
        return
    for index, value in enumerate(values):
        if value is not None and (
            type(value) not in right or (right is _WHOLE and not low <= value <= high)
        ):
            raise cells.fault(f"the value is no {tensor.datatype}", index // width, tensor.name)


def _range(datatype: str) -> tuple[int, int]:
    bounds = np.iinfo(_RAW[datatype])
    return int(bounds.min), int(bounds.max)


# ------------------------------------------------------------------ answers

PREDICTION, PROBABILITIES, PREDICTION_ID, VERSION = OUTPUTS = (
    "prediction",
    "probabilities",
    "prediction_id",
    "version",
)


def answered(
    predicted: Sequence[Predicted], manifest: Manifest, wanted: Sequence[str] = ()
) -> list[Answered]:
    """The tensors of an answer: those wanted, in that order, or all that there are.

    Args:
        predicted: one for each row.
        manifest: of the champion, whose classes the columns of ``probabilities`` are.
        wanted: names of ``OUTPUTS``.

    Raises:
        InvalidInput: probabilities are wanted and there are none.
        Unavailable: the same, because a default was answered.
    """
    count = len(predicted)
    has_probabilities = all(row.probabilities is not None for row in predicted)
    if PROBABILITIES in wanted and not has_probabilities:
        if any(not row.version for row in predicted):
            raise Unavailable(
                "no version answered, and the default has no probabilities", where="outputs"
            )
        raise InvalidInput("the version gives no probabilities", where="outputs")
    found: list[Answered] = []
    for name in wanted or OUTPUTS:
        if name == PREDICTION:
            found.append(_prediction([row.prediction for row in predicted], manifest))
        elif name == PREDICTION_ID:
            ids = [row.prediction_id for row in predicted]
            found.append(Answered(name, "BYTES", (count,), ids))
        elif name == VERSION:
            versions = [row.version for row in predicted]
            found.append(Answered(name, "BYTES", (count,), versions))
        elif has_probabilities:
            found.append(_probabilities(predicted, class_names(manifest)))
    return found


def check_outputs(names: Sequence[str], manifest: Manifest) -> None:
    """Refuse outputs that the model does not have.

    Raises:
        InvalidInput: naming those that it has.
    """
    known = [output.name for output in outputs_of(manifest)]
    for name in names:
        if name not in known:
            raise InvalidInput(
                f"the model has no output {name[:100]!r}",
                where="outputs",
                remedy=f"It gives: {', '.join(known)}.",
            )


def inputs_of(inputs: Sequence[Field]) -> list[Described]:
    """The tensors that a model takes."""
    return [
        Described(field.name, _OF_FIELD[field.type], (-1,), {"required": field.required})
        for field in inputs
    ]


def outputs_of(manifest: Manifest) -> list[Described]:
    """The tensors that a model gives."""
    found = [Described(PREDICTION, _prediction_datatype(manifest), (-1,))]
    if manifest.classes:
        names = ", ".join(class_names(manifest))
        shape = (-1, len(manifest.classes))
        found.append(Described(PROBABILITIES, "FP64", shape, {"classes": names}))
    return [*found, Described(PREDICTION_ID, "BYTES", (-1,)), Described(VERSION, "BYTES", (-1,))]


def _prediction_datatype(manifest: Manifest) -> str:
    if manifest.task == "regression":
        return "FP64"
    kinds = set(map(type, manifest.classes))
    if kinds == {bool}:
        return "BOOL"
    whole = kinds == {int} and all(
        cells.LONG_MIN <= value <= cells.LONG_MAX
        for value in manifest.classes
        if isinstance(value, int)
    )
    return "INT64" if whole else "BYTES"


def _prediction(values: list[Answer], manifest: Manifest) -> Answered:
    datatype = _prediction_datatype(manifest)
    if not set(map(type, values)) <= _LISTED.get(datatype, _WHOLE):
        # Classes of several types, or a challenger's of another: told as text.
        datatype = "BYTES"
        values = [
            value if isinstance(value, str) else msgspec.json.encode(value).decode()
            for value in values
        ]
    return Answered(PREDICTION, datatype, (len(values),), values)


def _probabilities(predicted: Sequence[Predicted], names: Sequence[str]) -> Answered:
    values: list[float] = []
    for row in predicted:
        given = row.probabilities or {}
        # A challenger may know other classes than the champion, which the columns are of.
        own = list(given.values()) if tuple(given) == names else [given.get(n, 0.0) for n in names]
        values += own
    return Answered(PROBABILITIES, "FP64", (len(predicted), len(names)), values)
