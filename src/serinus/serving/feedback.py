"""Joins what turned out to the predictions it is about: id -> the ledger's own record -> events.

Telling the same twice is harmless: whoever folds the ledger counts the first label of an id, and
the first value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from msgspec import UNSET

from serinus import clock, wire
from serinus.errors import InvalidInput, NotFound, SerinusError
from serinus.ledger import ids
from serinus.ledger.types import Reader
from serinus.serving.protocols.decode import FeedbackItem
from serinus.wire import Answer, Manifest

FindManifest = Callable[[str, str], Manifest | None]
Told: TypeAlias = wire.Label | wire.Value
"""The event of a label or of a value."""


class Feedback:
    """Turns labels and values into events.

    Args:
        reader: of the ledger that the predictions are in.
        find_manifest: what is known of a model's version, if it is loaded.
    """

    def __init__(self, reader: Reader, find_manifest: FindManifest) -> None:
        self._reader = reader
        self._find_manifest = find_manifest

    def events(self, item: FeedbackItem) -> list[Told] | SerinusError:
        """One event for the label and one for the value, or why the item cannot be taken.

        An item whose label is wrong is refused with its value: half of it would be hard to repeat.
        """
        try:
            id = ids.decode(item.prediction_id)
            found = self._found(id, item.prediction_id)
            events: list[Told] = []
            if item.label is not UNSET:
                manifest = self._find_manifest(found.assignment.model, found.version)
                events.append(_label(id, found, checked(item.label, found.output.value, manifest)))
            if item.value is not UNSET:
                events.append(_value(id, found, item.value))
        except SerinusError as error:
            return error
        return events

    def _found(self, id: bytes, text: str) -> wire.Prediction:
        found = self._reader.lookup(id)
        if not isinstance(found, wire.Prediction):
            raise NotFound(
                f"there is no prediction {text}",
                where="prediction_id",
                remedy="Give the prediction_id of an answer of this installation.",
            )
        return found


def _label(id: bytes, about: wire.Prediction, label: Answer) -> wire.Label:
    return wire.Label(
        at=clock.epoch_us(),
        prediction=id,
        value=label,
        predicted_at=about.at,
        assignment=about.assignment,
        version=about.version,
        output=about.output,
    )


def _value(id: bytes, about: wire.Prediction, value: float) -> wire.Value:
    return wire.Value(
        at=clock.epoch_us(),
        prediction=id,
        value=value,
        predicted_at=about.at,
        assignment=about.assignment,
        version=about.version,
    )


def checked(label: Answer, predicted: Answer, manifest: Manifest | None) -> Answer:
    """The label, in the terms of the model that it is about.

    Args:
        label: as it was sent.
        predicted: what the model had said; without a manifest, all that is known of its terms.
        manifest: of the version that predicted, if it is known.

    Raises:
        InvalidInput: it is none of the model's classes, or no number.
    """
    if manifest is not None and manifest.classes:
        for name in manifest.classes:
            # True == 1 in Python, but a boolean is no class of a model whose classes are numbers.
            if name == label and isinstance(name, bool) == isinstance(label, bool):
                return name
        raise InvalidInput(
            f"{label!r} is none of the classes of {manifest.model!r}",
            where="label",
            remedy=f"Its classes are {', '.join(map(repr, manifest.classes[:20]))}.",
        )
    wanted = _kind(predicted)
    if _kind(label) != wanted:
        raise InvalidInput(f"the label must be {wanted}, as the prediction was", where="label")
    return float(label) if isinstance(predicted, float) else label


def _kind(value: Answer) -> str:
    if isinstance(value, bool):
        return "a boolean"
    return "text" if isinstance(value, str) else "a number"
