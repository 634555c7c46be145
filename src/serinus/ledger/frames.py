"""The form of a record on disk: u32 length, u32 CRC-32 of the payload, payload (big-endian).

A frame is whole or it is nothing: a length of zero, a length beyond what is there, or a wrong
checksum is a torn frame. (Zero is refused because a page that the kernel allocated and never
wrote reads as zeros, which would otherwise pass for empty frames.)
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

HEADER_SIZE = 8
MAX_PAYLOAD = 1 << 26
_HEADER = struct.Struct(">II")


class Frame(NamedTuple):
    """A whole frame in a buffer: where it starts and ends there, its checksum, its payload."""

    start: int
    end: int
    crc: int
    payload: memoryview


def pack(payload: bytes) -> tuple[int, bytes]:
    """The checksum of a payload and the header that goes before it."""
    crc = zlib.crc32(payload)
    return crc, _HEADER.pack(len(payload), crc)


def at(buffer: memoryview, start: int) -> Frame | None:
    """The frame that starts at byte ``start``; None if none that is whole does."""
    begin = start + HEADER_SIZE
    if start < 0 or begin > len(buffer):
        return None
    length, crc = _HEADER.unpack_from(buffer, start)
    end = begin + length
    if length == 0 or length > MAX_PAYLOAD or end > len(buffer):
        return None
    payload = buffer[begin:end]
    if zlib.crc32(payload) != crc:
        return None
    return Frame(start, end, crc, payload)


def is_cut_short(buffer: memoryview, start: int) -> bool:
    """Whether the buffer ends inside the frame that starts at byte ``start``."""
    begin = start + HEADER_SIZE
    if begin > len(buffer):
        return True
    length, _ = _HEADER.unpack_from(buffer, start)
    return 0 < length <= MAX_PAYLOAD and begin + int(length) > len(buffer)


def scan(buffer: memoryview, start: int = 0) -> Iterator[Frame]:
    """Whole frames one after the other from byte ``start``, up to the first that is torn."""
    while (frame := at(buffer, start)) is not None:
        yield frame
        start = frame.end


def next_whole(buffer: memoryview, start: int) -> int | None:
    """The first byte at or after ``start`` where a whole frame begins; None if there is none.

    For the rare segment that was damaged in its middle: everything behind the damage still counts.
    """
    for position in range(start, len(buffer) - HEADER_SIZE):
        if at(buffer, position) is not None:
            return position
    return None
