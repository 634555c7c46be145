"""Values that are typed as text: JSON where it is JSON, else the text itself."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Container, Sequence
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
        InvalidInput: it cannot be read, gives a field twice, or holds no fields.
    """
    where = f"{option} {path}"
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(
            f"this file cannot be read ({reason})", where=where, remedy="Name a text file."
        ) from error
    language = _language(path)
    try:
        found = _parsed(text, language)
    except ValueError as error:
        raise InvalidInput(
            f"this file cannot be understood as {language} ({error})",
            where=where,
            remedy="A file's ending says how it is written: .yaml and .yml are YAML, .json is "
            "JSON, .toml and any other TOML.",
        ) from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise InvalidInput(
            "this file holds no fields with values",
            where=where,
            remedy="Write fields of a deployment's specification, such as error_odds = 1.5.",
        )
    return found


def with_lines(faults: Sequence[str], path: str | None, said: Container[str] = ()) -> list[str]:
    """Faults, each with the line of a YAML file in which its field is, if that is there.

    Args:
        faults: each begins with its field.
        path: of the file, None if there is none.
        said: fields that were given elsewhere, and so above the file.
    """
    if path is None or _language(path) != "YAML":
        return list(faults)
    from serinus.delivery.planning import written

    lines = written.lines_of(Path(path).read_text(encoding="utf-8"))
    told = []
    for fault in faults:
        name = fault.partition(":")[0]
        line = None if name.partition(".")[0] in said else lines.get(name)
        told.append(fault if line is None else f"{fault} (line {line})")
    return told


def _language(path: str) -> str:
    endings = {".json": "JSON", ".yaml": "YAML", ".yml": "YAML"}
    return endings.get(Path(path).suffix.lower(), "TOML")


def _parsed(text: str, language: str) -> Any:
    if language == "JSON":
        return json.loads(text, object_pairs_hook=_once)
    if language == "YAML":
        from serinus.delivery.planning import written

        return written.read(text)
    return tomllib.loads(text)


def _once(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """A table of fields, none of which is given twice.

    Raises:
        ValueError: one is.
    """
    found: dict[str, Any] = {}
    for name, given in fields:
        if name in found:
            raise ValueError(f"{name} is given twice")
        found[name] = given
    return found
