"""What serving takes: processor time of a request, with one worker and with two, and memory."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from serinus.bench import artifact, launch, load, servers, usage
from serinus.bench.turns import WARM_UP_SECONDS, Pace

FURTHER_MODELS = 10


@dataclass(frozen=True)
class Workers:
    """Processor time of the workers for a request, in microseconds; ``ratio`` of two to one."""

    one_us: float
    two_us: float
    ratio: float
    one_per_second: float
    two_per_second: float


@dataclass(frozen=True)
class Resident:
    """Memory of one worker in bytes, after traffic on all its models."""

    models: int
    rss: int
    pss: int


@dataclass(frozen=True)
class _Cost:
    us: float
    per_second: float


def workers(kind: str, home: Path, cores: launch.Cores, pace: Pace) -> Workers:
    """One worker with its load on one core, then two workers with twice that load on two cores.

    So each worker has the same company on its core, and about as many connections. One worker
    with a core for itself would gather larger batches or smaller ones, and be another case.
    """
    sets = (cores.all[:1], cores.all)
    with (
        servers.start(sets[0], home) as one,
        servers.start(sets[1], home, count=len(sets[1])) as two,
    ):
        rounds = [
            [_cost(running, kind, on, pace) for running, on in zip((one, two), sets, strict=True)]
            for _ in range(pace.rounds)
        ]
    return Workers(
        one_us=statistics.median(one.us for one, _ in rounds),
        two_us=statistics.median(two.us for _, two in rounds),
        ratio=statistics.median(two.us / one.us for one, two in rounds),
        one_per_second=statistics.median(one.per_second for one, _ in rounds),
        two_per_second=statistics.median(two.per_second for _, two in rounds),
    )


def _cost(running: launch.Running, kind: str, on: Sequence[int], pace: Pace) -> _Cost:
    asked = artifact.bodies()
    path = f"/models/{kind}/predict"
    _drive_on(on, load.Order(running.port, path, asked, pace.connections, WARM_UP_SECONDS))
    pids = usage.children(running.pid)
    before = usage.cpu_seconds(pids)
    tallies = _drive_on(on, load.Order(running.port, path, asked, pace.connections, pace.seconds))
    spent = usage.cpu_seconds(pids) - before
    answered = sum(tally.answered for tally in tallies)
    return _Cost(1e6 * spent / answered, sum(tally.per_second for tally in tallies))


def _drive_on(on: Sequence[int], order: load.Order) -> list[load.Tally]:
    """The same order from each of these cores at the same time."""
    with ThreadPoolExecutor(len(on)) as pool:
        return list(pool.map(lambda core: launch.drive(order, core), on))


def resident(home: Path, models: int, cores: launch.Cores, pace: Pace) -> Resident:
    """Memory of the worker of a gateway whose models are all in use.

    Args:
        home: with so many models of which the champion is alone.
        models: how many.
        cores: that serve and drive.
        pace: its connections are those of the traffic.
    """
    with servers.start((cores.server,), home) as gateway:
        for name in artifact.alone_names(models):
            path = f"/models/{name}/predict"
            order = load.Order(
                gateway.port, path, artifact.bodies(), pace.connections, WARM_UP_SECONDS
            )
            launch.drive(order, cores.load)
        [worker] = usage.children(gateway.pid)
        found = usage.memory(worker)
    return Resident(models, found.rss, found.pss)
