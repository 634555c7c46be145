"""A part of the whole as people write it: ``5%`` or ``0.05``. Pure.

A bare number of 1 and more could be meant as either, so it is refused with what it probably means:
nobody gives a challenger twenty times the traffic that was meant.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

_LONGEST = 40


def read(value: Any) -> float:
    """A share of the traffic, 1 for all of it; whether it makes a plan is not looked at.

    Raises:
        ValueError: it is none, or could be meant as a percentage; it says what to write.
    """
    number = _number(value)
    if isinstance(value, str) and value.rstrip().endswith("%"):
        if number is not None:
            return float(number / 100)
    elif number is not None and number < 1:
        return float(number)
    elif number is not None and number < 100:
        told = float(number)
        raise ValueError(f"{told:g} is no share; write {told:g}% or {float(number / 100):g}")
    shown = "nothing" if value is None else repr(value)
    if len(shown) > _LONGEST:
        shown = shown[: _LONGEST - 1] + "…"
    raise ValueError(f"{shown} is no share; write such as 5% or 0.05")


def part(value: Any) -> Any:
    """A value of a field between 0 and 1: text with a percent sign as its number, else itself."""
    if isinstance(value, str) and value.rstrip().endswith("%"):
        number = _number(value)
        return value if number is None else float(number / 100)
    return value


def several(value: Any) -> list[float]:
    """The shares in a list, in a text with commas, or of one alone.

    Raises:
        ValueError: one of them is none; it says what to write.
    """
    if isinstance(value, str):
        value = value.split(",")
    return [read(item) for item in (value if isinstance(value, list | tuple) else [value])]


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value).strip().removesuffix("%").rstrip())
    except (ArithmeticError, ValueError):
        return None
    # What is larger is no part of anything, and too long to be told.
    return number if number.is_finite() and number.adjusted() < 9 else None
