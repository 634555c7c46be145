"""Servers taking turns under the same load, round after round, and what the rounds say together.

What the machine does besides meets all of them alike; so a ratio is taken within each round,
and its median is over the rounds.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from serinus.bench import launch, load

WARM_UP_SECONDS = 0.5


@dataclass(frozen=True)
class Served:
    """One server's medians over all rounds. Latencies in milliseconds.

    ``ratio`` is to the first server of the same rounds; ``busy`` the share of its own core that
    the load needed: near 1, it is the load that was measured.
    """

    name: str
    per_second: float
    p50_ms: float
    p99_ms: float
    ratio: float
    requests: int
    refused: int
    busy: float


@dataclass(frozen=True)
class Pace:
    """How many seconds a turn takes, how often each server has one, and on how many connections."""

    seconds: float
    rounds: int
    connections: int


Rounds = Mapping[str, Sequence[load.Tally]]
"""By server, what each of its turns gave."""


def take(orders: Mapping[str, load.Order], rounds: int, core: int) -> Rounds:
    """Each order once per round, in their order, after a moment of warming up.

    Raises:
        Unavailable: a server did not bear the load.
    """
    for order in orders.values():
        launch.drive(replace(order, seconds=min(WARM_UP_SECONDS, order.seconds)), core)
    found: dict[str, list[load.Tally]] = {name: [] for name in orders}
    for _ in range(rounds):
        for name, order in orders.items():
            found[name].append(launch.drive(order, core))
    return found


def summarise(found: Rounds) -> tuple[Served, ...]:
    """Medians by server."""
    first = next(iter(found))
    return tuple(
        Served(
            name=name,
            per_second=statistics.median(tally.per_second for tally in tallies),
            p50_ms=statistics.median(tally.p50_ms for tally in tallies),
            p99_ms=statistics.median(tally.p99_ms for tally in tallies),
            ratio=ratio(found, name, first),
            requests=sum(tally.answered for tally in tallies),
            refused=sum(tally.refused for tally in tallies),
            busy=statistics.median(tally.busy for tally in tallies),
        )
        for name, tallies in found.items()
    )


def ratio(found: Rounds, one: str, other: str) -> float:
    """The median of the ratios within each round."""
    return statistics.median(
        mine.per_second / theirs.per_second
        for mine, theirs in zip(found[one], found[other], strict=True)
    )
