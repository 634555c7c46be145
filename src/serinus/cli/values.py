"""Values that are typed as text: JSON where it is JSON, else the text itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from serinus.errors import InvalidInput


def value(text: str) -> Any:
    """A number, true, false, null or quoted text as JSON has them; anything else is text."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(found, list | dict) else found


def pairs(given: Sequence[str], *, option: str) -> dict[str, Any]:
    """The values by name that ``NAME=VALUE`` texts give.

    Raises:
        InvalidInput: one of them has no ``=``.
    """
    found: dict[str, Any] = {}
    for text in given:
        name, equals, raw = text.partition("=")
        if not equals:
            raise InvalidInput(
                f"{text!r} is not of the form NAME=VALUE",
                where=option,
                remedy=f"Write {option} NAME=VALUE.",
            )
        found[name] = value(raw)
    return found


def document(text: str, *, option: str) -> Any:
    """The JSON document in ``text``.

    Raises:
        InvalidInput: it is none.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInput(
            f"this is not JSON ({error})",
            where=option,
            remedy='Write an object such as {"age": 41}.',
        ) from error
