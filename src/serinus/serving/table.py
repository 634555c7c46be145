"""Follows the routing table: file -> versions loaded beside the traffic -> one pointer swap.

The file is replaced as a whole by whoever writes it. A version is loaded and tried out in a
thread of its own; only then do requests meet it. What cannot be loaded is left out and reported:
a challenger's traffic stays with the champion, a champion's predecessor goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from serinus.errors import InvalidInput, SerinusError
from serinus.serving import artifacts, inputs
from serinus.serving.decode import RequestDecoder
from serinus.serving.lanes import Lane
from serinus.serving.router import RandomKeys, Router
from serinus.serving.rows import LiveRoute
from serinus.serving.runtimes import Runtime
from serinus.serving.threads import Hand
from serinus.wire import Route, RoutingTable, Target

KEPT_IDLE = 4
"""Versions out of service that stay loaded, so that a rollback finds its champion warm."""

LOAD_SECONDS = 60.0

_log = logging.getLogger("serinus.serving")

MakeLane = Callable[[str, Runtime], Lane]


@dataclass(frozen=True)
class Snapshot:
    """What a worker has in force. ``failed`` is why a ``model@version`` is not loaded."""

    revision: int = 0
    routes: Mapping[str, LiveRoute] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> tuple[str, ...]:
        """The loaded versions as ``model@version``."""
        return tuple(
            f"{live.route.model}@{lane.version}"
            for live in self.routes.values()
            for lane in (live.champion, live.challenger)
            if lane is not None
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
    """Builds snapshots; keeps what is loaded from one to the next.

    Args:
        loop: the event loop.
        make_lane: a lane for a loaded version.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, make_lane: MakeLane) -> None:
        self._loop = loop
        self._hand = Hand(loop, "loader")
        self._make_lane = make_lane
        self._random_key = RandomKeys()
        self._lanes: OrderedDict[tuple[str, Target], Lane] = OrderedDict()

    def find(self, model: str, version: str) -> Lane | None:
        """A loaded version, in service or not."""
        for (name, target), lane in self._lanes.items():
            if name == model and target.version == version:
                return lane
        return None

    async def apply(self, table: RoutingTable, before: Snapshot) -> Snapshot:
        """The snapshot that serves ``table`` as far as its versions can be loaded."""
        failed: dict[str, str] = {}
        routes: dict[str, LiveRoute] = {}
        for name, route in table.routes.items():
            live = await self._live(name, route, table.revision, failed)
            live = live or before.routes.get(name)
            if live is not None:
                routes[name] = live
        self._release(routes)
        return Snapshot(table.revision, routes, failed)

    async def _live(
        self, name: str, route: Route, revision: int, failed: dict[str, str]
    ) -> LiveRoute | None:
        champion = await self._lane(name, route.champion, failed)
        if champion is None:
            return None
        champion.trust()
        challenger = None
        if route.challenger is not None:
            challenger = await self._lane(name, route.challenger, failed)
        try:
            return self._join(route, revision, champion, challenger)
        except SerinusError as error:
            if challenger is None:
                failed[f"{name}@{champion.version}"] = _words(error)
                return None
            failed[f"{name}@{challenger.version}"] = _words(error)
            return self._join(route, revision, champion, None)

    def _join(
        self, route: Route, revision: int, champion: Lane, challenger: Lane | None
    ) -> LiveRoute:
        lanes = [champion] if challenger is None else [champion, challenger]
        own = {lane.version: lane.runtime.manifest.inputs for lane in lanes}
        every = own[champion.version]
        if challenger is not None:
            every = inputs.union(every, own[challenger.version])
        else:
            route = msgspec.structs.replace(route, challenger=None)
        chosen = {version: inputs.projection(every, some) for version, some in own.items()}
        return LiveRoute(
            route=route,
            revision=revision,
            router=Router(route, revision, self._random_key),
            decoder=RequestDecoder(route.model, every),
            champion=champion,
            challenger=challenger,
            projections={version: some for version, some in chosen.items() if some is not None},
        )

    async def _lane(self, name: str, target: Target, failed: dict[str, str]) -> Lane | None:
        key = (name, target)
        if key in self._lanes:
            self._lanes.move_to_end(key)
            return self._lanes[key]

        def load() -> Lane:
            lane = self._make_lane(target.version, artifacts.load(name, target))
            lane.measure()
            return lane

        try:
            lane: Lane = await asyncio.wait_for(self._hand.call(load), LOAD_SECONDS)
        except TimeoutError:
            # A thread cannot be stopped: it is left to itself, and the next load gets another.
            self._hand = Hand(self._loop, "loader")
            failed[f"{name}@{target.version}"] = f"it did not load within {LOAD_SECONDS:g} s"
            return None
        except Exception as error:
            failed[f"{name}@{target.version}"] = _words(error)
            _log.warning("%s@%s cannot be loaded: %s", name, target.version, _words(error))
            return None
        self._lanes[key] = lane
        return lane

    def _release(self, routes: Mapping[str, LiveRoute]) -> None:
        """Let go of the versions that have been out of service the longest."""
        used = {lane for live in routes.values() for lane in (live.champion, live.challenger)}
        idle = [key for key, lane in self._lanes.items() if lane not in used]
        for key in idle[: max(len(idle) - KEPT_IDLE, 0)]:
            self._lanes.pop(key).close()


def _words(error: Exception) -> str:
    what = error.what if isinstance(error, SerinusError) else f"{type(error).__name__}: {error}"
    return what[:500]
