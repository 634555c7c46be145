"""Versions that are loaded on demand, apart from those that serve: production must not feel them.

One is loaded at a time, when it is first asked for and if there is room for it. What was not asked
for a while, or is wanted no more, is let go, and so is all of it where production needs the room.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import NamedTuple

from serinus import clock
from serinus.errors import SerinusError, Unavailable
from serinus.serving.asking.lanes import Lane
from serinus.serving.threads import Hand
from serinus.wire import Arm, Target

LOAD_SECONDS = 60.0
IDLE_SECONDS = 300.0
RETRY_SECONDS = 10.0
"""How long what could not be loaded is not tried again."""

_log = logging.getLogger("serinus.serving")


class Key(NamedTuple):
    """A version, and what it is loaded for: the same one may be there in several roles."""

    role: Arm
    model: str
    target: Target

    def __str__(self) -> str:
        return f"{self.model}@{self.target.version}"


class Loaded(NamedTuple):
    """A loaded version and how many bytes it takes."""

    lane: Lane
    size: int


Open = Callable[[Key], Loaded]


class Apart:
    """The versions of one worker that are there on demand.

    Args:
        loop: the event loop; all methods are called in it.
        open: loads a version; called in a thread.
        size_of: the bytes that a version will take.
        room: how many bytes there are left for it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        open: Open,
        size_of: Callable[[Target], int],
        room: Callable[[], float],
    ) -> None:
        self._loop = loop
        self._open = open
        self._size_of = size_of
        self._room = room
        self._loaded: dict[Key, Loaded] = {}
        self._loading: dict[Key, asyncio.Task[None]] = {}
        self._failed: dict[Key, tuple[str, float]] = {}
        self._asked_at: dict[Key, float] = {}
        self._turn = asyncio.Lock()

    @property
    def size(self) -> int:
        """The bytes that all of them take."""
        return sum(loaded.size for loaded in self._loaded.values())

    def find(self, key: Key) -> Lane | None:
        """A version if it is loaded; if not, it begins to load."""
        self._asked_at[key] = clock.monotonic()
        found = self._loaded.get(key)
        if found is not None:
            return found.lane
        if key not in self._loading and not self.fault(key):
            self._loading[key] = self._loop.create_task(self._load(key))
        return None

    async def wait(self, key: Key, seconds: float) -> Lane:
        """A version once it is loaded.

        Raises:
            Unavailable: it cannot be loaded, or not in so many seconds.
        """
        found = self.find(key)
        if found is None and key in self._loading:
            await asyncio.wait({self._loading[key]}, timeout=seconds)
            found = self.find(key)
        if found is not None:
            return found
        why = self.fault(key)
        raise Unavailable(
            f"the version cannot be loaded ({why})" if why else "the version is being loaded",
            where=str(key),
            remedy="Register a version that loads." if why else "Try again in a moment.",
        )

    def fault(self, key: Key) -> str:
        """Why a version could not be loaded just now; empty if nothing is known against it."""
        why, until = self._failed.get(key, ("", 0.0))
        return why if clock.monotonic() < until else ""

    def is_loaded(self, key: Key) -> bool:
        """Whether a version is there; to ask does not load it."""
        return key in self._loaded

    def sweep(self, wanted: Collection[Key]) -> None:
        """Let go of what is not wanted any more, was not asked for long, or has no room."""
        now = clock.monotonic()
        self._failed = {key: item for key, item in self._failed.items() if item[1] > now}
        for key, (lane, _) in list(self._loaded.items()):
            is_idle = now - self._asked_at.get(key, 0.0) > IDLE_SECONDS
            if (key not in wanted or is_idle or self._room() < 0) and lane.pending == 0:
                del self._loaded[key]
                lane.close()
                _log.info("%s is let go, which was there as %s", key, key.role)
        known = self._loaded.keys() | self._loading.keys() | self._failed.keys()
        self._asked_at = {key: at for key, at in self._asked_at.items() if key in known}

    async def _load(self, key: Key) -> None:
        async with self._turn:
            try:
                self._loaded[key] = await self._opened(key)
            except Exception as error:
                why = error.what if isinstance(error, SerinusError) else str(error)
                self._failed[key] = (why[:500], clock.monotonic() + RETRY_SECONDS)
                _log.warning("%s cannot be loaded as %s: %s", key, key.role, why)
        del self._loading[key]

    async def _opened(self, key: Key) -> Loaded:
        size, room = self._size_of(key.target), self._room()
        if size > room:
            raise Unavailable(f"there is no room for its {size:,} bytes beside what serves")
        hand = Hand(self._loop, f"load {key}")
        opening = hand.call(lambda: self._open(key))
        hand.close()
        done, _ = await asyncio.wait({opening}, timeout=LOAD_SECONDS)
        if not done:
            # A thread cannot be stopped: what it brings is let go when it comes.
            opening.add_done_callback(_let_go)
            raise Unavailable(f"it did not load within {LOAD_SECONDS:g} s")
        loaded: Loaded = opening.result()
        return loaded


def _let_go(opening: asyncio.Future[Loaded]) -> None:
    if opening.exception() is None:
        opening.result().lane.close()
