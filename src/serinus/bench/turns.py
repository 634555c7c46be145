"""Servers taking turns under the same load, round after round, and what the rounds say together.

What the machine does besides meets all of them alike; so a ratio is taken within each round,
and its median is over the rounds.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from msgspec.structs import replace

from serinus.bench import launch, load, usage
from serinus.errors import Unavailable

WARM_UP_SECONDS = 0.5


@dataclass(frozen=True)
class Served:
    """One server's medians over all rounds. Latencies in milliseconds.

    ``cpu_us`` is the processor time of all its processes for an answer, in microseconds.
    ``ratio`` is to the first server of the same rounds, ``times`` how many times as many answers
    the subject gave in them. ``busy`` is the share of its own core that the load needed: near 1, it
    is the load that was measured. ``late_ms`` is how late the load itself was at a fixed rate.
    """

    name: str
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    ratio: float
    times: float
    requests: int
    refused: int
    busy: float
    late_ms: float


@dataclass(frozen=True)
class Pace:
    """How many seconds a turn takes, how often each server has one, and on how many connections."""

    seconds: float
    rounds: int
    connections: int


Rounds: TypeAlias = Mapping[str, Sequence[load.Tally]]
"""By server, what each of its turns gave."""


@dataclass(frozen=True)
class Contender:
    """A server under an order.

    Args:
        order: of each of its turns.
        server: whose it is.
        is_stopped: whether it is stopped between its turns.
        may_fail: whether the others go on if it does not bear the load.
    """

    order: load.Order
    server: launch.Running
    is_stopped: bool = False
    may_fail: bool = False

    def pause(self) -> None:
        """Its turn is over, or has not come."""
        if self.is_stopped:
            self.server.pause()

    def turn(self, order: load.Order, core: int) -> load.Tally:
        """Let it go on for an order.

        Raises:
            Unavailable: it did not bear it.
        """
        if self.is_stopped:
            self.server.resume()
        try:
            family = usage.family(self.server.pid)
            before = usage.cpu_seconds(family)
            tally = launch.drive(order, core)
            spent = usage.cpu_seconds(family) - before
        finally:
            self.pause()
        return replace(tally, cpu_us=1e6 * spent / max(1, tally.answered))


@dataclass(frozen=True)
class Taken:
    """The turns of all who bore them, and why others did not, by name."""

    rounds: Rounds
    lost: Mapping[str, str]


def take(contenders: Mapping[str, Contender], rounds: int, core: int) -> Taken:
    """Each contender once per round, in their order, after a moment of warming up.

    Raises:
        Unavailable: a server that has to did not bear the load.
    """
    found: dict[str, list[load.Tally]] = {name: [] for name in contenders}
    lost: dict[str, str] = {}
    for contender in contenders.values():
        contender.pause()
    for turn in range(rounds + 1):
        for name, contender in contenders.items():
            if name in lost:
                continue
            order = contender.order
            if turn == 0:
                order = replace(order, seconds=min(WARM_UP_SECONDS, order.seconds))
            try:
                tally = contender.turn(order, core)
            except Unavailable as error:
                if not contender.may_fail:
                    raise
                lost[name] = str(error)
                del found[name]
            else:
                found[name] += [tally] if turn else []
    return Taken(found, lost)


def summarise(found: Rounds, subject: str = "") -> tuple[Served, ...]:
    """Medians by server.

    Args:
        found: of which the first is what ``ratio`` is to.
        subject: the server that ``times`` is about.
    """
    first = next(iter(found))
    return tuple(
        Served(
            name=name,
            per_second=statistics.median(tally.per_second for tally in tallies),
            p50_ms=statistics.median(tally.p50_ms for tally in tallies),
            p99_ms=statistics.median(tally.p99_ms for tally in tallies),
            cpu_us=statistics.median(tally.cpu_us for tally in tallies),
            ratio=ratio(found, name, first),
            times=ratio(found, subject, name) if subject else 0.0,
            requests=sum(tally.answered for tally in tallies),
            refused=sum(tally.refused for tally in tallies),
            busy=statistics.median(tally.busy for tally in tallies),
            late_ms=statistics.median(tally.late_ms for tally in tallies),
        )
        for name, tallies in found.items()
    )


def ratio(found: Rounds, one: str, other: str) -> float:
    """The median of the ratios within each round."""
    return statistics.median(
        mine.per_second / theirs.per_second
        for mine, theirs in zip(found[one], found[other], strict=True)
    )
