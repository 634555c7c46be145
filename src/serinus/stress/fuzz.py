"""``serinus stress fuzz``: hostile clients get their 4xx, and nobody else notices them."""

from __future__ import annotations

import asyncio
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import uvloop

from serinus import clock
from serinus.delivery.routing import Publisher
from serinus.proof.types import Bar
from serinus.stress import attacks, bodies, clients, gateways, proc, requests, versions
from serinus.stress.gateways import Gateway
from serinus.stress.load import OpenLoad, Reply
from serinus.stress.types import Finding, at_least, at_most
from serinus.wire import Route, RoutingTable

STATEMENT = (
    "Whatever clients send, every answer is a 2xx or a 4xx with its reason, no worker ends or "
    "grows, and other clients are answered meanwhile."
)
FAULTS = "attacks that were not taken as they must be"
SLOW = "p99 latency of other clients"
TIMEOUT_SECONDS = 2.0
GROWTH_MB = 10.0
P99_MS = 250.0

_AT_ONCE = 24
_PATIENCE_SECONDS = TIMEOUT_SECONDS + 4.0
_WARM_UP = 12 * len(attacks.KINDS)
_BYSTANDER_RATE = 50.0
_BYSTANDERS = 4
_SETTLE_SECONDS = 1.0
# For each worker; another may take some of them.
_WAKINGS = 8
_SETTINGS = {
    "request_max_bytes": bodies.MAX_BYTES,
    "request_max_rows": bodies.MAX_ROWS,
    "request_timeout_seconds": TIMEOUT_SECONDS,
}


@dataclass
class _Field:
    """The gateway under attack and what is seen of it."""

    gateway: Gateway
    seed: int
    kinds: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    unheard: int = 0
    faults: list[str] = field(default_factory=list)
    harmed: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    before: dict[int, int] = field(default_factory=dict)

    async def attack(self, numbers: Iterator[int]) -> None:
        """Take numbers and make their attacks, one after the other."""
        for number in numbers:
            planned = attacks.make(self.seed, number)
            outcome = await clients.strike(self.gateway.port, planned, patience=_PATIENCE_SECONDS)
            self.kinds[planned.name] += 1
            self.statuses.update(answer.status for answer in outcome.answers)
            self.unheard += outcome.unsent and not outcome.answers
            if fault := clients.judge(planned, outcome):
                self.faults.append(
                    f"attack {number} ({planned.name}): {fault} "
                    f"[again: --seed {self.seed} --only {number}]"
                )

    async def together(self, numbers: Iterator[int]) -> None:
        """Many attackers at a time."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(self.attack(numbers))

    def bystander(self, reply: Reply) -> None:
        """Look at the answer to somebody who has nothing to do with all this."""
        self.latencies.append(reply.latency)
        if reply.answer.status != 200:
            self.harmed.append(f"another client was answered {reply.answer}")

    def weigh(self) -> dict[int, int]:
        """The workers and the memory that each has."""
        return {pid: proc.memory(pid) for pid in self.gateway.workers}


def run(
    *,
    attempts: int = 5_000,
    minutes: float | None = None,
    seed: int = 0,
    only: int | None = None,
    workers: int = 1,
) -> Finding:
    """Attack a gateway of its own and look at what it does.

    Args:
        attempts: attacks, unless ``minutes`` is given.
        minutes: go on for so long.
        seed: of all attacks.
        only: the number of the one attack to make again.
        workers: of the gateway.

    Raises:
        Unavailable: the gateway did not start.
    """
    started = clock.monotonic()
    with tempfile.TemporaryDirectory(prefix="serinus-stress-") as folder:
        home = Path(folder)
        _publish(home)
        with gateways.running(home, workers=workers, settings=_SETTINGS) as gateway:
            _wake_staging(gateway, workers)
            seen = _Field(gateway, seed)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                dropped = runner.run(_fuzz(seen, attempts, minutes, only))
            after, tracebacks = seen.weigh(), gateway.tracebacks()
    return Finding(
        name="fuzz",
        statement=STATEMENT,
        bars=_bars(seen, dropped, after, tracebacks),
        seed=seed,
        seconds=clock.monotonic() - started,
        notes={
            "answers by status": {str(s): float(n) for s, n in sorted(seen.statuses.items())},
            "kinds of attack": {"number": float(len(seen.kinds))},
        },
        faults=(*seen.faults, *seen.harmed, *dropped),
    )


def _publish(home: Path) -> None:
    level, mixed = versions.save(home, 0), versions.save_mixed(home)
    routes = {
        versions.MODEL: Route(versions.MODEL, level, staging=level),
        versions.MIXED: Route(versions.MIXED, mixed),
    }
    Publisher(home / "routing.json").publish(RoutingTable(1, routes))


def _wake_staging(gateway: Gateway, workers: int) -> None:
    """Have the version in Staging loaded, which takes longer than an attack waits."""
    url = f"http://{gateways.HOST}:{gateway.port}/staging/model-info"
    woken = 0
    deadline = clock.monotonic() + gateways.READY_SECONDS
    while woken < _WAKINGS * workers and clock.monotonic() < deadline:
        # A 503 says that it is being loaded.
        with suppress(OSError), urllib.request.urlopen(url, timeout=gateways.READY_SECONDS):
            woken += 1


async def _fuzz(seen: _Field, attempts: int, minutes: float | None, only: int | None) -> list[str]:
    """Make all attacks; what was dropped of the other clients' requests."""
    if only is not None:
        await seen.attack(iter((only,)))
        seen.before = seen.weigh()
        return []
    row = dict.fromkeys(versions.NAMES, 1.0)
    request = requests.post(bodies.PREDICT, {"features": row})
    async with OpenLoad(
        seen.gateway.port,
        lambda _: request,
        seen.bystander,
        rate=_BYSTANDER_RATE,
        connections=_BYSTANDERS,
    ) as load:
        await seen.together(iter(range(_WARM_UP)))
        await asyncio.sleep(_SETTLE_SECONDS)
        seen.before = seen.weigh()
        await seen.together(_numbers(attempts, minutes))
        await asyncio.sleep(_SETTLE_SECONDS)
    return load.dropped


def _numbers(attempts: int, minutes: float | None) -> Iterator[int]:
    """The attacks after the warm-up: so many, or for so long."""
    if minutes is None:
        yield from range(_WARM_UP, _WARM_UP + attempts)
        return
    end = clock.monotonic() + 60 * minutes
    number = _WARM_UP
    while clock.monotonic() < end:
        yield number
        number += 1


def _bars(
    seen: _Field, dropped: list[str], after: dict[int, int], tracebacks: int
) -> tuple[Bar, ...]:
    died = len(seen.before.keys() - after.keys())
    growth = max((after.get(pid, 0) - had for pid, had in seen.before.items()), default=0)
    bars = [
        at_most(FAULTS, len(seen.faults), 0),
        at_most("answers of 500 and above", sum(n for s, n in seen.statuses.items() if s > 499), 0),
        at_most("workers that ended", died, 0),
        at_most("exceptions in the gateway's log", tracebacks, 0),
        at_most("memory that a worker gained", growth / 1e6, GROWTH_MB, "MB"),
        at_most("requests of other clients not answered", len(seen.harmed) + len(dropped), 0),
        at_least("attacks", sum(seen.kinds.values()), 1),
        at_most("refusals lost, since the connection was reset", seen.unheard, None),
    ]
    if seen.latencies:
        p99 = float(np.quantile(seen.latencies, 0.99)) * 1e3
        bars.append(at_most(SLOW, p99, P99_MS, "ms"))
    return tuple(bars)
