"""Scripted traffic: what a gateway would write, the same in each run, a batch at a time.

Arms are drawn by the gateway's own router from the published table, from keys that the script
gives; latencies, answers, failures and labels are the script's. So two runs differ in nothing but
what befalls the control plane.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from serinus.errors import Unavailable
from serinus.ledger.files.writer import Writer
from serinus.serving.router import Router
from serinus.wire import (
    Arm,
    Assignment,
    Event,
    Failure,
    Label,
    Output,
    Prediction,
    Route,
    RoutingTable,
    Shadow,
    WorkerStatus,
)

MODEL = "fraud"
CHAMPION, CHALLENGER = "1.0.0", "1.1.0"
_WORKER = "script"
_REASON = "ValueError"
_KEY_BYTES = 16
_ENTITIES = 5_000


@dataclass(frozen=True)
class Behaviour:
    """How a version behaves: its failing and its wrong share, and its median latency."""

    failing: float = 0.0
    wrong: float = 0.05
    latency_us: float = 900.0


@dataclass(frozen=True)
class Script:
    """One rollout's traffic.

    Attributes:
        name: of the scenario.
        spec: fields of the deployment's specification beside model and challenger.
        requests: in each batch.
        pause_seconds: of the script's time from one batch to the next.
        most_batches: after which it has failed to end.
        good: how both versions behave at first.
        bad: how the challenger behaves from the share in ``bad_from`` on.
        bad_from: the challenger's share of traffic from which it is bad; None is never.
        upstream: how both versions behave once a feed that both need is broken.
        upstream_from: the batch from which it is; None is never.
        seed: of everything.
    """

    name: str
    spec: Mapping[str, object]
    requests: int = 400
    pause_seconds: float = 60.0
    most_batches: int = 60
    good: Behaviour = field(default_factory=Behaviour)
    bad: Behaviour = field(default_factory=lambda: Behaviour(failing=0.5))
    bad_from: float | None = None
    upstream: Behaviour | None = None
    upstream_from: int | None = None
    seed: int = 0

    def behaviour(self, arm: Arm, share: float, batch: int = 0) -> Behaviour:
        """How the version of an arm behaves under a share, in a batch."""
        if self.upstream is not None and self.upstream_from is not None:
            return self.upstream if batch > self.upstream_from else self.good
        challenger = arm in (Arm.CHALLENGER, Arm.SHADOW)
        is_bad = challenger and self.bad_from is not None and share >= self.bad_from
        return self.bad if is_bad else self.good


class Scribe:
    """Writes a script into a home's ledger, as its gateway.

    Args:
        script: what.
        home: whose routing table and ledger.
    """

    def __init__(self, script: Script, home: Path) -> None:
        self._script = script
        self._table = home / "routing.json"
        self._writer = Writer(home / "ledger", segment_bytes=64_000_000, sync="os")
        self._batch = 0

    def close(self) -> None:
        """Let go of the ledger."""
        self._writer.close()

    @property
    def name(self) -> str:
        """The writer's name."""
        return self._writer.name

    def table(self) -> RoutingTable:
        """The table in force. Raises Unavailable: none was published yet."""
        try:
            return msgspec.json.decode(self._table.read_bytes(), type=RoutingTable)
        except FileNotFoundError as error:
            raise Unavailable("no routing table was published", where=str(self._table)) from error

    def write(self, moment_us: int, host_us: int) -> None:
        """Write the next batch, which happened just before a moment.

        Args:
            moment_us: of the script.
            host_us: what the clock of the control plane's host says: its gateways report by it.
        """
        script, table = self._script, self.table()
        route = table.routes[MODEL]
        chance = np.random.default_rng([script.seed, self._batch])
        self._batch += 1
        keys = iter(chance.bytes(_KEY_BYTES) for _ in range(script.requests))
        router = Router(route, table.revision, lambda: next(keys))
        draws: list[Sequence[float]] = chance.random((script.requests, 8)).tolist()
        spacing = round(script.pause_seconds * 1e6) // (script.requests + 1)
        start = moment_us - spacing * script.requests
        asked = [
            self._answer(router, route, start + number * spacing, row)
            for number, row in enumerate(draws)
        ]
        made = self._writer.append([self._status(table, host_us), *asked])[1:]
        followed: list[Event] = []
        for id, event, row in zip(made, asked, draws, strict=True):
            if isinstance(event, Prediction):
                followed += self._following(route, id, event, row)
        if followed:
            self._writer.append(followed)

    def report(self, host_us: int) -> None:
        """Only say that all versions of the table are loaded."""
        self._writer.append([self._status(self.table(), host_us)])

    def _status(self, table: RoutingTable, moment_us: int) -> WorkerStatus:
        route = table.routes[MODEL]
        targets = [target for target in (route.champion, route.challenger) if target is not None]
        ready = tuple(f"{MODEL}@{target.version}" for target in targets)
        return WorkerStatus(moment_us, _WORKER, table.revision, ready, {})

    def _answer(
        self, router: Router, route: Route, at: int, row: Sequence[float]
    ) -> Prediction | Failure:
        """A request and what came of it; the champion answers where a challenger fails."""
        assignment = router.assign(f"e{int(row[0] * _ENTITIES)}")
        arm = assignment.arm
        target = route.challenger if arm is Arm.CHALLENGER else route.champion
        assert target is not None  # the router draws no challenger that is not there
        behaviour = self._behaviour(arm, route)
        instead = self._behaviour(Arm.CHAMPION, route)
        latency = _latency(behaviour, row[5])
        fallback = ""
        if row[1] < behaviour.failing and arm is Arm.CHALLENGER:
            behaviour, target, fallback = instead, route.champion, _REASON
        if row[1] < behaviour.failing:
            return Failure(at, assignment, target.version, _REASON, latency, fallback)
        features = (round(row[2], 3), round(row[3], 3))
        output = _output(behaviour, row[4])
        return Prediction(at, assignment, target.version, features, output, latency, fallback)

    def _behaviour(self, arm: Arm, route: Route) -> Behaviour:
        return self._script.behaviour(arm, route.share, self._batch)

    def _following(
        self, route: Route, id: bytes, event: Prediction, row: Sequence[float]
    ) -> Sequence[Event]:
        behaviour = self._behaviour(Arm.SHADOW, route)
        found: list[Event] = []
        given: Assignment = event.assignment
        if given.arm is Arm.CHAMPION and route.challenger is not None and row[6] < route.mirror:
            output = None if row[1] < behaviour.failing else _output(behaviour, row[7])
            found.append(
                Shadow(
                    event.at + 1,
                    id,
                    given,
                    route.challenger.version,
                    event.output,
                    output,
                    _latency(behaviour, row[5]),
                    "" if output else _REASON,
                )
            )
        found.append(Label(event.at + 2, id, 0, event.at, given, event.version, event.output))
        return found


def _output(behaviour: Behaviour, draw: float) -> Output:
    value = int(draw < behaviour.wrong)
    score = 0.05 + 0.4 * draw
    return Output(value, (score, 1 - score) if value else (1 - score, score))


def _latency(behaviour: Behaviour, draw: float) -> int:
    return round(behaviour.latency_us * (0.7 + 0.6 * draw))
