"""A row on its way through the gateway, and the request that waits for it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from serinus import clock
from serinus.errors import SerinusError, Unavailable
from serinus.serving.lanes import Lane
from serinus.serving.protocols.decode import RequestDecoder
from serinus.serving.router import Router
from serinus.serving.types import Features
from serinus.wire import Arm, Assignment, Output, Route


@dataclass(frozen=True)
class LiveRoute:
    """A route as it is being served: with what was loaded for it.

    ``projections`` says, for a version that does not take all inputs that a request may have in
    their order, which of them it takes. ``revision`` is the table's that brought the route into
    force; it is older than the newest if a newer champion could not be loaded.
    """

    route: Route
    revision: int
    router: Router
    decoder: RequestDecoder
    champion: Lane
    challenger: Lane | None
    projections: Mapping[str, tuple[int, ...]]

    def features(self, given: Features, version: str) -> Features:
        """What a version sees of a row's values; all of them, unless the versions differ."""
        chosen = self.projections.get(version)
        return given if chosen is None else tuple([given[index] for index in chosen])

    def lane(self, arm: Arm) -> Lane:
        """Who answers for an arm."""
        if arm is Arm.CHALLENGER and self.challenger is not None:
            return self.challenger
        return self.champion


class Ticket:
    """What a request waits on until all of its rows are settled, or its time is over.

    ``deadline`` is in seconds of ``time.perf_counter``.
    """

    __slots__ = ("deadline", "future", "left")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, rows: int, deadline: float = math.inf
    ) -> None:
        self.left = rows
        self.deadline = deadline
        self.future: asyncio.Future[None] = loop.create_future()

    def settle(self) -> None:
        """Count one row as settled."""
        self.left -= 1
        # A client that went away has cancelled its future; its rows are recorded all the same.
        if self.left == 0 and not self.future.done():
            self.future.set_result(None)

    def expire(self) -> None:
        """Stop waiting: the request is refused; its rows are recorded if they are ever settled."""
        if not self.future.done():
            self.future.set_exception(
                Unavailable(
                    "the answer was not there in time",
                    remedy="Try again; if it stays so, the models are too slow for the load.",
                )
            )


class Row:
    """One row: how it came, where it goes, and what became of it.

    In the end either ``id`` and ``output`` are set, or ``failure`` is, or ``error`` (the ledger
    did not take it).
    """

    __slots__ = (
        "answered_by", "assignment", "at", "error", "failure", "fallback", "features", "id",
        "live", "output", "started", "ticket",
    )  # fmt: skip

    def __init__(
        self, live: LiveRoute, assignment: Assignment, features: Features, ticket: Ticket
    ) -> None:
        self.live = live
        self.assignment = assignment
        self.features = features
        self.ticket = ticket
        self.at = clock.epoch_us()
        self.started = time.perf_counter_ns()
        self.answered_by: Lane | None = None
        self.output: Output | None = None
        self.fallback = ""
        self.failure = ""
        self.id = b""
        self.error: SerinusError | None = None
