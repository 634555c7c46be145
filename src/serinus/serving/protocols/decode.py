"""From the bytes of a body to typed rows, by a decoder made from a model's manifest. Pure.

The usual body is decoded in one go by msgspec. Only a body that is refused is looked at again,
slowly, to name the field that is wrong, and, in a batch, to save the rows that are right.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator, Sequence, Sized
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import astuple

from serinus.errors import InvalidInput
from serinus.serving.types import Features
from serinus.wire import Field

_Long = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_TYPES: dict[str, Any] = {"double": float, "long": _Long, "boolean": bool, "string": str}
_WORDS = {
    "float": "a number",
    "int": "a whole number",
    "str": "text",
    "bool": "a boolean",
    "null": "null",
    "object": "an object",
    "array": "an array",
}
_ROW_FIELDS = ("features", "entity", "model")
_ITEM_FIELDS = ("prediction_id", "label", "value", "labels")
_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>.*)`)?$", re.DOTALL)
_TYPE_FAULT = re.compile(r"^Expected `(?P<wanted>[^`]*)`, got `(?P<got>[^`]*)`$")
_FIELD_FAULT = re.compile(
    r"^Object (?P<kind>missing required|contains unknown) field `(?P<name>.*)`$"
)


class Request(msgspec.Struct, frozen=True):
    """One row to be answered: its values in manifest order, its entity, the model it names."""

    features: Features
    entity: str | None = None
    model: str | None = None


class FeedbackItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What turned out of one prediction: what was true, what it was worth, or both.

    Null is no way to leave a field out: it is what others make of a NaN.
    """

    prediction_id: str
    label: float | _Long | str | bool | UnsetType = UNSET
    value: float | UnsetType = UNSET


class _Feedback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    labels: list[FeedbackItem]


class _Named(msgspec.Struct):
    model: str | None = None


_Entity = Annotated[str, msgspec.Meta(min_length=1)] | int | None


class RequestDecoder:
    """Decodes the requests of one model.

    Args:
        model: its name, for messages.
        inputs: what a request may hold; kept for other protocols.

    Raises:
        InvalidInput: an input's name cannot be the name of a field.
    """

    def __init__(self, model: str, inputs: Sequence[Field]) -> None:
        self.inputs = tuple(inputs)
        self._names = [field.name for field in inputs]
        self._row: type[Any] = _row_type(model, inputs)
        self._single = msgspec.json.Decoder(self._row)
        rows: Any = list[self._row]  # type: ignore[name-defined]
        batch = msgspec.defstruct("Batch", [("requests", rows)], forbid_unknown_fields=True)
        self._batch: msgspec.json.Decoder[Any] = msgspec.json.Decoder(batch)

    def single(self, body: bytes) -> Request:
        """The one row of a body ``{"features": {...}, "entity"?, "model"?}``.

        Raises:
            InvalidInput: naming the field that is wrong.
        """
        try:
            return _request(self._single.decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._fault(body, error) from error

    def batch(self, body: bytes, max_rows: int) -> list[Request | InvalidInput]:
        """The rows of a body ``{"requests": [...]}``, and for each that is wrong its fault.

        Raises:
            InvalidInput: the body as a whole is wrong, empty or too long.
        """
        rows: list[Request | InvalidInput]
        try:
            rows = [_request(row) for row in self._batch.decode(body).requests]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            rows = self._rows_one_by_one(body, max_rows)
        check_length(rows, max_rows, "requests")
        return rows

    def _rows_one_by_one(self, body: bytes, max_rows: int) -> list[Request | InvalidInput]:
        document = _parse(body)
        if not isinstance(document, dict) or not isinstance(document.get("requests"), list):
            raise InvalidInput(
                "the rows are missing",
                where="requests",
                remedy='Send {"requests": [{"features": {...}}, ...]}.',
            )
        if unknown := document.keys() - {"requests"}:
            raise InvalidInput("the field is unknown", where=_printable(sorted(unknown)[0]))
        check_length(document["requests"], max_rows, "requests")
        return [self._convert(row, index) for index, row in enumerate(document["requests"])]

    def _convert(self, row: Any, index: int) -> Request | InvalidInput:
        found = _converted(row, self._row, f"requests[{index}]", self._names)
        return found if isinstance(found, InvalidInput) else _request(found)

    def _fault(self, body: bytes, error: Exception) -> InvalidInput:
        if isinstance(error, msgspec.ValidationError):
            return _explain(error, "", self._names)
        return next(_unusable(_parse(body)), None) or _malformed(error)


def named_model(body: bytes) -> str | None:
    """The model that a body names at its top, if it can be read at all."""
    try:
        return msgspec.json.decode(body, type=_Named).model
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def feedback(body: bytes, max_rows: int) -> list[FeedbackItem | InvalidInput]:
    """The items of a body, and for each that is wrong its fault.

    A body is one item ``{"prediction_id", "label"?, "value"?}`` or ``{"labels": [item, ...]}``.

    Raises:
        InvalidInput: the body as a whole is wrong, empty or too long.
    """
    items: list[FeedbackItem | InvalidInput]
    try:
        items = list(msgspec.json.decode(body, type=_Feedback).labels)
        place = "labels"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        items, place = _items_one_by_one(body, max_rows)
    check_length(items, max_rows, "labels")
    return [_told(item, f"labels[{index}]" if place else "") for index, item in enumerate(items)]


def _items_one_by_one(body: bytes, max_rows: int) -> tuple[list[FeedbackItem | InvalidInput], str]:
    """The items and the field that they are in; none for a body that is itself an item."""
    try:
        return [msgspec.json.decode(body, type=FeedbackItem)], ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = _parse(body)
    if not isinstance(document, dict) or "labels" not in document:
        return [_converted(document, FeedbackItem, "", _ITEM_FIELDS)], ""
    if unknown := document.keys() - {"labels"}:
        raise InvalidInput("the field is unknown", where=_printable(sorted(unknown)[0]))
    rows = document["labels"]
    if not isinstance(rows, list):
        raise InvalidInput(
            "the items are missing",
            where="labels",
            remedy='Send {"labels": [{"prediction_id": "...", "label": ...}, ...]}.',
        )
    check_length(rows, max_rows, "labels")
    return [
        _converted(row, FeedbackItem, f"labels[{index}]", _ITEM_FIELDS)
        for index, row in enumerate(rows)
    ], "labels"


def _told(item: FeedbackItem | InvalidInput, place: str) -> FeedbackItem | InvalidInput:
    if isinstance(item, InvalidInput) or not (item.label is UNSET and item.value is UNSET):
        return item
    return InvalidInput(
        "there is neither a label nor a value",
        where=place or "label, value",
        remedy="Send label (what was true), value (what it was worth, a finite number), or both.",
    )


def check_length(rows: Sized, max_rows: int, where: str) -> None:
    """Refuse a list that is empty or too long.

    Raises:
        InvalidInput: saying which, and the limit.
    """
    if not rows:
        raise InvalidInput("the list is empty", where=where, remedy="Send at least one.")
    if len(rows) > max_rows:
        raise InvalidInput(
            f"{len(rows)} rows are more than the {max_rows} that one request may have",
            where=where,
            remedy="Send them in several requests.",
        )


def _row_type(model: str, inputs: Sequence[Field]) -> type[msgspec.Struct]:
    fields: list[Any] = [_member(index, item) for index, item in enumerate(inputs)]
    rename = {f"f{index}": item.name for index, item in enumerate(inputs)}
    try:
        features = msgspec.defstruct(
            "Features", fields, rename=rename, forbid_unknown_fields=True, kw_only=True
        )
    except ValueError as error:
        raise InvalidInput(
            f"an input's name cannot be a field of a request ({error})",
            where=model,
            remedy="Rename columns that hold quotes, backslashes or control characters.",
        ) from error
    members: list[Any] = [
        ("features", features),
        ("entity", _Entity, None),
        ("model", str | None, None),
    ]
    return msgspec.defstruct("Row", members, forbid_unknown_fields=True)


def _member(index: int, item: Field) -> tuple[Any, ...]:
    kind = _TYPES[item.type]
    return (f"f{index}", kind) if item.required else (f"f{index}", kind | None, None)


def _request(row: Any) -> Request:
    entity = row.entity
    if entity is not None and not isinstance(entity, str):
        entity = str(entity)
    return Request(astuple(row.features), entity, row.model)


def _converted(row: Any, kind: type[Any], place: str, names: Sequence[str]) -> Any | InvalidInput:
    """A row that Python has read, as ``kind``, or its fault, named from ``place`` on."""
    if (fault := next(_unusable(row, place), None)) is not None:
        return fault
    try:
        return msgspec.convert(row, kind)
    except msgspec.ValidationError as error:
        return _explain(error, f"{place}." if place else "", names)


def _parse(body: bytes) -> Any:
    """The document as Python reads it: NaN and Infinity included, so that they can be named.

    Raises:
        InvalidInput: it is no JSON in UTF-8, or it is nested too deeply.
    """
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _malformed(error) from error


def _unusable(document: Any, path: str = "") -> Iterator[InvalidInput]:
    """What Python reads and nobody can write down again: NaN, infinities, halves of characters.

    Looks no deeper than a request is deep.
    """
    if isinstance(document, float) and not math.isfinite(document):
        yield InvalidInput(
            "the value is not finite",
            where=path,
            remedy="Leave the field out where a value is missing.",
        )
    elif isinstance(document, str) and not _is_text(document):
        yield _half_character(path)
    elif path.count(".") > 3:
        return
    elif isinstance(document, dict):
        for name, value in document.items():
            place = f"{path}.{name}" if path else name
            if not _is_text(name):
                yield _half_character(_printable(place))
            yield from _unusable(value, place)
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from _unusable(value, f"{path}[{index}]")


def _is_text(value: str) -> bool:
    """Whether UTF-8 has it; JSON can escape one half of a surrogate pair, which it has not."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _half_character(where: str) -> InvalidInput:
    return InvalidInput(
        "the text holds half of a surrogate pair, which is no character",
        where=where,
        remedy="Send whole characters; a cut through an escaped pair makes such halves.",
    )


def _malformed(error: Exception) -> InvalidInput:
    detail = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    return InvalidInput(
        f"the body is not valid JSON in UTF-8 ({detail[:200]})", remedy="Send a JSON object."
    )


def _meant(name: str, path: str, names: Sequence[str]) -> str:
    """What whoever sent an unknown field may have meant by it."""
    is_outside = ".features" not in path and "labels" not in path
    if is_outside and name in names and "prediction_id" not in names:
        return 'Put the inputs into "features": {...}.'
    known = [*names, *_ROW_FIELDS] if is_outside else names
    close = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {close[0]!r}?" if close else "GET /model-info lists the fields."


def _explain(error: msgspec.ValidationError, place: str, names: Sequence[str]) -> InvalidInput:
    """Msgspec's message in a person's words, with the field's place apart."""
    found = _AT.match(str(error))
    what, path = (found["what"], found["path"]) if found else (str(error), None)
    where = (place + (path or "").removeprefix("$").removeprefix(".")).rstrip(".")
    if field := _FIELD_FAULT.match(what):
        where = f"{where}.{field['name']}" if where else field["name"]
        if field["kind"] == "missing required":
            return InvalidInput("the field is missing", where=where)
        return InvalidInput(
            "the field is unknown", where=where, remedy=_meant(field["name"], path or "", names)
        )
    if kind := _TYPE_FAULT.match(what):
        wanted = " or ".join(_WORDS.get(word, word) for word in kind["wanted"].split(" | "))
        what = f"expected {wanted}, got {_WORDS.get(kind['got'], kind['got'])}"
    return InvalidInput(what, where=where)
