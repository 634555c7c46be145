"""What callers hold as values that a request can carry: scalars and tables of any library.

NumPy, pandas and their like are recognized by what they can do; none of them is needed here.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from serinus.errors import InvalidInput
from serinus.wire import Cell

_MISSING = ("NAType", "NaTType")
# Kinds of NumPy scalars that are neither numbers, booleans nor text; their item() hides it.
_FOREIGN_KINDS = ("M", "m", "c", "S", "V", "O")


class Frame(Protocol):
    """A table such as a pandas DataFrame."""

    @property
    def columns(self) -> Any:
        """The names of its columns."""

    def to_dict(self, *, orient: Any) -> Any:
        """Its rows as mappings, for the orientation ``records``."""


Rows: TypeAlias = Sequence[Mapping[str, Any]] | Frame
"""The inputs of many requests."""

Key: TypeAlias = str | int
"""What tells one customer (or whatever else is counted) from all others."""


def rows_of(rows: Rows) -> list[dict[str, Any]]:
    """Rows, or a table's rows, as requests carry them.

    Raises:
        InvalidInput: these are no rows, or a value cannot be sent; it says which.
    """
    given: Any = rows
    if hasattr(rows, "columns"):
        given = _records(rows)
    elif isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        raise InvalidInput(
            f"a {type(rows).__name__} is no list of rows",
            where="rows",
            remedy='Give a list such as [{"age": 41}, {"age": 42}], or a DataFrame; for a single '
            "row there is predict.",
        )
    return [features_of(row, f"row {place}") for place, row in enumerate(given)]


def _records(table: Any) -> Any:
    """A table's rows as mappings."""
    names = [str(name) for name in table.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(
            "two columns of one name cannot be told apart",
            where=f"rows, {', '.join(twice)}"[:200],
            remedy="Rename or drop one of them.",
        )
    return table.to_dicts() if hasattr(table, "to_dicts") else table.to_dict(orient="records")


def features_of(row: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """One row as a request carries it.

    Args:
        row: the inputs by name.
        place: where the row is among others, told before an input's name.

    Raises:
        InvalidInput: this is no row, or a value cannot be sent; it says which.
    """
    given: Any = row  # a pandas Series is a row, and no Mapping
    if hasattr(given, "columns") or not (hasattr(given, "keys") and hasattr(given, "items")):
        raise InvalidInput(
            f"a {type(row).__name__} is not the inputs of one request",
            where=place or "features",
            remedy='Give the inputs by name, such as {"age": 41}; for many rows there is '
            "predict_batch.",
        )
    before = f"{place}, " if place else ""
    return {str(name): plain(value, f"{before}{name}") for name, value in given.items()}


def key_of(value: Any, where: str) -> Key | None:
    """An entity's key as a request carries it; None where it is missing.

    Raises:
        InvalidInput: it is neither text nor a whole number.
    """
    found: Key | None = plain(value, where)
    if found is None or (type(found) in (str, int) and found != ""):
        return found
    raise InvalidInput(
        f"{found!r} is no key"[:200],
        where=where,
        remedy="A key is text or a whole number; None where there is none.",
    )


def keys_of(
    rows: Sequence[dict[str, Any]], entity: Iterable[Any] | None, column: str | None
) -> list[Key | None]:
    """The entity's key of each row; a column that holds it is taken out of the rows.

    Args:
        rows: as :func:`rows_of` gives them.
        entity: a key for each row, in their order.
        column: the name of the column that holds it, instead.

    Raises:
        InvalidInput: both are given, they are not one for each row, or one is no key.
    """
    if entity is not None and column is not None:
        raise InvalidInput(
            "the keys are given twice",
            where="entity, entity_column",
            remedy="Give a key for each row, or the column that holds it.",
        )
    if column is not None:
        return _taken_out(rows, column)
    return [None] * len(rows) if entity is None else _given(entity, len(rows))


def _taken_out(rows: Sequence[dict[str, Any]], column: str) -> list[Key | None]:
    lacking = next((place for place, row in enumerate(rows) if column not in row), None)
    if lacking is not None:
        raise InvalidInput(
            f"there is no column {column!r}"[:200],
            where=f"row {lacking}, entity_column",
            remedy="Name a column that every row has; a key that is missing is None.",
        )
    return [key_of(row.pop(column), f"row {place}, {column}") for place, row in enumerate(rows)]


def _given(entity: Any, count: int) -> list[Key | None]:
    if isinstance(entity, str | bytes | Mapping) or not isinstance(entity, Iterable):
        raise InvalidInput(
            f"a {type(entity).__name__} is no list of keys",
            where="entity",
            remedy="Give a key for each row, or the column that holds it: entity_column.",
        )
    keys = [key_of(value, f"row {place}, entity") for place, value in enumerate(entity)]
    if len(keys) != count:
        raise InvalidInput(
            f"there are {len(keys)} keys for {count} rows",
            where="entity",
            remedy="Give one for each row, None where there is none.",
        )
    return keys


def plain(value: Any, where: str) -> Any:
    """A value as JSON can carry it; one that is missing is None.

    Raises:
        InvalidInput: it cannot be sent.
    """
    kind = type(value)
    if value is None or kind in (str, int, bool):
        return value
    if kind.__name__ in _MISSING:
        return None
    found = _scalar(value)
    if isinstance(found, float):
        if math.isinf(found):
            raise InvalidInput(
                "the value is infinite, and no JSON number is",
                where=where,
                remedy="Send a finite number, or None where it is missing.",
            )
        return None if math.isnan(found) else found
    if found is not None:
        return found
    try:
        return msgspec.to_builtins(value, str_keys=True)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"a value of type {kind.__name__} cannot be sent",
            where=where,
            remedy="Send a number, a boolean, text, or None where it is missing.",
        ) from error


def _scalar(value: Any) -> Cell:
    """The Python number, boolean or text that a value is, perhaps a library's; None if none."""
    if hasattr(value, "item") and getattr(value, "shape", ()) == ():
        dtype = getattr(value, "dtype", None)
        if getattr(dtype, "kind", "") in _FOREIGN_KINDS:
            return None
        value = value.item()
    if isinstance(value, bool):
        return value
    if isinstance(value, enum.Enum):
        return None
    # Exactly these types: NumPy's numbers and text are subclasses of some.
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    return str(value) if isinstance(value, str) else None
