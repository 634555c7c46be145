"""The version in Staging, beside production: asked at calls of its own, recorded, never counted."""

from __future__ import annotations

from serinus.errors import InvalidInput, NotFound
from serinus.serving.asking.lanes import Lane
from serinus.serving.asking.live import LiveRoute
from serinus.serving.asking.router import Router
from serinus.serving.loading.apart import Apart, Key
from serinus.serving.protocols.decode import RequestDecoder
from serinus.wire import Arm, Route, RoutingTable


class Staging:
    """The versions in Staging of all models.

    Args:
        apart: loads them, and calls them where production does not feel it.
    """

    def __init__(self, apart: Apart) -> None:
        self._apart = apart
        self._live: dict[Key, LiveRoute] = {}

    async def find(self, table: RoutingTable, model: str | None, seconds: float) -> LiveRoute:
        """A model's version in Staging, as a route of its own; the only one, if none is named.

        Args:
            table: that is in force.
            model: its name.
            seconds: how long to wait until it is loaded.

        Raises:
            NotFound: there is none.
            InvalidInput: no model is named and there are several.
            Unavailable: it cannot be loaded.
        """
        key = _key(table, model)
        lane = await self._apart.wait(key, seconds)
        live = self._live.get(key)
        if live is None or live.champion is not lane or live.revision != table.revision:
            live = self._live[key] = _alone(key, lane, table.revision)
        return live

    def told(self, table: RoutingTable) -> list[dict[str, object]]:
        """Each model's version in Staging, whether it is loaded, and why it could not be."""
        return [
            {
                "model": key.model,
                "version": key.target.version,
                "loaded": self._apart.is_loaded(key),
                "fault": self._apart.fault(key),
            }
            for key in keys(table)
        ]

    def sweep(self, table: RoutingTable) -> None:
        """Forget what is in Staging no more."""
        wanted = set(keys(table))
        self._live = {key: live for key, live in self._live.items() if key in wanted}


def keys(table: RoutingTable) -> list[Key]:
    """The versions in Staging that a table names, beside a champion or without one."""
    beside = {name: route.staging for name, route in table.routes.items()}
    every = {**table.staging, **beside}
    return [Key(Arm.STAGING, name, target) for name, target in every.items() if target is not None]


def _key(table: RoutingTable, model: str | None) -> Key:
    known = {key.model: key for key in keys(table)}
    if model is None and len(known) > 1:
        raise InvalidInput(
            "several models have a version in Staging and the request names none",
            where="model",
            remedy=f"Name one of: {', '.join(known)}.",
        )
    found = next(iter(known.values()), None) if model is None else known.get(model)
    if found is None:
        about = "" if model is None else f" of {model!r}"
        raise NotFound(
            f"no version{about} is in Staging",
            where="model",
            remedy="Bring one there: serinus models promote NAME VERSION --stage Staging.",
        )
    return found


def _alone(key: Key, lane: Lane, revision: int) -> LiveRoute:
    route = Route(key.model, key.target)
    return LiveRoute(
        route=route,
        revision=revision,
        router=Router(route, revision, lambda: b""),
        decoder=RequestDecoder(key.model, lane.runtime.manifest.inputs),
        champion=lane,
        challenger=None,
        projections={},
    )
