"""A row on its way through the gateway, and what becomes of it."""

from __future__ import annotations

import time

from serinus import clock
from serinus.errors import SerinusError
from serinus.serving.asking.lanes import Lane
from serinus.serving.asking.live import LiveRoute
from serinus.serving.asking.tickets import Ticket
from serinus.serving.types import Features
from serinus.wire import Answer, Assignment, Output


def arrival() -> tuple[int, int]:
    """When a row came: epoch microseconds, and nanoseconds of ``time.perf_counter_ns``."""
    return clock.epoch_us(), time.perf_counter_ns()


class Row:
    """One row: how it came, where it goes, and what became of it.

    In the end either ``output`` is set, or ``failure`` is, or ``error`` (the ledger did not take
    it). ``fallback`` is why the lane that it was assigned to did not answer, if another was asked.
    ``id`` is that of its event; empty if the ledger is full and answers leave all the same.
    ``took`` is how many nanoseconds the calls took that it was in: waiting for a turn depends on
    what else is asked, and on the share of an arm, and says nothing of a version.
    """

    __slots__ = (
        "answered_by", "assignment", "at", "error", "failure", "fallback", "features",
        "id", "live", "output", "started", "ticket", "took",
    )  # fmt: skip

    def __init__(
        self,
        live: LiveRoute,
        assignment: Assignment,
        features: Features,
        ticket: Ticket,
        came: tuple[int, int] | None = None,
    ) -> None:
        self.live = live
        self.assignment = assignment
        self.features = features
        self.ticket = ticket
        self.at, self.started = came or arrival()
        self.took = 0
        self.answered_by: Lane | None = None
        self.output: Output | None = None
        self.fallback = ""
        self.failure = ""
        self.id = b""
        self.error: SerinusError | None = None

    @property
    def default(self) -> Answer | None:
        """What is answered in place of every version; None if one answered, or nothing may be."""
        return self.live.route.default if self.failure else None
