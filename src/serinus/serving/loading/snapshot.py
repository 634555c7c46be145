"""What a worker has in force, and which route of it a request is for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from serinus.errors import InvalidInput, NotFound, Unavailable
from serinus.serving.asking.breaker import Circuit
from serinus.serving.asking.live import LiveRoute


class Asleep(Exception):
    """A model was unloaded for want of memory; ``wake`` loads it again.

    Args:
        model: its name.
    """

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.model = model


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

    @cached_property
    def models(self) -> frozenset[str]:
        """All that are meant to be served; some may be on their way, or cannot be loaded."""
        labels = (*self.loading, *self.failed)
        return self.asleep.union(self.routes, (label.split("@")[0] for label in labels))

    @property
    def serves_several(self) -> bool:
        """Whether a request has to name its model."""
        return len(self.models) > 1

    @cached_property
    def only(self) -> str | None:
        """The model that is meant by who names none; None if there are several, or no one."""
        names = self.routes.keys() | self.asleep
        return next(iter(names)) if names and not self.serves_several else None

    @property
    def circuits(self) -> dict[str, str]:
        """The circuits that are not closed at present, by ``model@version``."""
        return {
            f"{live.route.model}@{lane.version}": lane.breaker.circuit.value
            for live in self.routes.values()
            for lane in live.challengers
            if lane is not None and lane.breaker.circuit is not Circuit.CLOSED
        }

    def find(self, model: str | None) -> LiveRoute:
        """The route of a model; the only one, if none is named.

        Raises:
            NotFound: there is no such model.
            InvalidInput: no model is named and there are several.
            Unavailable: nothing is being served (yet).
            Asleep: it has to be woken first.
        """
        if model is None:
            model = self.only
        if model is not None and (live := self.routes.get(model)) is not None:
            return live
        raise self._why_not(model)

    def _why_not(self, model: str | None) -> Exception:
        """Why there is no route of a model, or, if none is named, none that could be meant."""
        if model is not None and model in self.asleep:
            return Asleep(model)
        if (why := self._why_absent(model)) is not None:
            return why
        choices = ", ".join(sorted(self.models))
        if model is None:
            return InvalidInput(
                "several models are being served and the request names none",
                where="model",
                remedy=f"Name one of: {choices}.",
            )
        return NotFound(
            f"there is no model {model!r}", where="model", remedy=f"There is: {choices}."
        )

    def _why_absent(self, model: str | None) -> Unavailable | None:
        """Why a model is not served though it is meant to be; None if it is not known at all."""

        def among(names: Iterable[str]) -> bool:
            return any(model in (None, name.split("@")[0]) for name in names)

        if not (self.routes or self.asleep) or model is not None:
            if among(self.loading):
                return Unavailable(
                    "the model is being loaded", where=model or "", remedy="Try again in a moment."
                )
            if not (self.routes or self.asleep) or among(self.failed):
                is_broken = model is not None and among(self.failed)
                return Unavailable(
                    "the model cannot be loaded" if is_broken else "no model is being served",
                    where=model or "",
                    remedy="Promote a version that works: serinus models promote NAME VERSION.",
                )
        return None
