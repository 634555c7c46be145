"""What a thousand live deployments cost the controller: a pass, and the memory of its process."""

from __future__ import annotations

import gc
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
from sqlalchemy import Engine, insert

from serinus import clock
from serinus.bench import launch, usage
from serinus.bench.bars import Bar
from serinus.bench.table import columns
from serinus.delivery.controller import Controller
from serinus.delivery.folding.consumer import Consumer
from serinus.delivery.leases import Lease
from serinus.delivery.planning import plan as plans
from serinus.delivery.planning.plan import Basis
from serinus.delivery.proposing import Planner
from serinus.delivery.records import deployments
from serinus.delivery.routing import Publisher
from serinus.delivery.service import Delivery
from serinus.delivery.tables import Tables
from serinus.delivery.types import Deployment, DeploymentSpec, Outcome, Phase
from serinus.errors import InvalidInput, Unavailable
from serinus.ledger.archive.catalog import Catalog
from serinus.ledger.archive.sources import open_segments
from serinus.ledger.consumer import load_offsets
from serinus.ledger.files.reader import Reader
from serinus.ledger.files.writer import Writer
from serinus.monitoring import monitor
from serinus.registry.service import Registry
from serinus.registry.types import Stage
from serinus.settings import Settings
from serinus.store import schema
from serinus.store.engine import migrate, open_engine, reading
from serinus.wire import (
    Arm,
    Assignment,
    Event,
    Failure,
    Field,
    Manifest,
    Output,
    Prediction,
    WorkerStatus,
)

PASS_SECONDS = 1.0
MEMORY_BYTES = 300e6
IDLE_SHARE = 0.03
_TURNS = 5
_MOST_PASSES = 50
_SHARE = 0.05
_VERSIONS = ("1.0.0", "1.1.0")
_EACH = 5
_WORKERS = 2
# A process is watched for so long after it has settled: once it has read and archived what the
# passes before have left in the ledger, and after the time that its loops take to rest.
_SETTLE_SECONDS, _WATCH_SECONDS = 15.0, 20.0
_MOST_SETTLE_SECONDS = 300.0
_GLANCE_SECONDS = 0.1


@dataclass(frozen=True)
class ControllerReport:
    """What ``serinus bench controller`` found; seconds on the clock, the median of its turns.

    ``first`` is a pass of a controller that has just begun, ``idle`` one without anything new,
    ``busy`` one that finds 5 requests of every deployment, and ``judged`` the passes until all of
    these have been judged. ``harmed`` is one in which 50 of them are rolled back. ``memory_bytes``
    is the most that was resident of a whole control process from its start on, while it read what
    the passes had left and until it looked after all of them without traffic: ``processor_share``
    of one core is what that takes. ``archiving_bytes`` is the most of the process that it starts
    to archive a segment, which ends with it.
    """

    deployments: int
    first: float
    idle: float
    busy: float
    judged: float
    harmed: float
    memory_bytes: int
    processor_share: float
    archiving_bytes: int = 0

    @property
    def bars(self) -> tuple[Bar, ...]:
        """The figures beside their limits."""
        what = f"with {self.deployments:,} live deployments"
        passes = {
            "a controller's first pass": self.first,
            "a pass with nothing new": self.idle,
            "a pass that finds requests of all": self.busy,
            "a pass that takes 50 back": self.harmed,
        }
        return (
            *(
                Bar(name, seconds, at_most=PASS_SECONDS, unit="s", note=what)
                for name, seconds in passes.items()
            ),
            Bar(
                "memory of control",
                self.memory_bytes / 1e6,
                at_most=MEMORY_BYTES / 1e6,
                unit="MB",
                note=what,
            ),
            Bar(
                "control without traffic",
                self.processor_share * 100,
                at_most=IDLE_SHARE * 100,
                unit="% of a core",
                note=what,
            ),
        )

    def __str__(self) -> str:
        rows = [("what", "measured", "bar", "", ""), *(bar.row() for bar in self.bars)]
        judged = f"all of these requests were judged after {self.judged:.2f} s of passes"
        apart = f"archiving a segment takes {self.archiving_bytes / 1e6:.0f} MB apart, for a moment"
        return f"{columns(rows)}\n{judged}\n{apart}"

    def as_dict(self) -> dict[str, object]:
        """The figures as plain JSON."""
        return {**asdict(self), "bars": [bar.as_dict() for bar in self.bars]}


def run(deployments: int = 1_000, *, process: bool = True) -> ControllerReport:
    """Measure passes over so many live deployments on SQLite, and a control process over them.

    Args:
        deployments: how many live ones.
        process: whether a control process is measured too; else its figures are 0.

    Raises:
        InvalidInput: a number that makes no sense.
        Unavailable: the control process did not start.
    """
    if deployments < 1:
        raise InvalidInput(f"it must be at least 1, not {deployments}", where="deployments")
    with tempfile.TemporaryDirectory(prefix="serinus-bench-") as folder:
        settings = Settings(home=Path(folder))
        with _installed(settings, deployments) as (engine, live):
            bench = _Passes(settings, engine, live)
            first = bench.seconds()
            idle = statistics.median(bench.seconds() for _ in range(_TURNS))
            turns = [bench.busy(3 * idle) for _ in range(_TURNS)]
            busy, judged = (statistics.median(column) for column in zip(*turns, strict=True))
            harmed = bench.harmed()
            bench.close()
            found = _process(settings, engine) if process else (0, 0.0, 0)
    return ControllerReport(deployments, first, idle, busy, judged, harmed, *found)


class _Passes:
    """A controller over them, in this process."""

    def __init__(self, settings: Settings, engine: Engine, live: Sequence[Deployment]) -> None:
        self._live = live
        registry = Registry(engine, settings.tracking, settings.artifacts)
        planner = Planner(engine, registry)
        delivery = Delivery(
            engine=engine,
            worker_seconds=1e6,
            registry=registry,
            tables=Tables(engine, Publisher(settings.routing_table), planner.breakers),
            planner=planner,
        )
        self._writer = Writer(settings.home / "ledger", segment_bytes=1 << 26, sync="os")
        self._report()
        consumer = Consumer(engine, Reader(settings.home / "ledger"))
        self._lease = Lease(engine, 3.0)
        self._controller = Controller(delivery, consumer, self._lease)

    def seconds(self) -> float:
        """One pass."""
        gc.collect()
        begin = clock.monotonic()
        self._controller.run_once()
        return clock.monotonic() - begin

    def busy(self, rest: float) -> tuple[float, float]:
        """A pass that finds requests of every deployment; and all until one takes but ``rest``."""
        self._writer.append([event for item in self._live for event in _requests(item, _EACH)])
        passes = [self.seconds()]
        while passes[-1] > rest and len(passes) < _MOST_PASSES:
            passes.append(self.seconds())
        return passes[0], sum(passes)

    def harmed(self) -> float:
        """One pass in which 50 challengers turn out to fail always."""
        harmed = self._live[:50]
        self._writer.append([event for item in harmed for event in _failures(item, 100)])
        return self.seconds()

    def close(self) -> None:
        """Let another controller lead."""
        self._controller.close()
        self._writer.close()

    def _report(self) -> None:
        ready = tuple(f"{item.model}@{version}" for item in self._live for version in _VERSIONS)
        at = clock.epoch_us()
        self._writer.append(
            [WorkerStatus(at, f"w{number}", 1, ready, {}) for number in range(_WORKERS)]
        )


def _process(settings: Settings, engine: Engine) -> tuple[int, float, int]:
    """A control process over the same state.

    Returns:
        Its most resident bytes, its share of a core at rest, and the most resident bytes of what
        it starts.
    """
    command = [sys.executable, "-m", "serinus", "--home", str(settings.home)]

    def on(port: int) -> list[str]:
        return [*command, "--set", f"control_port={port}", "--set", "log_level=error", "control"]

    with launch.server(on, launch.cores().all, ready="/health") as running:
        most = _Most(running.pid)
        deadline = clock.monotonic() + _MOST_SETTLE_SECONDS
        while not _is_settled(settings, engine) and clock.monotonic() < deadline:
            most.follow(1.0)
        most.follow(_SETTLE_SECONDS)
        before = usage.cpu_seconds([running.pid])
        most.follow(_WATCH_SECONDS)
        share = (usage.cpu_seconds([running.pid]) - before) / _WATCH_SECONDS
        return most.own, share, most.started


class _Most:
    """The most that a process, and any that it starts, was seen to hold in memory."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.own = 0
        self.started = 0

    def follow(self, seconds: float) -> None:
        """Look again and again for so long."""
        until = clock.monotonic() + seconds
        while clock.monotonic() < until:
            self.own = max(self.own, usage.memory(self._pid).rss)
            for child in usage.children(self._pid):
                # It may have ended meanwhile.
                with suppress(Unavailable):
                    self.started = max(self.started, usage.memory(child).rss)
            clock.sleep(_GLANCE_SECONDS)


def _is_settled(settings: Settings, engine: Engine) -> bool:
    """Whether everything in the ledger was read by monitoring, and is archived."""
    with reading(engine) as connection:
        read = load_offsets(connection, monitor.NAME)
    pending = Catalog(settings.archive).pending(open_segments(settings.ledger).listed())
    return not pending and not Reader(settings.home / "ledger").read(read, 1).records


@contextmanager
def _installed(settings: Settings, count: int) -> Iterator[tuple[Engine, list[Deployment]]]:
    """A store with so many models, each with a champion and a challenger at its first share."""
    settings.home.mkdir(parents=True, exist_ok=True)
    engine = open_engine(settings.database)
    migrate(engine)
    live = [_deployment(number) for number in range(count)]
    with engine.begin() as connection:
        connection.execute(insert(schema.models), [_model(item) for item in live])
        versions = [_version(item, version) for item in live for version in _VERSIONS]
        connection.execute(insert(schema.model_versions), versions)
        for item in live:
            deployments.add(connection, item)
    yield engine, live
    engine.dispose()


def _deployment(number: int) -> Deployment:
    now = clock.now()
    spec = DeploymentSpec(
        model=f"model-{number}", challenger=_VERSIONS[1], shadow=False, labels=False
    )
    basis = Basis(plans.quality_scale("classification", {"accuracy": 0.95}), (), (0, 1))
    identity = f"{now:%Y%m%d-%H%M%S-%f}-{number:04x}"
    plan = plans.make_plan(spec, basis, salt=identity)
    return Deployment(
        id=identity,
        model=spec.model,
        champion=_VERSIONS[0],
        challenger=_VERSIONS[1],
        strategy=spec.strategy,
        spec=spec,
        plan=plan,
        plan_hash=plans.plan_hash(plan),
        phase=Phase.RUNNING,
        step=0,
        step_entered_at=now,
        verdict=Outcome.NO_DATA,
        reason="measured",
        requested_by="bench",
        created_at=now,
        updated_at=now,
        ended_at=None,
    )


def _model(item: Deployment) -> dict[str, object]:
    return {
        "name": item.model,
        "model_type": "classification",
        "task": "classification",
        "description": "",
        "created_at": item.created_at,
    }


def _version(item: Deployment, version: str) -> dict[str, object]:
    inputs = tuple(Field(f"column_{number}", "double") for number in range(20))
    manifest = Manifest(item.model, "classification", inputs, "target", (0, 1))
    stage = Stage.PRODUCTION if version == item.champion else Stage.STAGING
    return {
        "model": item.model,
        "version": version,
        "stage": stage,
        "uri": f"/models/{item.model}/{version}",
        "run_id": "",
        "mlflow_version": "1",
        "description": "",
        "parent": None,
        "manifest": msgspec.to_builtins(manifest),
        "metrics": {"accuracy": 0.95},
        "params": {},
        "tags": {},
        "dataset": {},
        "gates": [],
        "reference": {},
        "created_at": item.created_at,
    }


def _requests(item: Deployment, count: int) -> list[Event]:
    """Requests of one deployment, the first of them the challenger's."""
    at = clock.epoch_us()
    return [
        Prediction(
            at,
            Assignment(item.model, arm, _SHARE, 1, item.id, item.step),
            item.challenger if arm is Arm.CHALLENGER else str(item.champion),
            (1.0, 2.0),
            Output(0, (0.9, 0.1)),
            900 + number,
        )
        for number in range(count)
        for arm in (Arm.CHAMPION if number else Arm.CHALLENGER,)
    ]


def _failures(item: Deployment, count: int) -> list[Event]:
    assigned = Assignment(item.model, Arm.CHALLENGER, _SHARE, 1, item.id, item.step)
    at = clock.epoch_us()
    return [
        *_requests(item, count),
        *(Failure(at, assigned, item.challenger, "ValueError", 900) for _ in range(count // 20)),
    ]
