"""The requests that wait: until all of their rows are settled, or their time is over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeAlias

from serinus.errors import DeadlinePassed, SerinusError, Unavailable

Done: TypeAlias = Callable[[SerinusError | None], None]
"""Called once: all rows are settled, or why they will not be in time."""


class Ticket:
    """What a request waits on until all of its rows are settled, or its time is over.

    ``deadline`` is in seconds of ``time.perf_counter``; it is the client's own, or the gateway's.
    """

    __slots__ = ("_done", "_is_clients", "deadline", "left")

    def __init__(
        self, rows: int, done: Done, deadline: float = math.inf, *, is_clients: bool = False
    ) -> None:
        self.left = rows
        self.deadline = deadline
        self._is_clients = is_clients
        self._done: Done | None = done

    @property
    def is_over(self) -> bool:
        """Whether nobody waits any more."""
        return self._done is None

    def settle(self) -> None:
        """Count one row as settled."""
        self.left -= 1
        if self.left == 0 and self._done is not None:
            done, self._done = self._done, None
            done(None)

    def expire(self) -> None:
        """Stop waiting: the request is refused; its rows are recorded if they are ever settled."""
        if self._done is None:
            return
        done, self._done = self._done, None
        if self._is_clients:
            done(
                DeadlinePassed(
                    "the answer was not there within the time that was asked for",
                    where="x-serinus-timeout-ms",
                    remedy="Wait longer, or ask for fewer rows at a time.",
                )
            )
        else:
            done(
                Unavailable(
                    "the answer was not there in time",
                    remedy="Try again; if it stays so, the models are too slow for the load.",
                )
            )


class Tickets:
    """The tickets of one worker.

    Args:
        longest: how many seconds a request may wait, whatever its client says.
    """

    def __init__(self, longest: float) -> None:
        self.longest = longest
        self._open: list[Ticket] = []

    def issue(self, rows: int, done: Done, seconds: float | None) -> Ticket:
        """A ticket for a request of so many rows.

        Args:
            rows: at least one.
            done: told of its end, once.
            seconds: how long its client waits; None leaves that to the gateway.
        """
        limit = self.longest if seconds is None else min(seconds, self.longest)
        ticket = Ticket(rows, done, time.perf_counter() + limit, is_clients=limit < self.longest)
        self._open.append(ticket)
        return ticket

    def expire(self) -> None:
        """Refuse the requests whose time is over; to be called often.

        One look at all of them now and then costs less than a timer for each request.
        """
        now = time.perf_counter()
        late = [ticket for ticket in self._open if ticket.deadline < now]
        self._open = [
            ticket for ticket in self._open if not ticket.is_over and ticket.deadline >= now
        ]
        for ticket in late:
            ticket.expire()
