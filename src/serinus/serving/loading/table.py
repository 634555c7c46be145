"""Follows the routing table: file -> a snapshot of what is loaded -> one pointer swap.

The file is replaced as a whole by whoever writes it, and what needs no load is in force at once.
What is not loaded yet is loaded and tried out beside the traffic, and then put in force by another
swap; until then, and if it cannot be loaded, a challenger's traffic stays with the champion, and
a champion's predecessor goes on.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import msgspec

from serinus import clock
from serinus.errors import InvalidInput, SerinusError
from serinus.serving.asking.lanes import Lane, Round
from serinus.serving.asking.router import RandomKeys, Router
from serinus.serving.asking.rows import LiveRoute
from serinus.serving.loading import absent
from serinus.serving.loading.memory import Held, surplus
from serinus.serving.protocols.decode import RequestDecoder
from serinus.serving.runtimes import artifacts, inputs
from serinus.serving.runtimes.types import ProcessLimits, Runtime
from serinus.serving.threads import Hand
from serinus.wire import Field, Route, RoutingTable, Target

LOAD_SECONDS = 60.0
AWAKE_SECONDS = 3.0
"""A version that was used so lately is not unloaded, however much memory there is too little."""

_log = logging.getLogger("serinus.serving")

MakeLane = Callable[[str, Runtime], Lane]
_Key: TypeAlias = tuple[str, Target]


@dataclass(frozen=True)
class Snapshot:
    """What a worker has in force.

    ``failed`` is why a ``model@version`` is not loaded, ``loading`` those on their way, ``asleep``
    the models that were not asked for long enough to be unloaded for want of memory. From
    ``lasts_until`` (epoch microseconds; 0 is never) on, another snapshot serves the same table.
    """

    revision: int = 0
    routes: Mapping[str, LiveRoute] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    loading: tuple[str, ...] = ()
    asleep: frozenset[str] = frozenset()
    lasts_until: int = 0

    @property
    def serves(self) -> bool:
        """Whether any model answers by more than its default."""
        return any(not live.absent or live.route.alone_until for live in self.routes.values())

    @property
    def ready(self) -> tuple[str, ...]:
        """The loaded versions as ``model@version``."""
        return tuple(
            f"{live.route.model}@{lane.version}"
            for live in self.routes.values()
            for lane in (*(() if live.absent else live.answering), *live.warm)
        )


class RoutingFile:
    """The file, read only when it has changed.

    Raises:
        InvalidInput: from ``read``, if what is there is no routing table.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None

    def has_changed(self) -> bool:
        """Whether the file is another than at the last ``read``; one ``stat`` call."""
        return self._stamp() != self._seen

    def read(self) -> RoutingTable | None:
        """The table; None if there is none yet."""
        self._seen = self._stamp()
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=RoutingTable)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInput(
                f"the routing table cannot be read ({error})",
                where=str(self._path),
                remedy="The control plane writes it; do not edit it by hand.",
            ) from error

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size


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
        self._random_key = RandomKeys()
        self._lanes: dict[_Key, Lane] = {}
        self._sizes: dict[_Key, int] = {}
        self._asleep: set[_Key] = set()
        self._wanted: set[_Key] = set()
        self._late: dict[_Key, asyncio.Future[tuple[Lane, int]]] = {}
        self._budget = budget
        self._limits = limits
        self._loading: dict[_Key, asyncio.Task[None]] = {}
        self._failed: dict[_Key, str] = {}
        self._decoders: dict[str, RequestDecoder] = {}

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
        wanted = self._wanted = _keys(table)
        for key in self._loading.keys() - wanted:
            self._loading.pop(key).cancel()
        self._failed = {key: why for key, why in self._failed.items() if key in wanted}
        warm = _warm(table)
        self._asleep = (self._asleep & wanted) - warm
        room = (self._budget or math.inf) - sum(self._sizes.values())
        unknown = wanted - self._lanes.keys() - self._loading.keys() - self._asleep
        # What loads too long already is not begun a second time.
        unknown -= self._late.keys()
        for key in sorted(unknown, key=lambda key: _label(*key)):
            room -= artifacts.size(key[1]) if self._budget else 0
            if room >= 0 or key in warm:
                self._begin(key)
            else:
                self._asleep.add(key)

    async def wake(self, table: RoutingTable, model: str, seconds: float) -> None:
        """Load the versions of a model again that were unloaded.

        Returns once they are there, or after so many seconds.
        """
        keys = {key for key in _keys(table) if key[0] == model} & self._asleep
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
        """The snapshot that serves ``table`` as far as its versions are loaded.

        A champion that is not loaded leaves its predecessor's route in force, and where there is
        none, the route's default answers. A challenger that is not leaves its share with the
        champion.
        """
        wanted = _keys(table)
        failed = {_label(*key): why for key, why in self._failed.items() if key in wanted}
        routes: dict[str, LiveRoute] = {}
        for lane in self._lanes.values():
            lane.rivals = ()
        for name, route in table.routes.items():
            live = self._live(name, route, table.revision, failed)
            if live is None and not any(key[0] == name for key in self._asleep):
                live = self._without_champion(route, table.revision, before.routes.get(name))
            if live is not None:
                _compare(live)
                routes[name] = self._by_hand(route, live)
        self._decoders = {name: made for name, made in self._decoders.items() if name in routes}
        self._release(table, routes)
        asleep = frozenset(key[0] for key in self._asleep)
        routes = {name: live for name, live in routes.items() if name not in asleep}
        loading = tuple(sorted(_label(*key) for key in self._loading if key in wanted))
        ends = (live.route.alone_until for live in routes.values() if live.absent)
        lasts_until = min((end for end in ends if end), default=0)
        return Snapshot(table.revision, routes, failed, loading, asleep, lasts_until)

    def _without_champion(
        self, route: Route, revision: int, before: LiveRoute | None
    ) -> LiveRoute | None:
        """What answers while a champion is not loaded: its predecessor, or else the default."""
        if before is not None and not before.absent:
            return before
        if route.default is None:
            return None
        why = self._failed.get((route.model, route.champion), absent.LOADING)
        if before is not None and (before.revision, before.absent) == (revision, why):
            return before
        manifest = artifacts.manifest_at_hand(route.model, route.champion)
        default = None if manifest is None else manifest.fitting(route.default)
        if manifest is None or default is None:
            return None
        lane = self._make_lane(route.champion.version, absent.Absent(manifest, why))
        lane.trust()
        return absent.stand_in(route, revision, lane, why, default)

    def _by_hand(self, route: Route, live: LiveRoute) -> LiveRoute:
        """The route, or its default alone as long as a person wants that."""
        if live.absent or route.default is None or route.alone_until <= clock.epoch_us():
            return live
        default = live.champion.runtime.manifest.fitting(route.default)
        if default is None:
            return live
        # Named without a version: none was asked, and none has failed.
        lane = self._make_lane("", absent.Absent(live.champion.runtime.manifest, absent.BY_HAND))
        lane.trust()
        warm = (*live.answering, *live.warm)
        return absent.stand_in(route, live.revision, lane, absent.BY_HAND, default, warm=warm)

    def _live(
        self, name: str, route: Route, revision: int, failed: dict[str, str]
    ) -> LiveRoute | None:
        champion = self._lane(name, route.champion)
        if champion is None:
            return None
        champion.trust()
        challengers = self._challengers(name, route, champion, failed)
        for lane in (champion, *challengers):
            if lane is not None:
                lane.remember(allowed=not route.deployment)
                lane.breaker.rules = route.breaker
        # With its challengers if there are any and they go together, else without.
        alone: list[Lane | None] = [None] * len(challengers)
        for some in (challengers, alone) if any(challengers) else (alone,):
            try:
                return self._join(route, revision, champion, some)
            except SerinusError as error:
                names = [lane.version for lane in some if lane is not None]
                for version in names or [champion.version]:
                    failed[f"{name}@{version}"] = _words(error)
        return None

    def _challengers(
        self, name: str, route: Route, champion: Lane, failed: dict[str, str]
    ) -> list[Lane | None]:
        """The loaded challengers at their places, without those that cannot be asked the same."""
        every = champion.runtime.manifest.inputs
        found: list[Lane | None] = []
        for target in (route.challenger, *(one.target for one in route.others)):
            lane = None if target is None else self._lane(name, target)
            if lane is not None:
                lane.mistrust()
                try:
                    every = inputs.union(every, lane.runtime.manifest.inputs)
                except SerinusError as error:
                    failed[f"{name}@{lane.version}"] = _words(error)
                    lane = None
            found.append(lane)
        return found

    def _join(
        self, route: Route, revision: int, champion: Lane, challengers: Sequence[Lane | None]
    ) -> LiveRoute:
        lanes = [champion, *(lane for lane in challengers if lane is not None)]
        own = {lane.version: lane.runtime.manifest.inputs for lane in lanes}
        every = functools.reduce(inputs.union, own.values())
        chosen = {version: inputs.projection(every, some) for version, some in own.items()}
        route = _asked_of(route, challengers)
        if route.default is not None:
            default = champion.runtime.manifest.fitting(route.default)
            route = msgspec.structs.replace(route, default=default)
        first, *others = challengers
        warm = (self._lane(route.model, target) for target in route.warm)
        return LiveRoute(
            route=route,
            revision=revision,
            router=Router(route, revision, self._random_key),
            decoder=self._decoder(route.model, every),
            champion=champion,
            challenger=first,
            projections={version: some for version, some in chosen.items() if some is not None},
            others=tuple(others),
            warm=tuple(lane for lane in warm if lane is not None),
        )

    def _decoder(self, model: str, every: tuple[Field, ...]) -> RequestDecoder:
        """The decoder of a model's requests: making one takes longer than all else of a route."""
        known = self._decoders.get(model)
        if known is None or known.inputs != every:
            known = self._decoders[model] = RequestDecoder(model, every)
        return known

    def _lane(self, name: str, target: Target) -> Lane | None:
        return self._lanes.get((name, target))

    def _begin(self, key: _Key) -> None:
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
        hand = Hand(self._loop, f"load {_label(*key)}")
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
            _log.warning("%s cannot be loaded: %s", _label(*key), self._failed[key])
        del self._loading[key]
        self._changed()

    def _leave_late(self, key: _Key, loading: asyncio.Future[tuple[Lane, int]]) -> None:
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

    def _take(self, key: _Key, loading: asyncio.Future[tuple[Lane, int]]) -> None:
        """Keep what a load gave, or why it gave nothing."""
        try:
            self._lanes[key], self._sizes[key] = loading.result()
            self._failed.pop(key, None)
        except Exception as error:
            self._failed[key] = _words(error)

    def _release(self, table: RoutingTable, routes: Mapping[str, LiveRoute]) -> None:
        """Let go of what is out of service, or too much and not asked for."""
        wanted, warm = _keys(table), _warm(table)
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
                _log.info("%s is unloaded until it is asked again", _label(*key))


def _keys(table: RoutingTable) -> set[_Key]:
    """All versions that a table wants loaded."""
    return {(name, target) for name, route in table.routes.items() for target in _targets(route)}


def _warm(table: RoutingTable) -> set[_Key]:
    """The versions of models that a deployment is under way for: none of them may be cold."""
    return {
        (name, target)
        for name, route in table.routes.items()
        if route.challenger is not None or route.deployment or route.warm
        for target in _targets(route)
    }


def _targets(route: Route) -> Iterator[Target]:
    yield route.champion
    if route.challenger is not None:
        yield route.challenger
    for variant in route.others:
        yield variant.target
    yield from route.warm


def _asked_of(route: Route, challengers: Sequence[Lane | None]) -> Route:
    """The route without the challengers that cannot be asked: their shares are the champion's."""
    first, *rest = challengers
    if first is None and route.challenger is not None:
        route = msgspec.structs.replace(route, challenger=None)
    if not all(rest):
        others = tuple(
            msgspec.structs.replace(one, share=0.0) if lane is None else one
            for one, lane in zip(route.others, rest, strict=True)
        )
        route = msgspec.structs.replace(route, others=others)
    return route


def _compare(live: LiveRoute) -> None:
    """Let the lanes that share live traffic know of each other."""
    shares = (live.route.share, *(variant.share for variant in live.route.others))
    pairs = zip(live.challengers, shares, strict=True)
    drawn = [lane for lane, share in pairs if lane is not None and share > 0.0]
    if drawn:
        compared, common = [live.champion, *drawn], Round()
        for lane in compared:
            lane.round = common
            lane.rivals = tuple(rival for rival in compared if rival is not lane)


def _label(model: str, target: Target) -> str:
    return f"{model}@{target.version}"


def _words(error: Exception) -> str:
    what = error.what if isinstance(error, SerinusError) else f"{type(error).__name__}: {error}"
    return what[:500]
