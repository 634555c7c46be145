"""Columns of values -> rows of a model's inputs: whole columns at once, faults by row. Pure.

For protocols whose requests are tables: the types that JSON, tensors and text files have are told
apart by looking at a column's types as a set, so that a column without a fault costs no Python of
ours per value.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any

import msgspec

from serinus.errors import InvalidInput
from serinus.serving.types import Features
from serinus.wire import Cell, Field

LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1

_PLAIN: dict[str, type] = {"double": float, "long": int, "boolean": bool, "string": str}
_WANTED = {
    "double": "a number",
    "long": "a whole number",
    "boolean": "a boolean",
    "string": "text",
}
_GOT: dict[type, str] = {
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
    type(None): "nothing",
}
_WHOLE_FROM = 2.0**63


def rows(
    inputs: Sequence[Field], columns: Mapping[str, Sequence[Any]], count: int
) -> list[Features]:
    """The rows of a table, each in the order of ``inputs``; a column too many is ignored.

    Args:
        inputs: what a row may hold.
        columns: values by the name of their column.
        count: of rows; each column has so many values.

    Raises:
        InvalidInput: a required column is missing, or a value is none of its input's.
    """
    found: list[Sequence[Cell] | repeat[None]] = []
    for field in inputs:
        values = columns.get(field.name)
        if values is not None:
            found.append(column(field, values))
        elif field.required:
            raise InvalidInput(
                "the input is missing", where=field.name, remedy="The model needs it in every row."
            )
        else:
            found.append(repeat(None, count))
    return list(zip(*found, strict=True)) if found else [()] * count


def column(field: Field, values: Sequence[Any]) -> Sequence[Cell]:
    """The values of one input as plain numbers, booleans and text; NaN and None are missing.

    A whole number is taken for a number, and a number without fraction for a whole one.

    Raises:
        InvalidInput: naming the row of the first value that is none of the input's.
    """
    kinds = set(map(type, values))
    if field.type == "double" and int in kinds and kinds <= {int, float}:
        with contextlib.suppress(OverflowError):
            values, kinds = list(map(float, values)), {float}
    if kinds <= {_PLAIN[field.type]} and _is_usable(field.type, values):
        return values
    return [_cell(field, value, row) for row, value in enumerate(values)]


def fault(what: str, row: int, name: str, remedy: str = "") -> InvalidInput:
    """What is wrong with one value of a table; rows are counted from 0."""
    return InvalidInput(what, where=f"row {row}, {name}", remedy=remedy)


def read_json(body: bytes) -> Any:
    """A document as Python reads it, NaN and the infinities included.

    Raises:
        InvalidInput: it is no JSON in UTF-8, or it is nested too deeply.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _read_slowly(body)


def _read_slowly(body: bytes) -> Any:
    try:
        document = json.loads(body.decode("utf-8"))
        # JSON can escape one half of a surrogate pair, which nobody could write down again.
        json.dumps(document, ensure_ascii=False).encode()
        return document
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidInput(
            f"the body is not valid JSON in UTF-8 ({why[:200]})", remedy="Send a JSON object."
        ) from error


def _is_usable(kind: str, values: Sequence[Any]) -> bool:
    """Whether values that are of the right type can be taken as they are."""
    if kind == "double":
        # A sum is finite only if all of its terms are; one that is not tells nothing.
        return math.isfinite(sum(values))
    if kind == "long":
        return not values or (min(values) >= LONG_MIN and max(values) <= LONG_MAX)
    return True


def _cell(field: Field, value: Any, row: int) -> Cell:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        if field.required:
            raise fault("the value is missing", row, field.name)
        return None
    found = _CONVERT[field.type](value)
    if found is None:
        raise fault(_what(field, value), row, field.name)
    return found


def _what(field: Field, value: Any) -> str:
    wanted = _WANTED[field.type]
    if isinstance(value, float) and math.isinf(value):
        return "the value is not finite"
    if type(value) is int and field.type in ("double", "long"):
        return f"expected {wanted} of 64 bits, got a longer one"
    return f"expected {wanted}, got {_GOT.get(type(value), type(value).__name__)}"


def _double(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _long(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer() and -_WHOLE_FROM <= value < _WHOLE_FROM:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if LONG_MIN <= value <= LONG_MAX else None


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


_CONVERT = {"double": _double, "long": _long, "boolean": _boolean, "string": _string}
