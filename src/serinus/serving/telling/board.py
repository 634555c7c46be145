"""The counts of all workers of one gateway, in memory that they share.

Made before the workers are forked. Each worker writes its own slot and reads all of them, so
that whichever worker is asked for ``/stats`` or ``/metrics`` answers for all. A slot holds two
pages, written in turn and checksummed: a worker that dies while writing spoils only the newer one.
"""

from __future__ import annotations

import mmap
import struct
import zlib

import msgspec

from serinus.serving.telling.counters import Counts, total

PAGE_BYTES = 1 << 17
_HEADER = struct.Struct(">QII")
_SEAT = struct.Struct(">i")
_NOBODY = -1


class Board:
    """Slots for ``workers`` workers, and one for what workers counted that are gone."""

    def __init__(self, workers: int = 1) -> None:
        self._memory = mmap.mmap(-1, (workers + 1) * 2 * PAGE_BYTES)
        self._gone = workers
        self._seats = mmap.mmap(-1, workers * _SEAT.size)
        for slot in range(workers):
            _SEAT.pack_into(self._seats, slot * _SEAT.size, _NOBODY)
        self._decoder: msgspec.msgpack.Decoder[Counts] = msgspec.msgpack.Decoder(Counts)
        self._turns: dict[int, int] = {}

    def write(self, slot: int, counts: Counts) -> None:
        """Show a worker's counts; only its own process writes a slot."""
        payload = msgspec.msgpack.encode(counts)
        if len(payload) > PAGE_BYTES - _HEADER.size:
            return  # Thousands of versions in one run: the last counts that fitted stay.
        turn = self._turns.get(slot, 0) + 1
        self._turns[slot] = turn
        start = self._page(slot, turn)
        self._memory[start : start + _HEADER.size] = _HEADER.pack(0, 0, 0)
        begin = start + _HEADER.size
        self._memory[begin : begin + len(payload)] = payload
        self._memory[start:begin] = _HEADER.pack(turn, len(payload), zlib.crc32(payload))

    def retire(self, slot: int) -> None:
        """Keep what a worker counted that is gone, and clear its slot for the next one."""
        found = self._read(slot)
        if found is not None:
            self.write(self._gone, total(c for c in (self._read(self._gone), found) if c))
        _SEAT.pack_into(self._seats, slot * _SEAT.size, _NOBODY)
        for turn in (0, 1):
            start = self._page(slot, turn)
            self._memory[start : start + _HEADER.size] = _HEADER.pack(0, 0, 0)

    def seat(self, slot: int, connections: int) -> None:
        """Show how many connections a worker has: at once, unlike its counts."""
        _SEAT.pack_into(self._seats, slot * _SEAT.size, connections)

    def has_fewest(self, slot: int) -> bool:
        """Whether no other worker has fewer connections."""
        seats = [_SEAT.unpack_from(self._seats, at)[0] for at in range(0, len(self._seats), 4)]
        return all(seats[slot] <= other for other in seats if other != _NOBODY)

    def is_alone(self, slot: int) -> bool:
        """Whether no other worker takes connections."""
        seats = [_SEAT.unpack_from(self._seats, at)[0] for at in range(0, len(self._seats), 4)]
        return all(seat == _NOBODY for other, seat in enumerate(seats) if other != slot)

    def others(self, slot: int) -> list[Counts]:
        """The counts of all other workers, gone ones included, as they last showed them."""
        found = [self._read(other) for other in range(self._gone + 1) if other != slot]
        return [counts for counts in found if counts is not None]

    def busy(self, slot: int) -> float:
        """The share of a core that a worker used, as it last showed it; 0 if it has not yet."""
        found = self._read(slot)
        return found.busy if found is not None else 0.0

    def _read(self, slot: int) -> Counts | None:
        newest: tuple[int, Counts] | None = None
        for page in (0, 1):
            start = self._page(slot, page)
            begin = start + _HEADER.size
            turn, length, crc = _HEADER.unpack(self._memory[start:begin])
            if length == 0 or length > PAGE_BYTES - _HEADER.size:
                continue
            payload = self._memory[begin : begin + length]
            if zlib.crc32(payload) == crc and (newest is None or turn > newest[0]):
                newest = (turn, self._decoder.decode(payload))
        return newest[1] if newest else None

    def _page(self, slot: int, turn: int) -> int:
        return (slot * 2 + turn % 2) * PAGE_BYTES
