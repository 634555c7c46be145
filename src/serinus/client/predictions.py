"""What predictions and labels are answered with."""

from __future__ import annotations

import msgspec

from serinus.wire import Answer


class Prediction(msgspec.Struct, frozen=True):
    """One answer of the gateway; ``prediction_id`` is what a later label names."""

    prediction: Answer
    prediction_id: str
    model: str
    version: str
    arm: str
    revision: int
    probabilities: dict[str, float] | None = None
    fallback: bool = False


class Problem(msgspec.Struct, frozen=True):
    """Why one request of a batch could not be answered."""

    title: str
    status: int
    detail: str
    where: str = ""
    remedy: str = ""


class Refused(msgspec.Struct, frozen=True):
    """A request of a batch that got no answer."""

    error: Problem


class Told(msgspec.Struct, frozen=True, gc=False):
    """What turned out of one prediction: what was true, what it was worth, or both."""

    prediction_id: str
    label: Answer | msgspec.UnsetType = msgspec.UNSET
    value: float | msgspec.UnsetType = msgspec.UNSET


class Untold(msgspec.Struct, frozen=True):
    """Something that was to be told of a prediction and was refused, with the reason.

    ``place`` is its position among all that were given, from 0.
    """

    place: int
    prediction_id: str
    label: Answer | None
    value: float | str | None
    reason: str


class Sent(msgspec.Struct, frozen=True):
    """How far many labels and values have come.

    ``settled`` counts from the start without a gap: all before that place were taken or refused.
    """

    settled: int = 0
    accepted: int = 0
    refused: int = 0
