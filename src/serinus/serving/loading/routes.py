"""Routes as they are served: what a table says of them, with the lanes of what is loaded.

A champion that is not loaded leaves its predecessor's route in force, and where there is none, the
route's default answers. A challenger that is not leaves its share with the champion.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from serinus import clock
from serinus.errors import SerinusError
from serinus.serving.asking.lanes import Lane, Round
from serinus.serving.asking.live import LiveRoute
from serinus.serving.asking.router import RandomKeys, Router
from serinus.serving.loading import absent
from serinus.serving.loading.table import Key
from serinus.serving.protocols.decode import RequestDecoder
from serinus.serving.runtimes import artifacts, inputs
from serinus.serving.runtimes.types import Runtime
from serinus.wire import Field, Route, RoutingTable

MakeLane: TypeAlias = Callable[[str, Runtime], Lane]


@dataclass(frozen=True)
class Stock:
    """What there is to make routes of.

    Args:
        lanes: of the versions that are loaded.
        failed: why others could not be.
        asleep: those that are unloaded until they are asked again.
    """

    lanes: Mapping[Key, Lane]
    failed: Mapping[Key, str]
    asleep: AbstractSet[Key]


class Routes:
    """Makes the routes of one worker, table by table.

    Args:
        make_lane: a lane for what stands where a version is not.
    """

    def __init__(self, make_lane: MakeLane) -> None:
        self._make_lane = make_lane
        self._random_key = RandomKeys()
        self._decoders: dict[str, RequestDecoder] = {}

    def make(
        self, table: RoutingTable, before: Mapping[str, LiveRoute], stock: Stock
    ) -> tuple[dict[str, LiveRoute], dict[str, str]]:
        """The routes that serve a table, by model, and why a loaded version does not serve.

        Args:
            table: to be put in force.
            before: the routes in force.
            stock: what is loaded.
        """
        unfit: dict[str, str] = {}
        routes: dict[str, LiveRoute] = {}
        asleep = {name for name, _ in stock.asleep}
        for lane in stock.lanes.values():
            lane.rivals = ()
        for name, route in table.routes.items():
            live = self._live(name, route, table.revision, stock, unfit)
            if live is None and name not in asleep:
                why = stock.failed.get((name, route.champion), absent.LOADING)
                live = self._without_champion(route, table.revision, before.get(name), why)
            if live is not None:
                _compare(live)
                routes[name] = self._by_hand(route, live)
        self._decoders = {name: made for name, made in self._decoders.items() if name in routes}
        return routes, unfit

    def _without_champion(
        self, route: Route, revision: int, before: LiveRoute | None, why: str
    ) -> LiveRoute | None:
        """What answers while a champion is not loaded: its predecessor, or else the default."""
        if before is not None and not before.absent:
            return before
        if route.default is None:
            return None
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
        self, name: str, route: Route, revision: int, stock: Stock, unfit: dict[str, str]
    ) -> LiveRoute | None:
        champion = stock.lanes.get((name, route.champion))
        if champion is None:
            return None
        champion.trust()
        challengers = _challengers(name, route, champion, stock, unfit)
        for lane in (champion, *challengers):
            if lane is not None:
                lane.remember(allowed=not route.deployment)
                lane.breaker.rules = route.breaker
        # With its challengers if there are any and they go together, else without.
        alone: list[Lane | None] = [None] * len(challengers)
        for some in (challengers, alone) if any(challengers) else (alone,):
            try:
                return self._join(route, revision, champion, some, stock)
            except SerinusError as error:
                names = [lane.version for lane in some if lane is not None]
                for version in names or [champion.version]:
                    unfit[f"{name}@{version}"] = words(error)
        return None

    def _join(
        self,
        route: Route,
        revision: int,
        champion: Lane,
        challengers: Sequence[Lane | None],
        stock: Stock,
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
        warm = (stock.lanes.get((route.model, target)) for target in route.warm)
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


def _challengers(
    name: str, route: Route, champion: Lane, stock: Stock, unfit: dict[str, str]
) -> list[Lane | None]:
    """The loaded challengers at their places, without those that cannot be asked the same."""
    every = champion.runtime.manifest.inputs
    found: list[Lane | None] = []
    for target in (route.challenger, *(one.target for one in route.others)):
        lane = None if target is None else stock.lanes.get((name, target))
        if lane is not None:
            lane.mistrust()
            try:
                every = inputs.union(every, lane.runtime.manifest.inputs)
            except SerinusError as error:
                unfit[f"{name}@{lane.version}"] = words(error)
                lane = None
        found.append(lane)
    return found


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


def words(error: Exception) -> str:
    """Why a version does not serve, in not too many of them."""
    what = error.what if isinstance(error, SerinusError) else f"{type(error).__name__}: {error}"
    return what[:500]
