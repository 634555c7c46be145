"""What is wrong with an object that a client sent, all of it at once, in a person's words. Pure.

Only what was refused comes here: msgspec stops at the first thing that is wrong, and a client who
is told of one field at a time has to ask as often as there are.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec

from serinus.errors import InvalidInput

MOST_FAULTS = 50
"""So many of one row's faults are told; nobody mends more at a time."""
_MOST_MEANT = 3
_MOST_NAME = 200
_ASK = "GET /model-info lists the fields."
_WORDS = {
    "float": "a number",
    "int": "a whole number",
    "str": "text",
    "bool": "a boolean",
    "null": "null",
    "object": "an object",
    "array": "an array",
}
_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>.*)`)?$", re.DOTALL)
_TYPE_FAULT = re.compile(r"^Expected `(?P<wanted>[^`]*)`, got `(?P<got>[^`]*)`$")
_BOUND_FAULT = re.compile(
    r"^Expected `(?P<wanted>int|str|array)`(?P<of> of length)? "
    r"(?P<side>[<>]=) (?P<bound>-?\d+)$"
)
_COUNTED = {"str": "character", "array": "item"}
_LONG = (-(2**63), 2**63 - 1)
_OUT_OF_RANGE = {
    "Number out of range": "expected a number from -1.8e308 to 1.8e308",
    "Integer value out of range": "the whole number has far too many digits",
}
_FIELD_FAULT = re.compile(
    r"^Object (?P<kind>missing required|contains unknown) field `(?P<name>.*)`$"
)


class WrongRow(InvalidInput):
    """Several things are wrong with one row.

    Args:
        each: the faults, in the order of the fields.
        where: what all of them lie in, empty for a body as a whole.
        more: whether there are others beside these.
    """

    def __init__(self, each: Iterable[InvalidInput], where: str, *, more: bool) -> None:
        self.each = tuple(each)
        remedies = {fault.remedy for fault in self.each if fault.remedy}
        remedy = remedies.pop() if len(remedies) == 1 else _ASK
        lines = [_line(fault, remedy) for fault in self.each]
        if more:
            lines.append("and more")
        count = f"more than {len(self.each)}" if more else len(self.each)
        super().__init__(f"{count} fields are wrong", where=where, remedy=remedy, faults=lines)


class Faults:
    """Finds what is wrong with objects that were refused.

    Args:
        kind: what each should have been; fields that are objects are looked into.
    """

    def __init__(self, kind: type[msgspec.Struct]) -> None:
        self._kind = kind
        self._fields = {one.encode_name: one for one in msgspec.structs.fields(kind)}
        self._inner = {
            name: Faults(one.type)
            for name, one in self._fields.items()
            if isinstance(one.type, type) and issubclass(one.type, msgspec.Struct)
        }

    def read(self, document: Any, place: str, *, all_of_them: bool = True) -> Any | InvalidInput:
        """What Python has read of JSON, as the kind, or what is wrong with it.

        Args:
            document: as Python reads it.
            place: where in the body it was, empty if it is the body.
            all_of_them: whether each fault is told, or the first alone.
        """
        wrong = self._of(document, place)
        if (first := next(wrong, None)) is None:
            try:
                return msgspec.convert(document, self._kind)
            except msgspec.ValidationError as error:
                return self.explain(error, place)
        if not all_of_them or (second := next(wrong, None)) is None:
            return first
        told = [first, second, *islice(wrong, MOST_FAULTS - 2)]
        return WrongRow(told, place, more=next(wrong, None) is not None)

    def explain(self, error: msgspec.ValidationError, place: str = "") -> InvalidInput:
        """The one fault that msgspec found, in a person's words, with the field's place apart."""
        found = _AT.match(str(error))
        what, path = (found["what"], found["path"] or "") if found else (str(error), "")
        where = _joined(place, path.removeprefix("$").removeprefix("."))
        if field := _FIELD_FAULT.match(what):
            missing = field["kind"] == "missing required"
            where = _joined(where, _cut(field["name"]))
            return InvalidInput(f"the field is {'missing' if missing else 'unknown'}", where=where)
        if kind := _TYPE_FAULT.match(what):
            wanted = " or ".join(_WORDS.get(word, word) for word in kind["wanted"].split(" | "))
            what = f"expected {wanted}, got {_WORDS.get(kind['got'], kind['got'])}"
        elif bound := _BOUND_FAULT.match(what):
            what = f"expected {_bounded(bound)}"
        return InvalidInput(_OUT_OF_RANGE.get(what, what), where=where)

    def _of(self, document: Any, place: str) -> Iterator[InvalidInput]:
        if not isinstance(document, dict):
            yield from self._value(document, self._kind, place)
            return
        for name, field in self._fields.items():
            there = _joined(place, name)
            if name not in document:
                if field.required:
                    yield InvalidInput("the field is missing", where=there)
            elif name in self._inner:
                yield from self._inner[name]._of(document[name], there)
            else:
                yield from self._value(document[name], field.type, there)
        yield from self._unknown(document, place)

    def _unknown(self, document: Mapping[str, Any], place: str) -> Iterator[InvalidInput]:
        # Looking for what was meant costs more than all else here, so only the first are helped.
        free, helped = [name for name in self._fields if name not in document], 0
        for name in document:
            if name in self._fields:
                continue
            there = _joined(place, printable(name))
            if not _is_text(name):
                yield _half_character(there)
                continue
            remedy, helped = self._meant(name, free if helped < _MOST_MEANT else ()), helped + 1
            yield InvalidInput("the field is unknown", where=there, remedy=remedy)

    def _meant(self, name: str, free: Iterable[str]) -> str:
        """What whoever sent an unknown field may have meant by it."""
        for outer, inner in self._inner.items():
            if name in inner._fields:
                return f'Put the inputs into "{outer}": {{...}}.'
        close = difflib.get_close_matches(name[:_MOST_NAME], free, n=1)
        return f"Did you mean {close[0]!r}?" if close else _ASK

    def _value(self, value: Any, kind: Any, place: str) -> Iterator[InvalidInput]:
        if isinstance(value, float) and not math.isfinite(value):
            yield InvalidInput(
                "the value is not finite",
                where=place,
                remedy="Leave the field out where a value is missing.",
            )
        elif isinstance(value, str) and not _is_text(value):
            yield _half_character(place)
        else:
            try:
                msgspec.convert(value, kind)
            except msgspec.ValidationError as error:
                yield self.explain(error, place)


def parse(body: bytes) -> Any:
    """The document as Python reads it: NaN and Infinity included, so that they can be named.

    Raises:
        InvalidInput: it is no JSON in UTF-8, or it is nested too deeply.
    """
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise malformed(error) from error


def malformed(error: Exception) -> InvalidInput:
    """That a body is no JSON, and why."""
    detail = str(error)
    if isinstance(error, RecursionError):
        detail = "nested too deeply"
    elif type(error) is ValueError:  # JSON's and UTF-8's are kinds of it: Python's limit of digits
        detail = "a number in it has far too many digits"
    return InvalidInput(
        f"the body is not valid JSON in UTF-8 ({detail[:200]})", remedy="Send a JSON object."
    )


def printable(name: str) -> str:
    """A name that somebody made up, as it can be sent back."""
    return _cut(name.encode("utf-8", "backslashreplace").decode())


def _line(fault: InvalidInput, said: str) -> str:
    """One fault in one line, with what helps unless that is said for all."""
    line = f"{fault.where}: {fault.what}"
    return line if fault.remedy in ("", said, _ASK) else f"{line}. {fault.remedy}"


def _bounded(found: re.Match[str]) -> str:
    """What lies within a bound, of which msgspec tells the one that was passed."""
    kind, bound = found["wanted"], found["bound"]
    side = "at most" if found["side"] == "<=" else "at least"
    if found["of"]:
        many = _COUNTED[kind] + "s" * (bound != "1")
        return f"{_WORDS[kind]} of {side} {int(bound):,} {many}"
    if kind == "int" and int(bound) in _LONG:
        return f"a whole number from {_LONG[0]:,} to {_LONG[1]:,}"
    return f"{_WORDS[kind]} of {side} {int(bound):,}"


def _joined(place: str, name: str) -> str:
    return f"{place}.{name}" if place and name else place or name


def _cut(name: str) -> str:
    return name if len(name) <= _MOST_NAME else f"{name[:_MOST_NAME]}…"


def _is_text(value: str) -> bool:
    """Whether UTF-8 has it; JSON can escape one half of a surrogate pair, which it has not."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _half_character(where: str) -> InvalidInput:
    return InvalidInput(
        "the text holds half of a surrogate pair, which is no character",
        where=where,
        remedy="Send whole characters; a cut through an escaped pair makes such halves.",
    )
