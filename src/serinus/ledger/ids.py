"""A record's id is its address and its checksum, so that a look-up needs no index.

16 bytes, big-endian: writer (4), segment (4), offset (4), CRC-32 of the frame's payload (4).
Ids of one writer sort in the order in which its records were written.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from serinus.errors import InvalidInput

SIZE = 16
_LAYOUT = struct.Struct(">4sIII")


class Address(NamedTuple):
    """Where a record is: its writer's name, its segment and its byte offset, and its checksum."""

    writer: str
    segment: int
    offset: int
    crc: int


def pack(writer: bytes, segment: int, offset: int, crc: int) -> bytes:
    """The id of the record at this address; ``writer`` is the 4 raw bytes of its name."""
    return _LAYOUT.pack(writer, segment, offset, crc)


def unpack(id: bytes) -> Address:
    """The address that an id spells.

    Raises:
        InvalidInput: the id is not 16 bytes long.
    """
    if len(id) != SIZE:
        raise InvalidInput(f"a prediction id has {SIZE} bytes, this one {len(id)}")
    writer, segment, offset, crc = _LAYOUT.unpack(id)
    return Address(writer.hex(), segment, offset, crc)


def encode(id: bytes) -> str:
    """The text form of an id: 32 lower-case hexadecimal digits."""
    return id.hex()


def decode(text: str) -> bytes:
    """The id that ``text`` spells.

    Raises:
        InvalidInput: the text is not 32 hexadecimal digits.
    """
    try:
        id = bytes.fromhex(text)
    except ValueError:
        id = b""
    # fromhex forgives blanks between digits, so the length of the text counts too.
    if len(id) != SIZE or len(text) != 2 * SIZE:
        raise InvalidInput(
            f"{text[:64]!r} is not a prediction id",
            where="prediction_id",
            remedy="Give the prediction_id of an answer as it was: 32 hexadecimal digits.",
        )
    return id
