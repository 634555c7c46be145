"""An event as a row of plain columns, and the very same event out of its row again.

Answers are kept three times over, since nobody should have to know their type to ask for them: as
text, as a number where they are one, and with their type. Inputs are one JSON text: an object if
their names are known, else a list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from math import isfinite
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from serinus import wire
from serinus.ledger.types import Record
from serinus.wire import Answer, Arm, Assignment, Cell, Event, Output

Names: TypeAlias = Callable[[str, str], tuple[str, ...] | None]
"""The inputs' names of a model's version, in the order of its features; None if not known."""

Row: TypeAlias = tuple[Any, ...]
"""One value for each column of its kind."""

ColumnType: TypeAlias = Literal[
    "id", "time", "name", "text", "integer", "double", "doubles", "texts", "bytes"
]


class Kind(StrEnum):
    """The kinds of events, by the names of their tables."""

    PREDICTIONS = "predictions"
    FAILURES = "failures"
    SHADOWS = "shadows"
    LABELS = "labels"
    VALUES = "values"
    WORKERS = "workers"


class Column(NamedTuple):
    """One column: a ``name`` repeats often, a ``text`` does not; times are in microseconds.

    No name may be a word that SQL keeps for itself: an event's ``at`` is a ``time`` here.
    """

    name: str
    type: ColumnType


_ASSIGNMENT = (
    Column("model", "name"),
    Column("version", "name"),
    Column("arm", "name"),
    Column("share", "double"),
    Column("revision", "integer"),
    Column("deployment", "name"),
    Column("step", "integer"),
    Column("unit", "integer"),
)
# Of several challengers; behind the others, where files from before these were drawn lack them.
_SEVERAL = (Column("variant", "integer"), Column("shares", "doubles"))


def _answer(name: str) -> tuple[Column, ...]:
    return (
        Column(name, "text"),
        Column(f"{name}_number", "double"),
        Column(f"{name}_type", "name"),
    )


COLUMNS: Mapping[Kind, tuple[Column, ...]] = {
    Kind.PREDICTIONS: (
        Column("prediction_id", "id"),
        Column("time", "time"),
        *_ASSIGNMENT,
        *_answer("prediction"),
        Column("scores", "doubles"),
        Column("latency_us", "integer"),
        Column("fallback", "name"),
        Column("features", "text"),
        Column("features_exact", "bytes"),
        *_SEVERAL,
    ),
    Kind.FAILURES: (
        Column("prediction_id", "id"),
        Column("time", "time"),
        *_ASSIGNMENT,
        Column("reason", "name"),
        Column("latency_us", "integer"),
        Column("fallback", "name"),
        *_SEVERAL,
        *_answer("instead"),
    ),
    Kind.SHADOWS: (
        Column("event_id", "id"),
        Column("time", "time"),
        Column("prediction_id", "text"),
        *_ASSIGNMENT,
        *_answer("champion"),
        Column("champion_scores", "doubles"),
        *_answer("prediction"),
        Column("scores", "doubles"),
        Column("latency_us", "integer"),
        Column("failure", "name"),
        *_SEVERAL,
    ),
    Kind.LABELS: (
        Column("event_id", "id"),
        Column("time", "time"),
        Column("prediction_id", "text"),
        Column("predicted_at", "time"),
        *_ASSIGNMENT,
        *_answer("label"),
        *_answer("prediction"),
        Column("scores", "doubles"),
        *_SEVERAL,
    ),
    Kind.VALUES: (
        Column("event_id", "id"),
        Column("time", "time"),
        Column("prediction_id", "text"),
        Column("predicted_at", "time"),
        *_ASSIGNMENT,
        Column("value", "double"),
        *_SEVERAL,
    ),
    Kind.WORKERS: (
        Column("event_id", "id"),
        Column("time", "time"),
        Column("worker", "name"),
        Column("revision", "integer"),
        Column("ready", "texts"),
        Column("failed", "text"),
        Column("circuits", "text"),
    ),
}
"""The columns of each kind's table. The first is the id of the event itself.

New ones come last: in files from before there were any, they are missing and read as their default.
"""

MODEL_AT: Mapping[Kind, int] = {
    kind: [column.name for column in columns].index("model")
    for kind, columns in COLUMNS.items()
    if kind is not Kind.WORKERS
}
"""Where the rows of each kind name their model; workers belong to none."""

_json = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode
_FEATURES: msgspec.msgpack.Decoder[tuple[Cell, ...]] = msgspec.msgpack.Decoder(tuple[Cell, ...])
_TEXTS = msgspec.json.Decoder(dict[str, str])


def shape(record: Record, names: Names) -> tuple[Kind, Row]:
    """The table that an event belongs to, and its row there."""
    id, event = record.id.hex(), record.event
    match event:
        case wire.Prediction():
            row = (id, event.at, *_assigned(event), *_output(event.output))
            described = _features(event, names)
            row = (*row, event.latency_us, event.fallback, *described)
            return Kind.PREDICTIONS, (*row, *_several(event.assignment))
        case wire.Failure():
            row = (id, event.at, *_assigned(event))
            row = (*row, event.reason, event.latency_us, event.fallback)
            instead = (None, None, None) if event.default is None else _told(event.default)
            return Kind.FAILURES, (*row, *_several(event.assignment), *instead)
        case wire.Shadow():
            row = (id, event.at, event.prediction.hex(), *_assigned(event))
            row = (*row, *_output(event.champion), *_output(event.output))
            row = (*row, event.latency_us, event.failure)
            return Kind.SHADOWS, (*row, *_several(event.assignment))
        case wire.Label():
            row = (id, event.at, event.prediction.hex(), event.predicted_at, *_assigned(event))
            row = (*row, *_told(event.value), *_output(event.output))
            return Kind.LABELS, (*row, *_several(event.assignment))
        case wire.Value():
            row = (id, event.at, event.prediction.hex(), event.predicted_at, *_assigned(event))
            return Kind.VALUES, (*row, event.value, *_several(event.assignment))
        case wire.WorkerStatus():
            failed, circuits = (_json(of).decode() for of in (event.failed, event.circuits))
            row = (id, event.at, event.worker, event.revision, event.ready, failed, circuits)
            return Kind.WORKERS, row


def rebuild(kind: Kind, row: Mapping[str, Any]) -> Record:
    """The record that a row was made of.

    Args:
        kind: the row's table.
        row: by the columns' names; times as microseconds since 1970.
    """
    id = bytes.fromhex(row[COLUMNS[kind][0].name])
    return Record(id, _EVENTS[kind](row))


def _assigned(event: wire.Prediction | wire.Failure | wire.Shadow | wire.Label | wire.Value) -> Row:
    about = event.assignment
    return (
        about.model,
        event.version,
        about.arm.value,
        about.share,
        about.revision,
        about.deployment,
        about.step,
        about.unit,
    )


def _several(about: Assignment) -> Row:
    return about.variant, about.shares


def _assignment(row: Mapping[str, Any]) -> Assignment:
    return Assignment(
        model=row["model"],
        arm=Arm(row["arm"]),
        share=row["share"],
        revision=row["revision"],
        deployment=row["deployment"],
        step=row["step"],
        unit=row["unit"],
        variant=row.get("variant") or 0,
        shares=tuple(row.get("shares") or ()),
    )


def _told(answer: Answer) -> tuple[str, float | None, str]:
    if isinstance(answer, str):
        return answer, None, "text"
    if isinstance(answer, bool):
        return ("true" if answer else "false"), float(answer), "boolean"
    if isinstance(answer, int):
        return str(answer), float(answer), "integer"
    return repr(answer), answer, "double"


def _untold(row: Mapping[str, Any], name: str) -> Answer:
    text: str = row[name]
    match row[f"{name}_type"]:
        case "boolean":
            return text == "true"
        case "integer":
            return int(text)
        case "double":
            return float(text)
        case _:
            return text


def _output(output: Output | None) -> Row:
    if output is None:
        return (None, None, None, None)
    return (*_told(output.value), output.scores)


def _output_of(row: Mapping[str, Any], name: str, scores: str) -> Output | None:
    if row[name] is None:
        return None
    return Output(_untold(row, name), tuple(row[scores]))


def _features(event: wire.Prediction, names: Names) -> tuple[str, bytes | None]:
    """The inputs as JSON text, and once more in full where JSON cannot say them."""
    features = event.features
    known = names(event.assignment.model, event.version)
    named = dict(zip(known, features, strict=False)) if known is not None else {}
    fits = known is not None and len(known) == len(named) == len(features)
    text = _json(named if fits else features)
    # JSON has no word for what is not finite: it reads as missing there.
    lost = text.count(b"null") != features.count(None) and not all(
        isfinite(cell) for cell in features if isinstance(cell, float)
    )
    return text.decode(), _pack(features) if lost else None


def _features_of(row: Mapping[str, Any]) -> tuple[Cell, ...]:
    if row["features_exact"] is not None:
        return _FEATURES.decode(row["features_exact"])
    found = msgspec.json.decode(row["features"])
    return tuple(found.values()) if isinstance(found, dict) else tuple(found)


def _prediction(row: Mapping[str, Any]) -> Event:
    return wire.Prediction(
        at=row["time"],
        assignment=_assignment(row),
        version=row["version"],
        features=_features_of(row),
        output=Output(_untold(row, "prediction"), tuple(row["scores"])),
        latency_us=row["latency_us"],
        fallback=row["fallback"],
    )


def _failure(row: Mapping[str, Any]) -> Event:
    return wire.Failure(
        at=row["time"],
        assignment=_assignment(row),
        version=row["version"],
        reason=row["reason"],
        latency_us=row["latency_us"],
        fallback=row["fallback"],
        default=None if row.get("instead") is None else _untold(row, "instead"),
    )


def _shadow(row: Mapping[str, Any]) -> Event:
    return wire.Shadow(
        at=row["time"],
        prediction=bytes.fromhex(row["prediction_id"]),
        assignment=_assignment(row),
        version=row["version"],
        champion=_output_of(row, "champion", "champion_scores"),
        output=_output_of(row, "prediction", "scores"),
        latency_us=row["latency_us"],
        failure=row["failure"],
    )


def _label(row: Mapping[str, Any]) -> Event:
    return wire.Label(
        at=row["time"],
        prediction=bytes.fromhex(row["prediction_id"]),
        value=_untold(row, "label"),
        predicted_at=row["predicted_at"],
        assignment=_assignment(row),
        version=row["version"],
        output=Output(_untold(row, "prediction"), tuple(row["scores"])),
    )


def _value(row: Mapping[str, Any]) -> Event:
    return wire.Value(
        at=row["time"],
        prediction=bytes.fromhex(row["prediction_id"]),
        value=row["value"],
        predicted_at=row["predicted_at"],
        assignment=_assignment(row),
        version=row["version"],
    )


def _worker(row: Mapping[str, Any]) -> Event:
    return wire.WorkerStatus(
        at=row["time"],
        worker=row["worker"],
        revision=row["revision"],
        ready=tuple(row["ready"]),
        failed=_TEXTS.decode(row["failed"]),
        circuits=_TEXTS.decode(row.get("circuits") or "{}"),
    )


_EVENTS: Mapping[Kind, Callable[[Mapping[str, Any]], Event]] = {
    Kind.PREDICTIONS: _prediction,
    Kind.FAILURES: _failure,
    Kind.SHADOWS: _shadow,
    Kind.LABELS: _label,
    Kind.VALUES: _value,
    Kind.WORKERS: _worker,
}
