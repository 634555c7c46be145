"""Scripted traffic: what a gateway would write, the same in each run, a batch at a time.

Arms are drawn by the gateway's own router from the published table, from keys that the script
gives; latencies, answers, failures and labels are the script's. So two runs differ in nothing but
what befalls the control plane.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from serinus.errors import Unavailable
from serinus.ledger.files.writer import Writer
from serinus.serving.asking.router import Router
from serinus.wire import (
    Arm,
    Event,
    Failure,
    Label,
    Output,
    Prediction,
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
        model: whose versions they are.
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
    model: str = MODEL

    def behaviour(self, arm: Arm, share: float, batch: int = 0) -> Behaviour:
        """How the version of an arm behaves under a share, in a batch."""
        if self.upstream is not None and self.upstream_from is not None:
            return self.upstream if batch > self.upstream_from else self.good
        challenger = arm in (Arm.CHALLENGER, Arm.SHADOW)
        is_bad = challenger and self.bad_from is not None and share >= self.bad_from
        return self.bad if is_bad else self.good


class Scribe:
    """Writes scripts into a home's ledger, as its gateway; each is of a model of its own.

    Args:
        scripts: what.
        home: whose routing table and ledger.

    Attributes:
        harmed: by model, requests that were given to a bad challenger.
    """

    def __init__(self, scripts: Sequence[Script], home: Path) -> None:
        self._scripts = {script.model: script for script in scripts}
        self._table = home / "routing.json"
        self._writer = Writer(home / "ledger", segment_bytes=64_000_000, sync="os")
        self._batch = 0
        self.harmed: Counter[str] = Counter()

    def drop(self, model: str) -> None:
        """Write no more of a model; as often as one likes."""
        self._scripts.pop(model, None)

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
        """Write the next batch of each script, which happened just before a moment.

        Args:
            moment_us: of the scripts.
            host_us: what the clock of the control plane's host says: its gateways report by it.
        """
        table = self.table()
        batch = self._batch
        self._batch += 1
        self._writer.append([_status(table, host_us)])
        for script in self._scripts.values():
            told = _Batch(script, table, batch)
            asked = told.asked(moment_us)
            followed = told.following(asked, self._writer.append(asked))
            if followed:
                self._writer.append(followed)
            self.harmed[script.model] += told.harmed

    def report(self, host_us: int) -> None:
        """Only say that all versions of the table are loaded."""
        self._writer.append([_status(self.table(), host_us)])


class _Batch:
    """One batch of one script, under the table in force.

    Attributes:
        harmed: requests that were given to a bad challenger.
    """

    def __init__(self, script: Script, table: RoutingTable, number: int) -> None:
        self._script = script
        self._number = number
        self._route = table.routes[script.model]
        chance = np.random.default_rng([script.seed, number])
        keys = iter(chance.bytes(_KEY_BYTES) for _ in range(script.requests))
        self._router = Router(self._route, table.revision, lambda: next(keys))
        self._draws: list[Sequence[float]] = chance.random((script.requests, 8)).tolist()
        self.harmed = 0

    def asked(self, moment_us: int) -> list[Prediction | Failure]:
        """The requests, the last of them just before a moment."""
        script = self._script
        spacing = round(script.pause_seconds * 1e6) // (script.requests + 1)
        start = moment_us - spacing * script.requests
        return [
            self._answer(start + number * spacing, row) for number, row in enumerate(self._draws)
        ]

    def following(self, asked: Sequence[Prediction | Failure], ids: Sequence[bytes]) -> list[Event]:
        """What comes of requests with these ids: shadows and labels."""
        found: list[Event] = []
        for id, event, row in zip(ids, asked, self._draws, strict=True):
            if isinstance(event, Prediction):
                found += self._shadow(id, event, row)
                given = event.assignment
                found.append(
                    Label(event.at + 2, id, 0, event.at, given, event.version, event.output)
                )
        return found

    def _answer(self, at: int, row: Sequence[float]) -> Prediction | Failure:
        """A request and what came of it; the champion answers where a challenger fails."""
        route = self._route
        assignment = self._router.assign(f"e{int(row[0] * _ENTITIES)}")
        arm = assignment.arm
        target = route.challenger if arm is Arm.CHALLENGER else route.champion
        assert target is not None  # the router draws no challenger that is not there
        behaviour = self._behaviour(arm)
        instead = self._behaviour(Arm.CHAMPION)
        self.harmed += arm is Arm.CHALLENGER and behaviour is self._script.bad
        latency = _latency(behaviour, row[5])
        fallback = ""
        if row[1] < behaviour.failing and arm is Arm.CHALLENGER:
            behaviour, target, fallback = instead, route.champion, _REASON
        if row[1] < behaviour.failing:
            return Failure(at, assignment, target.version, _REASON, latency, fallback)
        features = (round(row[2], 3), round(row[3], 3))
        output = _output(behaviour, row[4])
        return Prediction(at, assignment, target.version, features, output, latency, fallback)

    def _shadow(self, id: bytes, event: Prediction, row: Sequence[float]) -> list[Event]:
        route, given = self._route, event.assignment
        mirrored = given.arm is Arm.CHAMPION and row[6] < route.mirror
        if not mirrored or route.challenger is None:
            return []
        behaviour = self._behaviour(Arm.SHADOW)
        output = None if row[1] < behaviour.failing else _output(behaviour, row[7])
        return [
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
        ]

    def _behaviour(self, arm: Arm) -> Behaviour:
        # Batches are counted from one: the feed breaks behind the one that is named.
        return self._script.behaviour(arm, self._route.share, self._number + 1)


def _status(table: RoutingTable, moment_us: int) -> WorkerStatus:
    ready = tuple(
        f"{model}@{target.version}"
        for model, route in table.routes.items()
        for target in (route.champion, route.challenger)
        if target is not None
    )
    return WorkerStatus(moment_us, _WORKER, table.revision, ready, {})


def _output(behaviour: Behaviour, draw: float) -> Output:
    value = int(draw < behaviour.wrong)
    score = 0.05 + 0.4 * draw
    return Output(value, (score, 1 - score) if value else (1 - score, score))


def _latency(behaviour: Behaviour, draw: float) -> int:
    return round(behaviour.latency_us * (0.7 + 0.6 * draw))
