"""A route as it is being served: who answers for an arm, and what each of them sees of a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from serinus.serving.asking.lanes import Lane
from serinus.serving.asking.router import Router
from serinus.serving.protocols.decode import RequestDecoder
from serinus.serving.types import Features
from serinus.wire import Arm, Route


@dataclass(frozen=True)
class LiveRoute:
    """A route, with what was loaded for it.

    ``projections`` says, for a version that does not take all inputs that a request may have in
    their order, which of them it takes. ``revision`` is the table's that brought the route into
    force; it is older than the newest if a newer champion could not be loaded. ``others`` are the
    route's further challengers, each at its place, None where one cannot be asked; ``warm`` are
    those of its warm versions that are loaded; ``absent`` is why the champion is not loaded, where
    the route's default answers until it is.
    """

    route: Route
    revision: int
    router: Router
    decoder: RequestDecoder
    champion: Lane
    challenger: Lane | None
    projections: Mapping[str, tuple[int, ...]]
    others: tuple[Lane | None, ...] = ()
    warm: tuple[Lane, ...] = ()
    absent: str = ""

    @cached_property
    def challengers(self) -> tuple[Lane | None, ...]:
        """The lanes of the challengers by their places, None where one cannot be asked."""
        return (self.challenger, *self.others)

    @cached_property
    def answering(self) -> tuple[Lane, ...]:
        """The lanes that may answer, the champion's first."""
        return (self.champion, *(lane for lane in self.challengers if lane is not None))

    @cached_property
    def mirrors(self) -> bool:
        """Whether the challenger is to be asked what the champion was asked."""
        return self.route.mirror > 0.0 and self.challenger is not None

    def features(self, given: Features, version: str) -> Features:
        """What a version sees of a row's values; all of them, unless the versions differ."""
        chosen = self.projections.get(version) if self.projections else None
        return given if chosen is None else tuple([given[index] for index in chosen])

    def lane(self, arm: Arm, variant: int = 0) -> Lane:
        """Who answers for an arm, and of several challengers for the one at a place."""
        if arm is Arm.CHALLENGER:
            found = self.others[variant - 1] if variant else self.challenger
            if found is not None:
                return found
        return self.champion

    def stand_in(self, lane: Lane) -> Lane | None:
        """Who answers what a lane failed: for challengers the champion, for it a former one."""
        if lane is not self.champion:
            return self.champion
        return self.challenger if self.route.stands_in else None

    def place(self, version: str) -> tuple[Arm, int] | None:
        """The arm that a version answers in, and its place among the challengers."""
        if version == self.champion.version:
            return Arm.CHAMPION, 0
        for place, lane in enumerate(self.challengers):
            if lane is not None and lane.version == version:
                return Arm.CHALLENGER, place
        return None
