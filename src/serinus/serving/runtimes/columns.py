"""Rows and answers as the messages between a gateway and a model's process. Pure.

The other end is ``child``, which says what the messages are. What comes from there is not
trusted: it can be wrong, but not make this process do anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from serinus.errors import InvalidInput
from serinus.serving.runtimes.child import HEADER, padded
from serinus.serving.types import Features
from serinus.wire import Field

Array: TypeAlias = npt.NDArray[Any]
Whole: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Size: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Plain: TypeAlias = str | Whole | float | bool | None

_KINDS = {"double": "d", "long": "q", "boolean": "?", "string": "s"}


class Described(msgspec.Struct, frozen=True):
    """One array of an answer; its numbers follow the head unless they are ``values``."""

    type: Literal["<f8", "<i8", "|b1", "json"]
    shape: tuple[Size, ...]
    values: list[Plain] = []


class Reply(msgspec.Struct, frozen=True):
    """The head of a message that comes up: the first one, or the answer to a call."""

    error: str = ""
    versions: dict[str, str] = {}
    classes: tuple[Plain, ...] | None = None
    values: Described | None = None
    scores: Described | None = None


_replies = msgspec.json.Decoder(Reply)


class RowPacker:
    """Writes rows of one model, column by column.

    A missing number becomes NaN, and a column of whole numbers or booleans that lacks one a column
    of numbers or plain values: the types that the model would get in the gateway's own process.
    """

    def __init__(self, inputs: Sequence[Field]) -> None:
        self._types = [field.type for field in inputs]
        self._numeric = all(kind == "double" for kind in self._types)

    def pack(self, rows: Sequence[Features]) -> bytes:
        """The message that asks for answers to ``rows``."""
        if self._numeric:
            block = np.array(rows, dtype=np.float64)
            return message({"rows": len(rows), "kinds": ""}, block.tobytes())
        kinds = ""
        texts: list[Sequence[Any]] = []
        numbers = bytearray()
        for type_, values in zip(self._types, zip(*rows, strict=True), strict=True):
            kind = _kind(type_, values)
            kinds += kind
            if kind in "so":
                texts.append(values)
                continue
            raw = np.array(values, dtype=kind).tobytes()
            numbers += raw + bytes(padded(len(raw)) - len(raw))
        return message({"rows": len(rows), "kinds": kinds, "values": texts}, bytes(numbers))


def message(head: dict[str, Any], numbers: bytes = b"") -> bytes:
    """A message that goes down."""
    text = msgspec.json.encode(head)
    return HEADER.pack(len(text), len(numbers)) + text + numbers


def reply(head: bytes | memoryview) -> Reply:
    """The head of a message that came up.

    Raises:
        InvalidInput: it is none.
    """
    try:
        return _replies.decode(head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the process sent what is no answer ({error})") from error


def arrays(head: Reply, numbers: bytes | memoryview) -> tuple[Array | None, Array | None]:
    """The values and scores of an answer, as far as it has them.

    Raises:
        InvalidInput: the message does not hold what its head says.
    """
    start = 0
    found: list[Array | None] = []
    for about in (head.values, head.scores):
        if about is None:
            found.append(None)
            continue
        array, size = _array(about, numbers[start:])
        found.append(array)
        start += size
    return found[0], found[1]


def _kind(type_: str, values: Sequence[Any]) -> str:
    if type_ in {"long", "boolean"} and None in values:
        return "d" if type_ == "long" else "o"
    return _KINDS[type_]


def _array(about: Described, numbers: bytes | memoryview) -> tuple[Array, int]:
    try:
        if about.type == "json":
            plain: Array = np.empty(len(about.values), dtype=object)
            plain[:] = about.values
            return plain.reshape(about.shape), 0
        count = math.prod(about.shape)
        array = np.frombuffer(numbers, dtype=about.type, count=count)
        return array.reshape(about.shape), padded(array.nbytes)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            f"the process sent an answer of shape {list(about.shape)} that holds something else"
        ) from error
