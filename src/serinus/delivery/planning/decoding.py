"""From what a person wrote to the fields of a specification: every misspelt or mistyped one told.

msgspec stops at the first; a person corrects a file once, not field by field.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from serinus.delivery.planning import shares
from serinus.delivery.planning.budget import BUDGET
from serinus.delivery.types import DeploymentSpec, Kind

_HINTS = get_type_hints(DeploymentSpec)
_WORDS: Mapping[Any, str] = {
    float: "a number",
    int: "a whole number",
    bool: "true or false",
    str: "text",
    tuple[float, ...]: "a list of numbers",
    tuple[str, ...]: "a list of texts",
    dict[Kind, float]: "a table of numbers by guardrail",
}
_SHARES = frozenset({"shares", "split"})
_PARTS = frozenset(
    {
        "clone", "soak_mirror", "service_level", "error_points", "quality_points",
        "quality_tolerance", "value_loss", "score_shift", "disagreement", "confidence",
    }
)  # fmt: skip
_LONGEST = 40


def decode(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The fields that can be used, with their own types, and a fault for each that cannot.

    Args:
        given: fields by name, as JSON, TOML or YAML gave them.
    """
    found: dict[str, Any] = {}
    faults: list[str] = []
    for name, value in given.items():
        if name not in _HINTS:
            faults.append(unknown(str(name), list(_HINTS), "field"))
            continue
        if name in _SHARES:
            try:
                found[name] = tuple(shares.several(value))
            except ValueError as error:
                faults.append(f"{name}: {error}")
            continue
        wrong = list(_rails(value)) if name == "alphas" and isinstance(value, Mapping) else []
        if wrong:
            faults += wrong
            continue
        try:
            found[name] = msgspec.convert(
                shares.part(value) if name in _PARTS else value, _HINTS[name]
            )
        except (msgspec.ValidationError, OverflowError):
            faults.append(f"{name}: must be {_words(_HINTS[name])}, not {_given(name, value)}")
    faults += [
        f"{name}: missing; name the {what}"
        for name, what in (("model", "model"), ("challenger", "version to bring to traffic"))
        if name not in given
    ]
    return found, faults


def _rails(value: Mapping[Any, Any]) -> Iterator[str]:
    for name, alpha in value.items():
        if name not in get_args(Kind):
            yield "alphas." + unknown(str(name), list(get_args(Kind)), "guardrail")
        elif isinstance(alpha, bool) or not isinstance(alpha, int | float):
            yield f"alphas.{name}: must be a number, not {_shown(alpha)}"
        elif not 0 < alpha <= BUDGET:
            yield f"alphas.{name}: must be above 0 and at most {BUDGET:g}, not {_shown(alpha)}"


def unknown(name: str, known: Sequence[str], what: str) -> str:
    """That there is nothing of a name, with the one that may have been meant."""
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return f"{name}: there is no such {what}; {hint}"


def _words(hint: Any) -> str:
    """A type as a person says it: ``a number``, ``one of canary, shadow``."""
    if hint in _WORDS:
        return _WORDS[hint]
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(str(choice) for choice in get_args(hint))
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_words(part) for part in get_args(hint) if part is not NoneType)
    return str(hint)


def _given(name: str, value: Any) -> str:
    """A value of the wrong type; with quotes where a text was read as a number."""
    shown = _shown(value)
    if _HINTS[name] not in (str, str | None) or isinstance(value, bool):
        return shown
    if isinstance(value, float):
        return f'{shown}; put it in quotes, as "{shown}" (unquoted, 1.10 is the number 1.1)'
    return f'{shown}; put it in quotes, as "{shown}"' if isinstance(value, int) else shown


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
