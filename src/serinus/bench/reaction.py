"""How soon a challenger has no traffic: after the request that proved harm, or a person's word.

A whole installation with its defaults, real requests, and the workers' own word of when which
routing table was in force. The request that made the evidence sufficient is found afterwards: the
events are folded one by one with the controller's own functions.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import pandas as pd

from serinus import clock
from serinus.bench import fragile, launch
from serinus.bench.bars import Bar
from serinus.bench.fold import Awaiting
from serinus.bench.fragile import Fragile
from serinus.bench.table import columns
from serinus.client import Serinus
from serinus.delivery.records import deployments
from serinus.delivery.types import Deployment, Outcome
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts import fold, judge, watch
from serinus.errors import InvalidInput, Unavailable
from serinus.ledger.files.reader import Reader
from serinus.ledger.types import Record
from serinus.registry import folders
from serinus.registry.service import Registry
from serinus.registry.types import Candidate, Stage
from serinus.settings import Settings
from serinus.store.engine import migrate, open_engine, reading
from serinus.wire import Manifest, WorkerStatus

MODEL = "reaction"
CHAMPION, CHALLENGER = "1.0.0", "1.1.0"
PROVEN_SECONDS, MANUAL_SECONDS = 1.0, 0.3
_WORKERS = 2
_PAUSE_SECONDS = 0.005
_WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class ReactionReport:
    """What ``serinus bench reaction`` found; seconds, one of each turn.

    ``proven`` is from the request that made the evidence sufficient, ``manual`` from the call of a
    rollback, each to the moment when the last gateway worker had the table without the challenger.
    """

    proven: tuple[float, ...]
    manual: tuple[float, ...]

    @property
    def bars(self) -> tuple[Bar, ...]:
        """The medians beside their limits."""
        return tuple(
            Bar(
                name,
                statistics.median(times),
                at_most=most,
                unit="s",
                note=f"{len(times)} turns, at most {max(times):.3f} s; {_WORKERS} workers",
            )
            for name, times, most in (
                ("from sufficient evidence to 0 %", self.proven, PROVEN_SECONDS),
                ("from a person's rollback to 0 %", self.manual, MANUAL_SECONDS),
            )
        )

    def __str__(self) -> str:
        return columns([("what", "median", "bar", "", ""), *(bar.row() for bar in self.bars)])

    def as_dict(self) -> dict[str, object]:
        """The figures as plain JSON."""
        return {**asdict(self), "bars": [bar.as_dict() for bar in self.bars]}


def run(turns: int = 7) -> ReactionReport:
    """Measure so many turns of each.

    Raises:
        InvalidInput: a number that makes no sense.
        Unavailable: the installation did not start, or a turn did not end.
    """
    if turns < 1:
        raise InvalidInput(f"it must be at least 1, not {turns}", where="turns")
    with tempfile.TemporaryDirectory(prefix="serinus-bench-") as folder:
        settings = Settings(home=Path(folder), gateway_port=launch.free_port())
        _register(settings)
        with _started(settings) as running:
            stage = _Stage(settings, running.port)
            proven = tuple(stage.proven() for _ in range(turns))
            manual = tuple(stage.manual() for _ in range(turns))
    return ReactionReport(proven, manual)


@dataclass
class _Traffic:
    """Requests, one after the other, until the end of the block."""

    client: Serinus
    amount: float = 1.0
    ended: Flag = field(default_factory=Flag)

    def __enter__(self) -> _Traffic:
        self.thread = Thread(target=self._send, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.ended.set()
        self.thread.join()

    def _send(self) -> None:
        while not self.ended.wait(_PAUSE_SECONDS):
            self.client.predict({fragile.FEATURE: self.amount}, model=MODEL)


class _Stage:
    """An installation in which one version is brought to traffic again and again."""

    def __init__(self, settings: Settings, control_port: int) -> None:
        self._settings = settings
        self._urls = f"http://127.0.0.1:{control_port}", settings.gateway_url

    def proven(self) -> float:
        """A challenger begins to fail; the seconds from the proof of it."""
        with self._client() as client, self._client() as other, _Traffic(other) as traffic:
            deployment = self._deploy(client)
            clock.sleep(0.5)
            traffic.amount = 2 * fragile.EXTREME
            _until(lambda: client.deployment(deployment).deployment.phase == "rolled_back")
            revision = client.routing().revision
            gone = self._gone(revision)
        return (gone - self._sufficient(deployment)) / 1e6

    def manual(self) -> float:
        """A person takes a challenger back; the seconds from the call."""
        with self._client() as client, self._client() as other, _Traffic(other):
            self._deploy(client)
            clock.sleep(0.5)
            asked = clock.epoch_us()
            client.rollback(MODEL, reason="measured")
            revision = client.routing().revision
            gone = self._gone(revision)
        return (gone - asked) / 1e6

    def _client(self) -> Serinus:
        return Serinus(*self._urls, actor="bench")

    def _deploy(self, client: Serinus) -> str:
        begun = client.deploy(
            MODEL, CHALLENGER, shares=(0.5,), shadow=False, labels=False, min_requests=100_000
        )
        _until(lambda: client.deployment(begun.id).deployment.phase == "running")
        return begun.id

    def _gone(self, revision: int) -> int:
        """When the last worker had that revision, in microseconds since 1970."""
        found: list[int] = []

        def told() -> bool:
            first: dict[str, int] = {}
            for _, event in self._ledger():
                if isinstance(event, WorkerStatus) and event.revision >= revision:
                    first.setdefault(event.worker, event.at)
            found[:] = first.values()
            return len(found) >= _WORKERS

        _until(told)
        return max(found)

    def _sufficient(self, deployment_id: str) -> int:
        """When the request came with which the evidence sufficed."""
        engine = open_engine(self._settings.database)
        with reading(engine) as connection:
            subject = deployments.get(connection, deployment_id)
        engine.dispose()
        at = proven_at(subject, self._ledger())
        if at is None:
            raise Unavailable("the events do not prove what was decided", where=deployment_id)
        return at

    def _ledger(self) -> list[Record]:
        return list(Reader(self._settings.home / "ledger").scan())


def proven_at(subject: Deployment, records: list[Record]) -> int | None:
    """When the first event came after which the judge says that harm is proven (microseconds).

    Args:
        subject: the deployment as it was then.
        records: of the ledger, in any order.
    """
    total, latencies, awaiting = ev.EMPTY, watch.UNSEEN, Awaiting()
    own = (record for record in records if not isinstance(record.event, WorkerStatus))
    for record in sorted(own, key=lambda record: record.event.at):
        found, _ = fold.sort([record], {subject.id: subject})
        if not found[subject.id]:
            continue
        gathered = fold.gather(subject, found[subject.id], latencies, {})
        total += gathered.evidence + awaiting.mature(subject.plan, gathered)
        latencies = gathered.watch
        if judge.judge(subject.plan, 0, total).outcome is Outcome.ROLLBACK:
            return record.event.at
    return None


def _until(condition: Callable[[], bool]) -> None:
    deadline = clock.monotonic() + _WAIT_SECONDS
    while not condition():
        if clock.monotonic() > deadline:
            raise Unavailable("a turn did not come to its end", where="bench reaction")
        clock.sleep(0.02)


@contextmanager
def _started(settings: Settings) -> Iterator[launch.Running]:
    command = [sys.executable, "-m", "serinus", "--home", str(settings.home)]
    given = {
        "gateway_port": settings.gateway_port,
        "gateway_workers": _WORKERS,
        "log_level": "error",
    }
    for name, value in given.items():
        command += ["--set", f"{name}={value}"]

    def on(port: int) -> list[str]:
        return [*command, "--set", f"control_port={port}", "up"]

    with launch.server(on, launch.cores().all, ready="/health") as running:
        with Serinus(f"http://127.0.0.1:{running.port}", settings.gateway_url) as client:
            _until(lambda: _serves(client))
        yield running


def _serves(client: Serinus) -> bool:
    try:
        client.predict({fragile.FEATURE: 1.0}, model=MODEL)
    except Unavailable:
        return False
    return client.health().status == "ok"


def _register(settings: Settings) -> None:
    """A champion that bears everything, and a challenger that does not."""
    engine = open_engine(settings.database)
    migrate(engine)
    registry = Registry(engine, settings.tracking, settings.artifacts)
    rows = pd.DataFrame({fragile.FEATURE: [1.0, -1.0]})
    for version, robust in ((CHAMPION, True), (CHALLENGER, False)):
        fitted = Fragile(robust=robust)
        manifest = Manifest(
            MODEL, "classification", folders.inputs_of(rows), "target", folders.classes_of(fitted)
        )
        candidate = Candidate(
            uri="",
            manifest=manifest,
            model_type="classification",
            version=version,
            metrics={"accuracy": 0.95},
        )
        registry.register_object(fitted, candidate)
    for stage in (Stage.STAGING, Stage.PRODUCTION):
        registry.transition(None, MODEL, CHAMPION, stage, actor="bench", reason="the start")
    registry.close()
    engine.dispose()
