"""A real store, registry and MLflow for delivery, with a ledger that tests write themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine

from serinus import clock
from serinus.delivery.controller import Controller
from serinus.delivery.folding.consumer import Consumer
from serinus.delivery.proposing import Planner
from serinus.delivery.routing import Publisher
from serinus.delivery.service import Delivery
from serinus.delivery.tables import Tables
from serinus.ledger.files.reader import Reader
from serinus.ledger.files.writer import Writer
from serinus.registry import folders
from serinus.registry.service import Registry
from serinus.registry.types import Candidate, GateResult, Stage
from serinus.wire import Event, Field, Manifest, WorkerStatus


@dataclass
class World:
    """Everything a deployment lives in."""

    engine: Engine
    registry: Registry
    delivery: Delivery
    controller: Controller
    writer: Writer
    ledger: Path
    table: Path

    def register(self, version: str, *, stage: Stage = Stage.NONE, **changes: object) -> None:
        """A version of ``fraud`` with two inputs, brought to a stage."""
        manifest = Manifest(
            "fraud",
            "classification",
            (Field("amount", "double"), Field("age", "double")),
            "is_fraud",
            (0, 1),
        )
        fields: dict[str, object] = {
            "manifest": manifest,
            "model_type": "classification",
            "version": version,
            "metrics": {"accuracy": 0.95},
            "gates": (GateResult("threshold accuracy", True, "0.95 against 0.7"),),
            **changes,
        }
        folder = self.ledger.with_name("models") / version
        folder.mkdir(parents=True)
        folders.write_manifest(folder, fields["manifest"])  # type: ignore[arg-type]
        fields.setdefault("uri", str(folder))
        self.registry.register(Candidate(**fields))  # type: ignore[arg-type]
        way = {
            Stage.NONE: [],
            Stage.STAGING: [Stage.STAGING],
            Stage.PRODUCTION: [Stage.STAGING, Stage.PRODUCTION],
        }[stage]
        for to in way:
            self.registry.transition(None, "fraud", version, to, actor="test", reason="test")

    def write(self, events: Sequence[Event]) -> list[bytes]:
        """Put events into the ledger."""
        return self.writer.append(events)

    def report(self, *versions: str, **failed: str) -> None:
        """One gateway worker says what it has ready."""
        revision = self.delivery.routing().revision
        ready = tuple(f"fraud@{version}" for version in versions)
        self.write([WorkerStatus(clock.epoch_us(), "w1", revision, ready, failed)])

    def restart(self) -> None:
        """A new controller in the place of the old one, as after a kill."""
        consumer = Consumer(self.engine, Reader(self.ledger))
        self.controller = Controller(self.delivery, consumer)


@pytest.fixture
def world(engine: Engine, tmp_path: Path, mlflow_uri: str) -> Iterator[World]:
    """An installation without processes: passes are made by hand."""
    registry = Registry(engine, mlflow_uri, tmp_path / "artifacts")
    table = tmp_path / "routing.json"
    planner = Planner(engine, registry)
    delivery = Delivery(
        engine=engine,
        worker_seconds=60.0,
        registry=registry,
        tables=Tables(engine, Publisher(table), planner.breakers),
        planner=planner,
    )
    ledger = tmp_path / "ledger"
    writer = Writer(ledger, segment_bytes=1_000_000, sync="os")
    consumer = Consumer(engine, Reader(ledger))
    controller = Controller(delivery, consumer)
    yield World(engine, registry, delivery, controller, writer, ledger, table)
    writer.close()
    registry.close()


@pytest.fixture
def restarts(world: World) -> Callable[[], None]:
    """Replace the controller by a new one."""
    return world.restart
