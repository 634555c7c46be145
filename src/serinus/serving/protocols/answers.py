"""What a gateway says: answers and problems as bytes. Pure."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from serinus.wire import Answer, Arm, Manifest

PROBLEM = b"application/problem+json"
JSON = b"application/json"


class Predicted(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to one row.

    ``arm`` is the one assigned; ``version`` answered: after a fallback, that is the champion's.
    What is not ``recorded`` has no id: the ledger was full, and the gateway told to answer.
    """

    prediction: Answer
    prediction_id: str
    model: str
    version: str
    arm: Arm
    revision: int
    probabilities: dict[str, float] | None = None
    fallback: bool = False
    recorded: bool = True


class Refused(msgspec.Struct, frozen=True):
    """A row of a batch that could not be answered."""

    error: dict[str, object]


_encoder = msgspec.json.Encoder()


def encode(value: object) -> bytes:
    """Any answer as JSON."""
    return _encoder.encode(value)


def class_names(manifest: Manifest) -> tuple[str, ...]:
    """The classes as the keys of ``probabilities``: text as it is, the others as JSON has them."""
    return tuple(
        name if isinstance(name, str) else encode(name).decode() for name in manifest.classes
    )


def problem(status: int, detail: str, *, remedy: str = "") -> dict[str, object]:
    """An RFC 9457 problem document for what HTTP itself has a status for."""
    document: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if remedy:
        document["remedy"] = remedy
    return document
