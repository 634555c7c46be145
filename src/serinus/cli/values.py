"""Values that are typed as text: JSON where it is JSON, else the text itself."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serinus.errors import InvalidInput


def value(text: str) -> Any:
    """A number, true, false, null or quoted text as JSON has them; anything else is text."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(found, list | dict) else found


def several(text: str | None) -> list[Any] | None:
    """The values in a list with commas, each as :func:`value` has it; None of nothing said."""
    return None if text is None else [value(part.strip()) for part in text.split(",")]


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


def policy(path: str, *, option: str) -> dict[str, Any]:
    """The fields in a TOML, JSON or YAML file, told apart by the file's ending.

    Raises:
        InvalidInput: it cannot be read, or holds no fields.
    """
    where = f"{option} {path}"
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(
            f"this file cannot be read ({reason})", where=where, remedy="Name a text file."
        ) from error
    try:
        found = _parsed(text, Path(path).suffix.lower())
    except ValueError as error:
        raise InvalidInput(
            f"this file cannot be understood ({error})",
            where=where,
            remedy="Write TOML (.toml), JSON (.json) or YAML (.yaml), such as error_odds = 1.5.",
        ) from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise InvalidInput(
            "this file holds no fields with values",
            where=where,
            remedy="Write fields of a deployment's specification, such as error_odds = 1.5.",
        )
    return found


def _parsed(text: str, ending: str) -> Any:
    if ending == ".json":
        return json.loads(text)
    if ending in (".yaml", ".yml"):
        import yaml

        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(str(error).replace("\n", " ")) from error
    return tomllib.loads(text)
