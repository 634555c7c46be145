"""A ledger, a store, and what folds the one into the other."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from tests.delivery.samples import BASIS, deployment

from serinus import clock
from serinus.delivery import statuses
from serinus.delivery.folding.consumer import Consumer
from serinus.delivery.planning.plan import Basis
from serinus.delivery.records import deployments, evidence
from serinus.delivery.types import Deployment, DeploymentSpec, Phase
from serinus.delivery.verdicts.evidence import Evidence
from serinus.ledger.files.reader import Reader
from serinus.ledger.files.writer import Writer
from serinus.store import schema
from serinus.store.engine import reading
from serinus.wire import Answer, Arm, Assignment, Event, Label, Output, Prediction, Value


class Folding:
    """A ledger, a store with one live deployment, and consumers between them."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.writer = Writer(folder, segment_bytes=1_000_000, sync="os")

    def begin(self, basis: Basis = BASIS, **spec: object) -> Deployment:
        asked = DeploymentSpec(model="fraud", challenger="1.1.0", **spec)  # type: ignore[arg-type]
        one = deployment(asked, basis=basis, phase=Phase.RUNNING, step=1)
        with self.engine.begin() as connection:
            deployments.add(connection, one)
        return one

    def consumer(self) -> Consumer:
        return Consumer(self.engine, Reader(self.folder))

    def predict(
        self,
        count: int,
        *,
        ago: float = 0.0,
        arm: Arm = Arm.CHALLENGER,
        unit: int = 0,
        output: Output | None = None,
        fallback: str = "",
    ) -> list[tuple[bytes, Prediction]]:
        at = clock.to_epoch_us(clock.now() - timedelta(seconds=ago))
        assignment = Assignment("fraud", arm, 0.05, 3, "d1", 1, unit)
        answer = Output(1) if output is None else output
        events = [
            Prediction(at + number, assignment, "1.1.0", (1.0,), answer, 900, fallback)
            for number in range(count)
        ]
        return list(zip(self.writer.append(events), events, strict=True))

    def value(self, predictions: list[tuple[bytes, Prediction]], worth: float) -> None:
        self.writer.append(
            [
                Value(clock.epoch_us(), identity, worth, item.at, item.assignment, "1.1.0")
                for identity, item in predictions
            ]
        )

    def label(self, predictions: list[tuple[bytes, Prediction]], value: Answer = 1) -> list[Event]:
        events: list[Event] = [
            Label(clock.epoch_us(), identity, value, item.at, item.assignment, "1.1.0", item.output)
            for identity, item in predictions
        ]
        self.writer.append(events)
        return events

    def evidence(self) -> Evidence:
        with self.engine.begin() as connection:
            return evidence.get(connection, "d1")

    def delayed(self) -> tuple[int, datetime | None]:
        with reading(self.engine) as connection:
            live = deployments.live(connection)
            counts = statuses.read(connection, live, 60.0)[0].counts
        return counts.delayed, counts.delayed_until

    def waiting(self) -> int:
        table = schema.awaiting
        with self.engine.begin() as connection:
            return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


@pytest.fixture
def folding(engine: Engine, tmp_path: Path) -> Folding:
    return Folding(engine, tmp_path / "ledger")


def drain(consumer: Consumer) -> int:
    total = 0
    while found := consumer.fold():
        total += found
    return total
