"""The form of a record on disk: u32 length, u32 CRC-32 of the payload, payload (big-endian).

A frame is whole or it is nothing: a length of zero, a length beyond what is there, or a wrong
checksum is a torn frame. (Zero is refused because a page that the kernel allocated and never
wrote reads as zeros, which would otherwise pass for empty frames.)
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

HEADER_SIZE = 8
MAX_PAYLOAD = 1 << 26
FOUND_PAYLOAD = (1 << 20) - 1
"""The largest payload that is looked for where nothing is known to begin."""
_HEADER = struct.Struct(">II")
# Headers of such payloads, overlapping ones too: found by the regular expression's own loop.
_LIKELY = re.compile(rb"(?=\x00[\x00-\x0f]..(?<!\x00{4})....)", re.DOTALL)
# What a search may cost, and what a candidate costs beside its checksum, in bytes to checksum.
_SEARCH_BYTES = 1 << 30
_CANDIDATE_BYTES = 512


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


def reaches(header: memoryview) -> int:
    """How many bytes the frame of this header has, the header included; 0 if it is no header.

    Of a header that is not all there, at least so many as a header has.
    """
    if len(header) < HEADER_SIZE:
        return HEADER_SIZE
    length, _ = _HEADER.unpack_from(header, 0)
    return HEADER_SIZE + int(length) if 0 < length <= MAX_PAYLOAD else 0


def is_cut_short(buffer: memoryview, start: int) -> bool:
    """Whether the buffer ends inside the frame that starts at byte ``start``."""
    return start + reaches(buffer[start : start + HEADER_SIZE]) > len(buffer)


def scan(buffer: memoryview, start: int = 0) -> Iterator[Frame]:
    """Whole frames one after the other from byte ``start``, up to the first that is torn."""
    while (frame := at(buffer, start)) is not None:
        yield frame
        start = frame.end


def next_whole(buffer: memoryview, start: int) -> int | None:
    """The first byte at or after ``start`` where a whole frame begins; None if there is none.

    For the rare segment that was damaged in its middle: everything behind the damage still counts,
    but for a frame of more than ``FOUND_PAYLOAD`` bytes right behind it. What looks like frames
    without being any is given up after a second or so: it is not searched for ever.
    """
    budget = _SEARCH_BYTES
    for found in _LIKELY.finditer(buffer, start):
        position = found.start()
        if at(buffer, position) is not None:
            return position
        budget -= _CANDIDATE_BYTES + int.from_bytes(buffer[position : position + 4], "big")
        if budget < 0:
            return None
    return None
