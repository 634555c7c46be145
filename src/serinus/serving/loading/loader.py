"""Loads what the routing table names, beside the traffic, and keeps it for the next table.

What needs no load is in force at once. What is not loaded yet is loaded and tried out, and then put
in force by another snapshot; until then, and if it cannot be loaded, a challenger's traffic stays
with the champion, and a champion's predecessor goes on.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping

from serinus import clock
from serinus.serving.asking.lanes import Lane
from serinus.serving.asking.live import LiveRoute
from serinus.serving.loading.absent import BY_HAND
from serinus.serving.loading.memory import Held, surplus
from serinus.serving.loading.routes import MakeLane, Routes, Stock, words
from serinus.serving.loading.snapshot import Snapshot
from serinus.serving.loading.table import Key, kept_warm, label, versions
from serinus.serving.runtimes import artifacts
from serinus.serving.runtimes.types import ProcessLimits
from serinus.serving.threads import Hand
from serinus.wire import RoutingTable, Target

LOAD_SECONDS = 60.0
AWAKE_SECONDS = 3.0
"""A version that was used so lately is not unloaded, however much memory there is too little."""

_log = logging.getLogger("serinus.serving")


class Loader:
    """Builds snapshots of what is loaded, loads the rest, and keeps what is loaded for the next.

    Each version is loaded in a thread of its own, so that a slow one holds up no other.

    Args:
        loop: the event loop.
        make_lane: a lane for a loaded version.
        changed: called in the loop when a version was loaded or could not be: a new snapshot
            now holds more than the last one.
        budget: bytes that the artifacts of loaded versions may have together; 0 is no limit.
        limits: of versions that run in processes of their own.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        make_lane: MakeLane,
        changed: Callable[[], None],
        budget: int = 0,
        limits: ProcessLimits | None = None,
    ) -> None:
        self._loop = loop
        self._make_lane = make_lane
        self._changed = changed
        self._routes = Routes(make_lane)
        self._lanes: dict[Key, Lane] = {}
        self._sizes: dict[Key, int] = {}
        self._asleep: set[Key] = set()
        self._wanted: set[Key] = set()
        self._late: dict[Key, asyncio.Future[tuple[Lane, int]]] = {}
        self._budget = budget
        self._limits = limits
        self._loading: dict[Key, asyncio.Task[None]] = {}
        self._failed: dict[Key, str] = {}

    def find(self, model: str, version: str) -> Lane | None:
        """A loaded version, in service or not."""
        for (name, target), lane in self._lanes.items():
            if name == model and target.version == version:
                return lane
        return None

    def fetch(self, table: RoutingTable) -> None:
        """Begin to load what ``table`` names and is not loaded; drop loads that it does not name.

        What failed before is tried again.
        """
        wanted = self._wanted = versions(table)
        for key in self._loading.keys() - wanted:
            self._loading.pop(key).cancel()
        self._failed = {key: why for key, why in self._failed.items() if key in wanted}
        warm = kept_warm(table)
        self._asleep = (self._asleep & wanted) - warm
        room = (self._budget or math.inf) - sum(self._sizes.values())
        unknown = wanted - self._lanes.keys() - self._loading.keys() - self._asleep
        # What loads too long already is not begun a second time.
        unknown -= self._late.keys()
        for key in sorted(unknown, key=label):
            room -= artifacts.size(key[1]) if self._budget else 0
            if room >= 0 or key in warm:
                self._begin(key)
            else:
                self._asleep.add(key)

    async def wake(self, table: RoutingTable, model: str, seconds: float) -> None:
        """Load the versions of a model again that were unloaded.

        Returns once they are there, or after so many seconds.
        """
        keys = {key for key in versions(table) if key[0] == model} & self._asleep
        self._asleep -= keys
        for key in keys:
            self._begin(key)
        waiting = [task for key, task in self._loading.items() if key[0] == model]
        if waiting:
            await asyncio.wait(waiting, timeout=seconds)

    @property
    def size(self) -> int:
        """The bytes that the loaded versions take."""
        return sum(self._sizes.values())

    @property
    def is_over_budget(self) -> bool:
        """Whether the loaded versions take more memory than they may."""
        return 0 < self._budget < self.size

    async def loaded(self) -> None:
        """Wait until nothing is being loaded."""
        while self._loading:
            await asyncio.wait(self._loading.values())

    def snapshot(self, table: RoutingTable, before: Snapshot) -> Snapshot:
        """The snapshot that serves ``table`` as far as its versions are loaded."""
        wanted = versions(table)
        stock = Stock(self._lanes, self._failed, self._asleep)
        routes, unfit = self._routes.make(table, before.routes, stock)
        failed = {label(key): why for key, why in self._failed.items() if key in wanted}
        self._release(table, routes)
        asleep = frozenset(name for name, _ in self._asleep)
        routes = {name: live for name, live in routes.items() if name not in asleep}
        loading = tuple(sorted(label(key) for key in self._loading if key in wanted))
        # Where a champion is not loaded, the end of what a person wants changes nothing.
        by_hand = (live for live in routes.values() if live.absent == BY_HAND)
        lasts_until = min((live.route.alone_until for live in by_hand), default=0)
        return Snapshot(table.revision, routes, failed | unfit, loading, asleep, lasts_until)

    def _begin(self, key: Key) -> None:
        self._loading[key] = self._loop.create_task(self._load(*key))

    async def _load(self, name: str, target: Target) -> None:
        key = (name, target)

        def load() -> tuple[Lane, int]:
            lane = self._make_lane(target.version, artifacts.load(name, target, self._limits))
            try:
                lane.measure()
            except BaseException:
                lane.close()
                raise
            return lane, artifacts.size(target)

        # A thread cannot be stopped: one that is too late, or dropped, finishes for itself.
        hand = Hand(self._loop, f"load {label(key)}")
        loading = hand.call(load)
        hand.close()
        try:
            done, _ = await asyncio.wait({loading}, timeout=LOAD_SECONDS)
        except asyncio.CancelledError:
            self._leave_late(key, loading)
            raise
        if done:
            self._take(key, loading)
        else:
            self._failed[key] = f"it did not load within {LOAD_SECONDS:g} s"
            self._leave_late(key, loading)
        if key in self._failed:
            _log.warning("%s cannot be loaded: %s", label(key), self._failed[key])
        del self._loading[key]
        self._changed()

    def _leave_late(self, key: Key, loading: asyncio.Future[tuple[Lane, int]]) -> None:
        """Let a load end when it will: what comes of it serves if it is wanted, or is closed."""

        def ended(_: object) -> None:
            del self._late[key]
            if key in self._wanted and key not in self._lanes and key not in self._loading:
                self._take(key, loading)
                self._changed()
            elif loading.exception() is None:
                loading.result()[0].close()

        self._late[key] = loading
        loading.add_done_callback(ended)

    def _take(self, key: Key, loading: asyncio.Future[tuple[Lane, int]]) -> None:
        """Keep what a load gave, or why it gave nothing."""
        try:
            self._lanes[key], self._sizes[key] = loading.result()
            self._failed.pop(key, None)
        except Exception as error:
            self._failed[key] = words(error)

    def _release(self, table: RoutingTable, routes: Mapping[str, LiveRoute]) -> None:
        """Let go of what is out of service, or too much and not asked for."""
        wanted, warm = versions(table), kept_warm(table)
        serving = {lane for live in routes.values() for lane in live.answering}
        predecessors = serving - {self._lanes.get(key) for key in wanted}
        recently = clock.monotonic() - AWAKE_SECONDS if self._budget else math.inf
        held = [
            Held(
                key,
                self._sizes[key],
                lane.used_at,
                in_service=key in wanted,
                is_warm=key in warm
                or lane in predecessors
                or lane.pending > 0
                or lane.used_at > recently,
            )
            for key, lane in self._lanes.items()
        ]
        for key in surplus(held, self._budget):
            self._lanes.pop(key).close()
            del self._sizes[key]
            if key in wanted:
                self._asleep.add(key)
                _log.info("%s is unloaded until it is asked again", label(key))
