"""Which arm answers a request. Pure: the same entity, salt and share give the same arm anywhere.

An entity's position on [0, 1) is ``blake2b(salt + key) / 2^64``. The challenger has all positions
below its share, each further challenger those from its start to its start plus its share, the
champion the rest: raising a share moves nobody out of a challenger, dropping a challenger moves
nobody but its own, and neither another worker nor a restart moves anybody.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import blake2b

import msgspec

from serinus.wire import FORCED, Arm, Assignment, Route

RANDOM_BYTES = 16
_POSITIONS = 1 << 64
_CHAMPION = -1


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
        route: without the challenger if it cannot be served; of the further ones, those that
            cannot be have share 0.
        revision: of the table that the route came from.
        random_key: gives the key of a request that is its own unit.
    """

    def __init__(self, route: Route, revision: int, random_key: Callable[[], bytes]) -> None:
        self._route = route
        self._revision = revision
        self._random_key = random_key
        self._salt = route.salt.encode()
        first = route.share if route.challenger is not None else 0.0
        shares = (first, *(variant.share for variant in route.others))
        self._share = sum(shares) if route.others else first
        self._shares = shares if route.others else ()
        self._threshold = threshold(first)
        self._rest = tuple(
            (threshold(one.start), threshold(one.start + one.share), place)
            for place, one in enumerate(route.others, 1)
            if one.share > 0.0
        )
        # From here on, all positions are the champion's.
        self._end = max([self._threshold, *(end for _, end, _ in self._rest)])
        self._by_entity = route.unit == "entity"
        # Nearly all requests of a route share one of these values; they are frozen. The champion
        # is the last one, where -1 finds it.
        self._usual = [self._assignment(place, 0) for place in (*range(len(shares)), _CHAMPION)]
        self._champion = self._usual[_CHAMPION]
        self._aside = Assignment(route.model, Arm.CHAMPION, 0.0, revision)
        self._fewer: dict[frozenset[int], Router] = {}

    def assign(self, entity: str | None) -> Assignment:
        """The assignment of one request; ``entity`` counts only if the route goes by entity."""
        if self._by_entity and entity is not None:
            drawn = self._draw(entity.encode()) if self._end else _CHAMPION
            return self._assignment(drawn, unit_of(entity))
        if self._end:
            return self._usual[self._draw(self._random_key())]
        return self._champion

    def force(self, arm: Arm, variant: int = 0) -> Assignment:
        """The assignment of a tester's request: it is no evidence, so it names no deployment."""
        return Assignment(
            self._route.model, arm, self._share, self._revision, step=FORCED, variant=variant
        )

    def aside(self) -> Assignment:
        """The assignment of a request that draws no arm, whatever it asks: no evidence either."""
        return self._aside

    def without(self, places: frozenset[int]) -> Router:
        """The router for as long as some of several challengers are not asked.

        What is theirs goes to the champion, under shares that say so.
        """
        found = self._fewer.get(places)
        if found is None:
            others = tuple(
                msgspec.structs.replace(one, share=0.0) if place in places else one
                for place, one in enumerate(self._route.others, 1)
            )
            share = 0.0 if 0 in places else self._route.share
            route = msgspec.structs.replace(self._route, share=share, others=others)
            found = self._fewer[places] = Router(route, self._revision, self._random_key)
        return found

    def _draw(self, key: bytes) -> int:
        """The place of the challenger that a key belongs to; -1 is the champion."""
        at = position(self._salt, key)
        if at < self._threshold:
            return 0
        if at < self._end:
            for start, end, place in self._rest:
                if start <= at < end:
                    return place
        return _CHAMPION

    def _assignment(self, place: int, unit: int) -> Assignment:
        route = self._route
        return Assignment(
            route.model,
            Arm.CHAMPION if place < 0 else Arm.CHALLENGER,
            self._share,
            self._revision,
            route.deployment,
            route.step,
            unit,
            max(place, 0),
            self._shares,
        )
