"""From the bytes of a body to typed rows, by a decoder made from a model's manifest. Pure.

The usual body is decoded in one go by msgspec. Only a body that is refused is looked at again,
slowly, to name the fields that are wrong, and, in a batch, to save the rows that are right.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import astuple

from serinus.errors import InvalidInput
from serinus.serving.protocols.faults import Faults, malformed, parse, printable
from serinus.serving.types import Features
from serinus.wire import Field

_Long = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_TYPES: dict[str, Any] = {"double": float, "long": _Long, "boolean": bool, "string": str}
MOST_TOLD = 10
"""Of so many of a batch's wrong rows every fault is told, of those behind them the first."""


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


_ITEM_FAULTS = Faults(FeedbackItem)


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
        self._row: type[Any] = _row_type(model, inputs)
        self._faults = Faults(self._row)
        self._single = msgspec.json.Decoder(self._row)
        rows: Any = list[self._row]  # type: ignore[name-defined]
        batch = msgspec.defstruct("Batch", [("requests", rows)], forbid_unknown_fields=True)
        self._batch: msgspec.json.Decoder[Any] = msgspec.json.Decoder(batch)

    def single(self, body: bytes) -> Request:
        """The one row of a body ``{"features": {...}, "entity"?, "model"?}``.

        Raises:
            InvalidInput: naming every field that is wrong.
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
        document = parse(body)
        if not isinstance(document, dict) or not isinstance(document.get("requests"), list):
            raise InvalidInput(
                "the rows are missing",
                where="requests",
                remedy='Send {"requests": [{"features": {...}}, ...]}.',
            )
        if unknown := document.keys() - {"requests"}:
            raise InvalidInput("the field is unknown", where=printable(sorted(unknown)[0]))
        check_length(document["requests"], max_rows, "requests")
        found = _each(document["requests"], self._faults, "requests")
        return [row if isinstance(row, InvalidInput) else _request(row) for row in found]

    def _fault(self, body: bytes, error: Exception) -> InvalidInput:
        first = self._faults.explain(error) if isinstance(error, msgspec.ValidationError) else None
        try:
            found = self._faults.read(parse(body), "")
        except InvalidInput as unread:
            return first or unread
        return found if isinstance(found, InvalidInput) else first or malformed(error)


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
        document = parse(body)
    if not isinstance(document, dict) or "labels" not in document:
        return [_ITEM_FAULTS.read(document, "")], ""
    if unknown := document.keys() - {"labels"}:
        raise InvalidInput("the field is unknown", where=printable(sorted(unknown)[0]))
    rows = document["labels"]
    if not isinstance(rows, list):
        raise InvalidInput(
            "the items are missing",
            where="labels",
            remedy='Send {"labels": [{"prediction_id": "...", "label": ...}, ...]}.',
        )
    check_length(rows, max_rows, "labels")
    return _each(rows, _ITEM_FAULTS, "labels"), "labels"


def _each(documents: Sequence[Any], faults: Faults, place: str) -> list[Any | InvalidInput]:
    """The rows of a list, and for each that is wrong its faults: all, if it is among the first."""
    found, wrong = [], 0
    for index, document in enumerate(documents):
        row = faults.read(document, f"{place}[{index}]", all_of_them=wrong < MOST_TOLD)
        wrong += isinstance(row, InvalidInput)
        found.append(row)
    return found


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
