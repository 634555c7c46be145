"""``serinus stress swap``: versions change places under load, and every answer says the truth."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import uvloop

from serinus import clock
from serinus.delivery.routing import Publisher
from serinus.errors import Unavailable
from serinus.ledger import ids
from serinus.proof.types import Bar
from serinus.stress import gateways, requests, versions
from serinus.stress.changes import SWAPS, Change, Kind, changes, first
from serinus.stress.load import OpenLoad, Reply
from serinus.stress.types import Finding, at_least, at_most
from serinus.wire import Answer, Arm, Route, RoutingTable

STATEMENT = (
    "While versions change places under load, no request is dropped, every answer is of a version "
    "that its revision names, and a revision is in force everywhere within a quarter of a second."
)
DROPPED = "requests not answered with 200"
MISNAMED = "answers by a version that their revision does not name"
BACKWARDS = "revisions that went backwards on a connection"
SLOWEST = "slowest change, from its publication to all workers"
SWAPPED = "champions changed"
ROLLED_BACK = "rollbacks"
TAKEOVER_MS = 250.0
WORKERS = 2
CONNECTIONS = 16

_PATH = f"/models/{versions.MODEL}/predict"
_PATIENCE_SECONDS = 20.0
_REST_SECONDS = 0.1
_ROWS = 256
_TOLERANCE = 1e-6
# To each worker, before the first change.
_LEAST_CONNECTIONS = 4
_MOST_CONNECTIONS = 128


class Answered(msgspec.Struct):
    """What is looked at of an answer."""

    prediction: Answer
    prediction_id: str
    version: str
    arm: Arm
    revision: int
    fallback: bool = False


@dataclass
class Watch:
    """Holds every answer against the published tables.

    Attributes:
        rows: the inputs of request n are those at n, modulo their number.
        routes: by revision; to be written before the table is published.
        published: by revision, when that was begun, in monotonic seconds.
        taken: by revision and worker, when that worker first answered with it or a later one.
    """

    rows: Sequence[tuple[float, ...]]
    routes: dict[int, Route] = field(default_factory=dict)
    published: dict[int, float] = field(default_factory=dict)
    taken: dict[int, dict[str, float]] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    refused: int = 0
    misnamed: int = 0
    backwards: int = 0
    faults: list[str] = field(default_factory=list)
    arms: Counter[str] = field(default_factory=Counter)
    by_worker: Counter[str] = field(default_factory=Counter)
    _at_worker: dict[str, int] = field(default_factory=dict)
    _at_connection: dict[tuple[int, str], int] = field(default_factory=dict)

    def take(self, reply: Reply) -> None:
        """Look at an answer."""
        self.latencies.append(reply.latency)
        if reply.answer.status != 200:
            self.refused += 1
            self.faults.append(f"request {reply.number}: {reply.answer}")
            return
        found = msgspec.json.decode(reply.answer.body, type=Answered)
        self.arms[found.arm] += 1
        fault = self._fault(reply, found)
        if fault:
            self.misnamed += 1
            self.faults.append(f"request {reply.number}: {fault} in {reply.answer.body!r}")
        self._follow(reply, found)

    def met(self, connections: int) -> bool:
        """Whether all workers have answered, each on so many connections."""
        met = Counter(worker for _, worker in self._at_connection)
        return len(met) == WORKERS and min(met.values()) >= connections

    def everywhere(self, revision: int) -> bool:
        """Whether every worker has answered with this revision or a later one."""
        return bool(self._at_worker) and min(self._at_worker.values()) >= revision

    def takeover(self, revision: int) -> float:
        """Seconds from the publication until the last worker answered with it."""
        return max(self.taken[revision].values()) - self.published[revision]

    def _fault(self, reply: Reply, found: Answered) -> str:
        """What is wrong with who answered; empty if nothing is."""
        if reply.answer.headers.get(b"x-serinus-revision") != b"%d" % found.revision:
            return "header and body name different revisions"
        route = self.routes.get(found.revision)
        if route is None:
            return "the revision was never published"
        challenger = route.challenger.version if route.challenger else None
        drawn = found.arm is Arm.CHALLENGER and not found.fallback
        if found.version != (challenger if drawn else route.champion.version):
            return f"the revision's {found.arm} is another version"
        row = self.rows[reply.number % len(self.rows)]
        right = versions.expected(versions.number_of(found.version), row)
        if not isinstance(found.prediction, float) or abs(found.prediction - right) > _TOLERANCE:
            return f"another version answered than the one that is named: {right} was expected"
        return ""

    def _follow(self, reply: Reply, found: Answered) -> None:
        worker = ids.unpack(ids.decode(found.prediction_id)).writer
        place = (reply.connection, worker)
        self.by_worker[worker] += 1
        if found.revision < self._at_connection.get(place, 0):
            self.backwards += 1
            self.faults.append(f"request {reply.number}: revision {found.revision} came later")
        self._at_connection[place] = found.revision
        known = self._at_worker.get(worker, 0)
        for revision in range(known + 1, found.revision + 1):
            self.taken.setdefault(revision, {})[worker] = reply.done
        self._at_worker[worker] = max(known, found.revision)


@dataclass
class _Drive:
    """Publishes one change after the other while the load runs."""

    watch: Watch
    publisher: Publisher
    kinds: dict[int, Kind] = field(default_factory=dict)

    async def publish(self, revision: int, route: Route) -> None:
        """Publish a revision and wait until every worker has answered with it."""
        self.watch.routes[revision] = route
        table = RoutingTable(revision, {versions.MODEL: route})
        self.watch.published[revision] = clock.monotonic()
        await asyncio.to_thread(self.publisher.publish, table)
        await self.until(lambda: self.watch.everywhere(revision), f"revision {revision}")

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for something that the watch will see."""
        deadline = clock.monotonic() + _PATIENCE_SECONDS
        while not holds():
            if clock.monotonic() > deadline:
                raise Unavailable(
                    f"{what} was not in force everywhere after {_PATIENCE_SECONDS:g} s",
                    faults=self.watch.faults[:5],
                )
            await asyncio.sleep(0.001)

    async def _meet_all(self, load: OpenLoad) -> None:
        """Open connections until every worker has some: the kernel deals them as it likes."""
        while not self.watch.met(_LEAST_CONNECTIONS) and load.opened < _MOST_CONNECTIONS:
            load.widen(1)
            await asyncio.sleep(0.05)
        await self.until(lambda: self.watch.met(1), "the first revision")

    async def through(self, planned: Iterable[Change], port: int, rate: float) -> OpenLoad:
        """Make all changes under load; the load, when it has ended."""
        bodies = [
            requests.post(_PATH, {"features": dict(zip(versions.NAMES, row, strict=True))})
            for row in self.watch.rows
        ]

        def request(number: int) -> bytes:
            return bodies[number % len(bodies)]

        load = OpenLoad(port, request, self.watch.take, rate=rate, connections=CONNECTIONS)
        async with load:
            await self._meet_all(load)
            for revision, change in enumerate(planned, 2):
                self.kinds[revision] = change.kind
                await self.publish(revision, change.route)
                await asyncio.sleep(_REST_SECONDS)
        return load


def run(*, swaps: int = 100, rollbacks: int = 20, rate: float = 1_000.0, seed: int = 0) -> Finding:
    """Change versions under load and hold every answer against what was published.

    Args:
        swaps: champions that are replaced by a version that was never loaded before.
        rollbacks: how often the former champion gets its place back, among these.
        rate: requests a second.
        seed: of the rows that are sent.

    Raises:
        Unavailable: the gateway did not start, or a revision was never in force everywhere.
    """
    started = clock.monotonic()
    rng = np.random.default_rng(seed)
    rows = [tuple(row) for row in rng.normal(size=(_ROWS, len(versions.NAMES))).tolist()]
    with tempfile.TemporaryDirectory(prefix="serinus-stress-") as folder:
        home = Path(folder)
        targets = [versions.save(home, number) for number in range(swaps + 1)]
        drive = _Drive(Watch(rows), Publisher(home / "routing.json"))
        route = first(targets)
        drive.watch.routes[1] = route
        drive.publisher.publish(RoutingTable(1, {versions.MODEL: route}))
        with gateways.running(home, workers=WORKERS, settings={}) as gateway:
            before = gateway.workers
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                planned = changes(targets, rollbacks)
                load = runner.run(drive.through(planned, gateway.port, rate))
            died = len(set(before) - set(gateway.workers))
    return Finding(
        name="swap",
        statement=STATEMENT,
        bars=_bars(drive, load, died),
        seed=seed,
        seconds=clock.monotonic() - started,
        notes=_notes(drive),
        faults=(*load.dropped, *drive.watch.faults),
    )


def _bars(drive: _Drive, load: OpenLoad, died: int) -> tuple[Bar, ...]:
    watch, kinds = drive.watch, Counter(drive.kinds.values())
    slowest = max(1e3 * watch.takeover(revision) for revision in drive.kinds)
    p50, p99 = np.quantile(watch.latencies, (0.5, 0.99)) * 1e3
    return (
        at_most(DROPPED, watch.refused + len(load.dropped), 0),
        at_most(MISNAMED, watch.misnamed, 0),
        at_most(BACKWARDS, watch.backwards, 0),
        at_most(SLOWEST, slowest, TAKEOVER_MS, "ms"),
        at_most("workers that died", died, 0),
        at_least(SWAPPED, sum(kinds[kind] for kind in SWAPS), 1),
        at_most(ROLLED_BACK, kinds["rollback"], None),
        at_most("requests", load.sent, None),
        at_most("connections", load.opened, None),
        at_most("median latency", float(p50), None, "ms"),
        at_most("p99 latency", float(p99), None, "ms"),
    )


def _notes(drive: _Drive) -> dict[str, dict[str, float]]:
    """How long changes of each kind took, and what the arms answered."""
    watch = drive.watch
    notes = {
        "answers by arm": {arm: float(n) for arm, n in sorted(watch.arms.items())},
        "answers by worker": {worker: float(n) for worker, n in sorted(watch.by_worker.items())},
    }
    for kind in dict.fromkeys(drive.kinds.values()):
        took = [1e3 * watch.takeover(r) for r, other in drive.kinds.items() if other == kind]
        median, most = np.quantile(took, (0.5, 0.9))
        notes[f"{kind} changes, ms to all workers"] = {
            "changes": float(len(took)),
            "median": round(float(median), 1),
            "90 %": round(float(most), 1),
            "slowest": round(max(took), 1),
        }
    return notes
