"""Joins labels to the predictions they are about: id -> the ledger's own record -> label event.

Writing a label twice is harmless: whoever folds the ledger counts the first one of an id.
"""

from __future__ import annotations

from collections.abc import Callable

from serinus import clock, wire
from serinus.errors import InvalidInput, NotFound, SerinusError
from serinus.ledger import ids
from serinus.ledger.reader import Reader
from serinus.serving.decode import Label
from serinus.wire import Answer, Manifest

FindManifest = Callable[[str, str], Manifest | None]


class Feedback:
    """Turns labels into events.

    Args:
        reader: of the ledger that the predictions are in.
        find_manifest: what is known of a model's version, if it is loaded.
    """

    def __init__(self, reader: Reader, find_manifest: FindManifest) -> None:
        self._reader = reader
        self._find_manifest = find_manifest

    def event(self, label: Label) -> wire.Label | SerinusError:
        """The label's event, or why it cannot be taken."""
        try:
            id = ids.decode(label.prediction_id)
            found = self._reader.lookup(id)
            if not isinstance(found, wire.Prediction):
                raise NotFound(
                    f"there is no prediction {label.prediction_id}",
                    where="prediction_id",
                    remedy="Give the prediction_id of an answer of this installation.",
                )
            manifest = self._find_manifest(found.assignment.model, found.version)
            value = checked(label.label, found.output.value, manifest)
        except SerinusError as error:
            return error
        return wire.Label(
            at=clock.epoch_us(),
            prediction=id,
            value=value,
            predicted_at=found.at,
            assignment=found.assignment,
            version=found.version,
            output=found.output,
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
