from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sqlalchemy import Engine

from serinus import clock
from serinus.ledger.files.reader import Reader
from serinus.ledger.files.writer import Writer
from serinus.monitoring.monitor import Monitor
from serinus.monitoring.types import Reference
from serinus.stats import bins
from serinus.store import schema
from serinus.wire import Answer, Arm, Assignment, Field, Label, Manifest, Output, Prediction

MODEL = "fraud"
START_US = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
SECOND = 1_000_000


class Traffic:
    """A gateway's side of the ledger, with a clock of its own: one request a second."""

    def __init__(self, folder: Path) -> None:
        self.writer = Writer(folder, segment_bytes=64_000_000, sync="os")
        self.now = START_US
        self.random = np.random.default_rng(3)
        self.made: list[tuple[bytes, Prediction]] = []

    def send(
        self,
        rows: int,
        *,
        version: str = "1.0.0",
        shift: float = 0.0,
        features: Sequence[Any] | None = None,
    ) -> list[tuple[bytes, Prediction]]:
        """Requests whose amount is moved by ``shift``; the answer follows the amount."""
        sent = []
        for _ in range(rows):
            amount = float(self.random.normal()) + shift
            country = "de" if self.random.random() < 0.7 else "fr"
            risk = 1 / (1 + float(np.exp(-amount)))
            self.now += SECOND
            sent.append(
                Prediction(
                    at=self.now,
                    assignment=Assignment(MODEL, Arm.CHAMPION, 0.0, 1),
                    version=version,
                    features=tuple(features or (amount, country, None)),
                    output=Output(int(risk > 0.5), (1 - risk, risk)),
                    latency_us=900,
                )
            )
        made = list(zip(self.writer.append(sent), sent, strict=True))
        self.made += made
        return made

    def label(
        self, made: Sequence[tuple[bytes, Prediction]], right: float | Sequence[Answer] = 1.0
    ) -> None:
        """Labels that agree with the answers in a share of cases, or given ones."""
        labels = []
        for place, (id_, item) in enumerate(made):
            agrees = isinstance(right, float) and self.random.random() < right
            value = item.output.value if agrees else 1 - int(item.output.value)
            labels.append(
                Label(
                    at=self.now + SECOND,
                    prediction=id_,
                    value=value if isinstance(right, float) else right[place],
                    predicted_at=item.at,
                    assignment=item.assignment,
                    version=item.version,
                    output=item.output,
                )
            )
        self.writer.append(labels)


@pytest.fixture
def traffic(tmp_path: Path) -> Iterator[Traffic]:
    made = Traffic(tmp_path / "ledger")
    yield made
    made.writer.close()


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path / "ledger")


@pytest.fixture
def reference() -> Reference:
    random = np.random.default_rng(9)
    amount = random.normal(size=4_000)
    country = np.where(random.random(4_000) < 0.7, "de", "fr").tolist()
    profile = bins.reference_profile(
        {"amount": amount, "country": country, "note": [None] * 4_000},
        1 / (1 + np.exp(-amount)),
    )
    return Reference(
        model=MODEL,
        version="1.0.0",
        task="classification",
        profile=profile,
        metrics={"accuracy": 0.95},
    )


@pytest.fixture
def registered(engine: Engine, reference: Reference) -> Callable[..., None]:
    """A function that puts a version into the registry's table, by default into production."""

    def register(
        version: str = "1.0.0",
        *,
        stage: str = "Production",
        test_rows: int | None = 2_000,
        task: str = "classification",
        metrics: dict[str, float] | None = None,
    ) -> None:
        manifest = Manifest(
            model=MODEL,
            task=task,  # type: ignore[arg-type]
            inputs=(Field("amount", "double"), Field("country", "string"), Field("note", "string")),
            target="fraudulent",
            classes=(0, 1),
        )
        text = ("uri", "run_id", "mlflow_version", "description")
        empty: dict[str, Any] = {"params": {}, "tags": {}, "gates": []}
        with engine.begin() as connection:
            connection.execute(
                schema.model_versions.insert().values(
                    model=MODEL,
                    version=version,
                    stage=stage,
                    parent=None,
                    manifest=msgspec.to_builtins(manifest),
                    metrics=metrics or reference.metrics,
                    dataset={"test_rows": test_rows},
                    reference=reference.profile,
                    created_at=clock.now(),
                    **dict.fromkeys(text, "-"),
                    **empty,
                )
            )

    return register


@pytest.fixture
def monitor_of(engine: Engine, reader: Reader) -> Callable[..., Monitor]:
    def make(**options: Any) -> Monitor:
        usual = {
            "window_seconds": 0.0,
            "window_rows": 100,
            "false_alarm_windows": 1_000.0,
            "failing_limit": 0.05,
        }
        return Monitor(engine, reader, **{**usual, **options})

    return make
