"""Writes the reference pages from the code; a test holds the pages to it.

Run as ``python docs/reference/generate.py`` after a setting or an error has changed.
"""

from __future__ import annotations

from dataclasses import Field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from serinus import errors
from serinus.settings import FILE_NAME, Settings

FOLDER = Path(__file__).parent

SETTINGS = f"""\
# Settings

Every setting can be given as an option where a command has one, as a variable
`SERINUS_<NAME>`, or in `{FILE_NAME}` in the state folder; in this order, the stronger first. All
are checked at the start, and everything that is wrong is told at once. `serinus config show` prints
the values in force and where each came from.

```toml
database_url = "postgresql://serinus@db.example/serinus"
gateway_workers = 4
ledger_sync = "disk"
monitoring_window_seconds = 86_400
```

| setting | type | default | range | other variable |
|---|---|---|---|---|
{{rows}}

{{sections}}"""

ERRORS = """\
# Errors

Every error says what was wrong, where, and what to do about it. Over HTTP it is a problem document
(RFC 9457, `application/problem+json`) with `detail`, `where`, `remedy` and, when there are several
faults, `faults`; on the command line it is the same text on standard error and an exit code. The
Python client raises it again as the class it was.

| error | HTTP status | exit code | meaning |
|---|---|---|---|
{rows}

The command line exits with 0 on success, with 2 when the caller can correct what is wrong, and
with 1 when the system must. A command that shows something (`jobs show`, `deployments status`)
exits with 0 however that stands; one that waits for an end (`jobs watch`, `jobs train --watch`,
`deployments watch`, `deploy --watch`) exits with 1 if it was no success.
"""

_BOUNDS = {"ge": "at least {:g}", "gt": "above {:g}", "le": "at most {:g}", "lt": "below {:g}"}


def settings_page() -> str:
    """The page of all settings, a row and a heading for each."""
    rows, sections = [], []
    for item in fields(Settings):
        kind, default = _kind(item), _default(item)
        alias = item.metadata["env"]
        cells = [f"[`{item.name}`](#{item.name})", kind, default, _range(item)]
        rows.append("| " + " | ".join([*cells, f"`{alias}`" if alias else ""]) + " |")
        text = (
            f"### {item.name}\n\n{item.metadata['doc']}\n\nVariable: `SERINUS_{item.name.upper()}`"
        )
        if alias:
            unit = item.metadata["unit"]
            factor = "" if unit == 1 else f" (in units of {unit:g} {item.name.rsplit('_', 1)[-1]})"
            text += f", or `{alias}`{factor}"
        sections.append(text + f". Default: {default}.\n")
    return SETTINGS.format(rows="\n".join(rows), sections="\n".join(sections))


def errors_page() -> str:
    """The page of the errors that faces translate."""
    kinds = [kind for kind in vars(errors).values() if _is_error(kind)]
    rows = []
    for kind in kinds:
        meaning = str(kind.__doc__).strip().splitlines()[0]
        rows.append(f"| `{kind.__name__}` | {kind.status} | {kind.exit_code} | {meaning} |")
    return ERRORS.format(rows="\n".join(rows))


def _is_error(item: object) -> bool:
    return isinstance(item, type) and issubclass(item, errors.SerinusError)


def _kind(item: Field[Any]) -> str:
    kind = get_type_hints(Settings)[item.name]
    if get_origin(kind) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(kind))
    return {str: "text", Path: "path", bool: "true or false", int: "whole number"}.get(
        kind, "number"
    )


def _default(item: Field[Any]) -> str:
    return "empty" if item.default == "" else f"`{str(item.default).lower()}`"


def _range(item: Field[Any]) -> str:
    bounds = item.metadata["bounds"]
    return ", ".join(_BOUNDS[name].format(bound) for name, bound in bounds.items())


def main() -> None:
    """Write both pages."""
    (FOLDER / "settings.md").write_text(settings_page(), encoding="utf-8")
    (FOLDER / "errors.md").write_text(errors_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
