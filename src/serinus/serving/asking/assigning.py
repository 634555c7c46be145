"""Who is to answer a row, decided before anybody sees it."""

from __future__ import annotations

from typing import TypeAlias

from serinus import clock
from serinus.errors import Conflict
from serinus.serving.asking.breaker import Circuit
from serinus.serving.asking.live import LiveRoute
from serinus.wire import Arm, Assignment

Demand: TypeAlias = Arm | str
"""What a tester demands: an arm, or a version by its number."""

SHORTEST_EVIDENCE_SECONDS = 0.05
"""A client that waits less long is no judge of versions."""


def assigned(
    live: LiveRoute, entity: str | None, demand: Demand | None, seconds: float | None
) -> Assignment:
    """The assignment of a row.

    Args:
        live: the route of the model that is asked.
        entity: whose row it is.
        demand: who shall answer; None leaves that to the route.
        seconds: how long the client waits; None is the gateway's own limit.

    Raises:
        Conflict: who is demanded is not being served.
    """
    if demand is not None:
        return _forced(live, demand)
    if live.others:
        return _drawn_of_several(live, entity, seconds)
    challenger = live.challenger
    if challenger is None or (seconds is None and challenger.breaker.circuit is Circuit.CLOSED):
        return live.router.assign(entity)
    # With an open circuit there is no challenger to draw, and so no evidence for either.
    if _is_too_short(live, seconds) or not challenger.breaker.allows(clock.monotonic()):
        return live.router.aside()
    drawn = live.router.assign(entity)
    if drawn.arm is Arm.CHALLENGER:
        challenger.breaker.ask()
    return drawn


def _drawn_of_several(live: LiveRoute, entity: str | None, seconds: float | None) -> Assignment:
    """The others are compared all the same while one of several challengers has an open circuit.

    Its shares say that it could not be drawn, so that it is compared with nobody meanwhile.
    """
    if _is_too_short(live, seconds):
        return live.router.aside()
    now = clock.monotonic()
    closed = frozenset(
        place
        for place, lane in enumerate(live.challengers)
        if lane is not None and not lane.breaker.allows(now)
    )
    router = live.router.without(closed) if closed else live.router
    drawn = router.assign(entity)
    if drawn.arm is Arm.CHALLENGER:
        live.lane(drawn.arm, drawn.variant).breaker.ask()
    return drawn


def _is_too_short(live: LiveRoute, seconds: float | None) -> bool:
    """Whether a client waits hardly longer than an answer takes.

    The arm that comes second in a turn would look worse.
    """
    if seconds is None:
        return False
    return seconds < max(SHORTEST_EVIDENCE_SECONDS, 5.0 * live.champion.expected_seconds(1))


def _forced(live: LiveRoute, demand: Demand) -> Assignment:
    if not isinstance(demand, Arm):
        found = live.place(demand)
        if found is not None:
            return live.router.force(*found)
        raise Conflict(
            f"version {demand!r} of {live.route.model!r} is not being served",
            where="x-serinus-arm",
            remedy=f"There is: {', '.join(lane.version for lane in live.answering)}.",
        )
    if demand is Arm.CHALLENGER and live.challenger is None:
        raise Conflict(
            f"no challenger of {live.route.model!r} is being served",
            where="x-serinus-arm",
            remedy="Leave the header out, or start a deployment first.",
        )
    return live.router.force(demand)
