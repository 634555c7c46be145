"""An installation whose clock, ledger and deaths are in a test's hand; the rest is real."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import numpy as np
from sqlalchemy import Engine, event

from serinus import clock
from serinus.delivery import leases
from serinus.delivery.controller import Controller
from serinus.delivery.folding.consumer import Consumer
from serinus.delivery.forecast import feasibility, simulation
from serinus.delivery.forecast.types import Forecast, Traffic
from serinus.delivery.leases import Lease
from serinus.delivery.planning import strategies
from serinus.delivery.proposing import Planner
from serinus.delivery.routing import Publisher
from serinus.delivery.service import Delivery
from serinus.delivery.tables import Tables
from serinus.delivery.types import Plan
from serinus.ledger.types import Batch, Offset, Offsets, Record
from serinus.registry import folders, model_types
from serinus.registry.service import Registry
from serinus.registry.types import Candidate, GateResult, Stage
from serinus.store import engine as store
from serinus.store.engine import open_engine
from serinus.wire import (
    Arm,
    Assignment,
    Event,
    Failure,
    Field,
    Manifest,
    Output,
    Prediction,
    Route,
    RoutingTable,
    Shadow,
    WorkerStatus,
)

MODEL = "fraud"
VERSIONS = ("1.0.0", "1.1.0", "1.2.0", "1.3.0")
LEASE_SECONDS = 3.0
BEGUN = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Killed(BaseException):
    """The process is gone: nothing after this moment happens, not even an except clause."""


@dataclass
class Time:
    """A wall clock that may jump, and one that never does."""

    wall: datetime = BEGUN
    steady: float = 1_000.0

    def pass_by(self, seconds: float) -> None:
        """Both go on."""
        self.wall += timedelta(seconds=seconds)
        self.steady += seconds

    def tick(self) -> datetime:
        """The time now; no two looks see the same."""
        self.wall += timedelta(microseconds=1)
        return self.wall

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Everything asks this clock."""

        def epoch_us() -> int:
            return clock.to_epoch_us(self.tick())

        def monotonic() -> float:
            return self.steady

        with (
            mock.patch.object(clock, "now", self.tick),
            mock.patch.object(clock, "epoch_us", epoch_us),
            mock.patch.object(clock, "monotonic", monotonic),
        ):
            yield


@dataclass
class Tape:
    """A ledger in memory with one writer: an offset is the number of the next event."""

    events: list[Record] = field(default_factory=list)
    writer: str = "0a0a0a0a"

    def append(self, events: Sequence[Event]) -> list[bytes]:
        """Write events; their ids."""
        first = len(self.events)
        ids = [number.to_bytes(16, "big") for number in range(first, first + len(events))]
        self.events += map(Record, ids, events)
        return ids

    def read(self, offsets: Offsets, limit: int) -> Batch:
        """What comes behind the offsets."""
        start = offsets.get(self.writer, Offset(0, 0)).offset
        records = self.events[start : start + limit]
        end = start + len(records)
        place = {**offsets, self.writer: Offset(0, end)}
        return Batch(records, place, complete=end == len(self.events))

    def between(self, writer: str, start: Offset, end: Offset) -> list[Record]:
        """A stretch of it."""
        return self.events[start.offset : end.offset]


class Silent(Registry):
    """A registry that no MLflow follows: hundreds of installations are made in a second."""

    def mirror_soon(self, model: str) -> None:
        """Nobody looks."""

    def _follow(self, model: str) -> None:
        """Nobody looks."""


@dataclass
class Fuse:
    """Kills, or lets somebody else run, just before a store's n-th statement or commit."""

    left: int = -1
    act: Callable[[], None] = lambda: None
    writes_only: bool = False

    def watch(self, engine: Engine) -> None:
        """Count what an engine does."""
        event.listen(engine, "before_cursor_execute", self._statement)
        event.listen(engine, "commit", self._commit)

    @contextmanager
    def lit(
        self, after: int, act: Callable[[], None], *, writes_only: bool = False
    ) -> Iterator[None]:
        """Act once, after so many more of them."""
        self.left, self.act, self.writes_only = after, act, writes_only
        try:
            yield
        finally:
            self.left = -1

    def _statement(self, _connection: object, _cursor: object, text: str, *_rest: object) -> None:
        # A transaction that writes holds the whole of SQLite: others can only run before it.
        if not self.writes_only or text == "BEGIN IMMEDIATE":
            self._burn()

    def _commit(self, _connection: object) -> None:
        if not self.writes_only:
            self._burn()

    def _burn(self) -> None:
        if self.left == 0:
            self.left = -1
            self.act()
        elif self.left > 0:
            self.left -= 1


@dataclass
class Side:
    """One control process: its controller and how others know it."""

    name: str
    controller: Controller


def prepare(template: Path, folder: Path) -> Path:
    """A store with a model of four versions, the first of them champion, made once for many lives.

    Args:
        template: a migrated SQLite file.
        folder: where the versions are from now on.
    """
    path = folder / "prepared.db"
    shutil.copyfile(template, path)
    engine = open_engine(f"sqlite:///{path}")
    registry = Silent(engine, "sqlite://", folder)
    for version in VERSIONS:
        _register(registry, folder / version, version)
    for stage in (Stage.STAGING, Stage.PRODUCTION):
        registry.transition(None, MODEL, VERSIONS[0], stage, actor="t", reason="t")
    registry.close()
    engine.dispose()
    return path


def _register(registry: Registry, place: Path, version: str) -> None:
    inputs = (Field("amount", "double"), Field("age", "double"))
    manifest = Manifest(MODEL, "classification", inputs, "is_fraud", (0, 1))
    place.mkdir()
    folders.write_manifest(place, manifest)
    registry.register(
        Candidate(
            uri=str(place),
            manifest=manifest,
            model_type="classification",
            version=version,
            metrics={"accuracy": 0.95},
            gates=(GateResult("threshold accuracy", True, "0.95 against 0.7"),),
        )
    )


_TYPES = model_types.load()
_forecasts: dict[str, Forecast] = {}


def _forecast(plan: Plan, traffic: Traffic | None, **asked: Any) -> Forecast:
    """A forecast takes a third of a second, and the same plan is asked for in every other life."""
    key = repr((msgspec.structs.replace(plan, salt=""), traffic, sorted(asked.items())))
    if key not in _forecasts:
        _forecasts[key] = simulation.forecast(plan, traffic, **asked)
    return _forecasts[key]


class Life:
    """An installation of that model with two control processes.

    Its plans ask so little that a hundred requests decide.

    Args:
        folder: of its state; in memory, if it is to be quick.
        prepared: what :func:`prepare` made.
    """

    def __init__(self, folder: Path, prepared: Path) -> None:
        self.time = Time()
        self.tape = Tape()
        self.fuse = Fuse()
        self.dead: set[str] = set()
        self._rng = np.random.default_rng(7)
        self._born = 0
        shutil.copyfile(prepared, folder / "serinus.db")
        # All runs in one thread: who waits for a lock here waits for ever.
        with mock.patch.object(store, "_BUSY_SECONDS", 0.1):
            self.engine = open_engine(f"sqlite:///{folder / 'serinus.db'}")
        self.fuse.watch(self.engine)
        self.file = folder / "routing.json"
        self.folder = folder
        self.registry = Silent(self.engine, "sqlite://", folder)
        self._patches = [
            self.time.in_force(),
            mock.patch.object(leases, "is_gone", self.dead.__contains__),
            mock.patch.object(feasibility, "forecast", _forecast),
            mock.patch.object(strategies, "SHADOW_ERROR_POINTS", 0.3),
            mock.patch.object(strategies, "SHARE_ERROR", 0.95),
        ]
        for patch in self._patches:
            patch.__enter__()
        self.delivery = self._delivery()
        self.delivery.tables.publish()
        self.sides = [self.bear(), self.bear()]

    def close(self) -> None:
        """Let go of everything."""
        for patch in self._patches:
            patch.__exit__(None, None, None)
        self.registry.close()
        self.engine.dispose()

    def bear(self) -> Side:
        """A control process that has just been started."""
        self._born += 1
        name = f"control {self._born}"
        lease = Lease(self.engine, LEASE_SECONDS, holder=name)
        consumer = Consumer(self.engine, self.tape)  # type: ignore[arg-type]
        return Side(name, Controller(self._delivery(), consumer, lease))

    def look(self, side: int) -> None:
        """One pass of a controller."""
        self.sides[side].controller.run_once()

    def kill(self, side: int) -> None:
        """One is gone; another is started in its place."""
        self.dead.add(self.sides[side].name)
        self.sides[side] = self.bear()

    def table(self) -> RoutingTable:
        """The routing table in force."""
        return self.delivery.routing()

    def report(self, ready: Mapping[str, Sequence[str]]) -> None:
        """The gateways' workers say what they have loaded."""
        revision = self.table().revision
        at = clock.epoch_us()
        self.tape.append(
            [
                WorkerStatus(at, worker, revision, tuple(f"{MODEL}@{one}" for one in versions), {})
                for worker, versions in ready.items()
            ]
        )

    def serve(self, requests: int, *, failing: float, entities: int) -> None:
        """Requests as gateways under the present table would tell them."""
        table = self.table()
        route = table.routes[MODEL]
        draws = self._rng.random((requests, 2))
        units = self._rng.integers(1, entities + 1, requests)
        told: list[Event] = []
        for (draw, fails), unit in zip(draws, units, strict=True):
            is_challenger = bool(draw < route.share)
            arm = Arm.CHALLENGER if is_challenger else Arm.CHAMPION
            assigned = Assignment(
                MODEL, arm, route.share, table.revision, route.deployment, route.step, int(unit)
            )
            told += self._answers(route, assigned, fails=bool(fails < failing))
        self.tape.append(told)

    def _answers(self, route: Route, assigned: Assignment, *, fails: bool) -> list[Event]:
        at = clock.to_epoch_us(self.time.wall)
        version, answer = route.champion.version, Output(0, (0.9, 0.1))
        if assigned.arm is Arm.CHALLENGER and route.challenger is not None:
            version = route.challenger.version
            if fails:
                return [Failure(at, assigned, version, "ValueError", 900)]
        told: list[Event] = [Prediction(at, assigned, version, (1.0, 2.0), answer, 900)]
        if route.mirror and route.challenger is not None:
            identity = len(self.tape.events).to_bytes(16, "big")
            copy = msgspec.structs.replace(assigned, arm=Arm.SHADOW, share=0.0)
            other, why = (None, "ValueError") if fails else (answer, "")
            version = route.challenger.version
            told.append(Shadow(at, identity, copy, version, answer, other, 900, why))
        return told

    def _delivery(self) -> Delivery:
        planner = Planner(self.engine, self.registry, types=_TYPES, worker_seconds=600.0)
        return Delivery(
            engine=self.engine,
            worker_seconds=600.0,
            registry=self.registry,
            tables=Tables(self.engine, Publisher(self.file), planner.breakers),
            planner=planner,
        )
