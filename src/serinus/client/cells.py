"""What callers hold as values that a request can carry: scalars and tables of any library.

NumPy, pandas and their like are recognized by what they can do; none of them is needed here.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
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


def rows_of(rows: Rows) -> list[dict[str, Any]]:
    """Rows, or a table's rows, as requests carry them.

    Raises:
        InvalidInput: a value cannot be sent; it says which.
    """
    given: Any = rows
    if hasattr(rows, "columns") and hasattr(rows, "to_dicts"):
        given = rows.to_dicts()
    elif hasattr(rows, "columns") and hasattr(rows, "to_dict"):
        given = rows.to_dict(orient="records")
    return [features_of(row, f"row {place}, ") for place, row in enumerate(given)]


def features_of(row: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """One row as a request carries it.

    Args:
        row: the inputs by name.
        place: what an error says before an input's name.

    Raises:
        InvalidInput: a value cannot be sent; it says which.
    """
    return {str(name): plain(row[name], f"{place}{name}") for name in row.keys()}  # noqa: SIM118


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
