"""Events as bytes: what a record carries, wherever it is kept."""

from __future__ import annotations

import msgspec

from serinus.errors import InvalidInput
from serinus.ledger import frames
from serinus.wire import Event

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)


def encode(event: Event) -> bytes:
    """The payload of an event.

    Raises:
        InvalidInput: it is larger than a record may be, or holds what cannot be packed.
    """
    try:
        payload = _encoder.encode(event)
    except (ValueError, OverflowError, TypeError, RecursionError) as error:
        raise InvalidInput(
            f"an event cannot be packed ({error})",
            remedy="Send text that is whole and integers of at most 64 bits.",
        ) from error
    if len(payload) > frames.MAX_PAYLOAD:
        raise InvalidInput(
            f"an event of {len(payload)} bytes is too large for the ledger",
            remedy=f"Send at most {frames.MAX_PAYLOAD} bytes per row.",
        )
    return payload


def decode(payload: bytes | memoryview) -> Event | None:
    """The event of a payload; None if it is of a form that this version does not know."""
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
