"""Which arm answers a request. Pure: the same entity, salt and share give the same arm anywhere.

An entity's position on [0, 1) is ``blake2b(salt + key) / 2^64`` and the challenger has all
positions below its share: raising the share moves nobody out of the challenger, and neither
another worker nor a restart moves anybody.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import blake2b

from serinus.wire import Arm, Assignment, Route

RANDOM_BYTES = 16
_POSITIONS = 1 << 64


def position(salt: bytes, key: bytes) -> int:
    """Where ``key`` stands among 2^64 positions; uniform over salts."""
    return int.from_bytes(blake2b(salt + key, digest_size=8).digest(), "big")


def threshold(share: float) -> int:
    """The number of positions that belong to a challenger of this share; non-decreasing in it."""
    return min(max(int(share * _POSITIONS), 0), _POSITIONS)


def unit_of(entity: str) -> int:
    """A 64-bit signed hash of an entity, never 0 (0 stands for: each request its own unit)."""
    digest = blake2b(entity.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True) or 1


class RandomKeys:
    """Fresh random keys, taken from the operating system in blocks: one call for many keys."""

    def __init__(self, keys_per_block: int = 256) -> None:
        self._size = keys_per_block * RANDOM_BYTES
        self._block = b""
        self._next = 0

    def __call__(self) -> bytes:
        """16 random bytes."""
        if self._next >= len(self._block):
            self._block = os.urandom(self._size)
            self._next = 0
        start = self._next
        self._next = start + RANDOM_BYTES
        return self._block[start : self._next]


class Router:
    """Assigns the requests of one route under one revision.

    Args:
        route: with the challenger removed (and share 0) if it cannot be served.
        revision: of the table that the route came from.
        random_key: gives the key of a request that is its own unit.
    """

    def __init__(self, route: Route, revision: int, random_key: Callable[[], bytes]) -> None:
        self._route = route
        self._revision = revision
        self._random_key = random_key
        self._salt = route.salt.encode()
        self._share = route.share if route.challenger is not None else 0.0
        self._threshold = threshold(self._share)
        self._by_entity = route.unit == "entity"
        # Nearly all requests of a route share one of these values; they are frozen.
        self._champion = self._assignment(Arm.CHAMPION, 0)
        self._challenger = self._assignment(Arm.CHALLENGER, 0)
        self._aside = Assignment(route.model, Arm.CHAMPION, 0.0, revision)

    def assign(self, entity: str | None) -> Assignment:
        """The assignment of one request; ``entity`` counts only if the route goes by entity."""
        if self._by_entity and entity is not None:
            arm = self._arm(entity.encode()) if self._threshold else Arm.CHAMPION
            return self._assignment(arm, unit_of(entity))
        if self._threshold and self._arm(self._random_key()) is Arm.CHALLENGER:
            return self._challenger
        return self._champion

    def force(self, arm: Arm) -> Assignment:
        """The assignment of a tester's request: it is no evidence, so it names no deployment."""
        return Assignment(self._route.model, arm, self._share, self._revision)

    def aside(self) -> Assignment:
        """The assignment of a request that draws no arm, whatever it asks: no evidence either."""
        return self._aside

    def _arm(self, key: bytes) -> Arm:
        return Arm.CHALLENGER if position(self._salt, key) < self._threshold else Arm.CHAMPION

    def _assignment(self, arm: Arm, unit: int) -> Assignment:
        route = self._route
        return Assignment(
            route.model, arm, self._share, self._revision, route.deployment, route.step, unit
        )
