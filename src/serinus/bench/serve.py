"""Every bar of the gateway in one run: beside a bare ASGI answerer, and beside its peers.

One core for the servers and one for the load, servers taking turns, medians over the rounds:
what the machine does besides then meets all of them alike. Everything is on while the gateway
is measured: a canary that gets its share, the ledger, metrics and profiles.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from serinus.bench import artifact, footprint, launch, recipes, speed, turns
from serinus.bench.bars import Bar
from serinus.bench.speed import BARE, GATEWAY
from serinus.bench.table import columns
from serinus.bench.turns import Pace, Served
from serinus.errors import InvalidInput

PARTS = (*recipes.KINDS, "batch", "latency", "workers", "memory")
_LOGISTIC = recipes.KINDS[0]
_MEGABYTE = 1e6


@dataclass
class ServeReport:
    """What ``serinus bench serve`` found.

    Args:
        pace: of the turns.
        cores: how many the servers and the load had together.
        single: by kind of model, the servers under single rows.
        batch: the gateway under batches; it counts batches.
        steady: the servers at a fixed rate, half of the gateway's peak.
        workers: processor time with one worker and with two.
        memory: of one worker, by number of models.
        bars: each figure beside its limit.
    """

    pace: Pace
    cores: int
    single: dict[str, tuple[Served, ...]] = field(default_factory=dict)
    batch: tuple[Served, ...] = ()
    steady: tuple[Served, ...] = ()
    workers: footprint.Workers | None = None
    memory: tuple[footprint.Resident, ...] = ()
    bars: tuple[Bar, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every bar that was measured holds."""
        return all(bar.holds is not False for bar in self.bars)

    def __str__(self) -> str:
        parts = [
            (f"single rows, {kind}", speed_rows(served)) for kind, served in self.single.items()
        ]
        if self.batch:
            parts.append((f"batches of {artifact.BATCH_ROWS:,} rows", speed_rows(self.batch)))
        if self.steady:
            parts.append(("at half of the peak rate", speed_rows(self.steady)))
        if self.bars:
            rows = [("bar", "measured", "limit", ""), *(bar.row() for bar in self.bars)]
            parts.append(("bars", rows))
        return "\n\n".join(f"{title}\n{columns(rows)}" for title, rows in parts)

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain JSON."""
        return {**asdict(self), "bars": [bar.as_dict() for bar in self.bars], "holds": self.holds}


def run(pace: Pace, parts: Collection[str] = PARTS) -> ServeReport:
    """Measure.

    Args:
        pace: of the turns.
        parts: some of PARTS.

    Raises:
        InvalidInput: a number that makes no sense, or a part that does not exist.
        Unavailable: a server did not start, or stopped answering.
    """
    _check(pace, parts)
    cores = launch.cores()
    report = ServeReport(pace, len(cores.all))
    with tempfile.TemporaryDirectory(prefix="serinus-bench-") as folder:
        bench = _Bench(report, Path(folder), cores, pace)
        for part in PARTS:
            if part in parts:
                bench.measure(part)
    report.bars = tuple(_bars(report))
    return report


def speed_rows(served: Collection[Served]) -> list[tuple[str, ...]]:
    """Servers as rows of text; the first row is the heading."""
    rows: list[tuple[str, ...]] = [
        ("server", "per second", "p50 ms", "p99 ms", "of the first", "load busy", "refused")
    ]
    rows += [
        (
            item.name,
            f"{item.per_second:,.0f}",
            f"{item.p50_ms:.2f}",
            f"{item.p99_ms:.2f}",
            f"{item.ratio:.3f}",
            f"{item.busy:.0%}",
            f"{item.refused:,}",
        )
        for item in served
    ]
    return rows


def _check(pace: Pace, parts: Collection[str]) -> None:
    for name, value in asdict(pace).items():
        if value <= 0:
            raise InvalidInput(f"it must be more than 0, not {value}", where=name)
    for part in parts:
        if part not in PARTS:
            raise InvalidInput(
                f"there is no part {part!r}", where="only", remedy=f"Choose of {', '.join(PARTS)}."
            )


class _Bench:
    """The parts, each with a gateway of its own."""

    def __init__(self, report: ServeReport, folder: Path, cores: launch.Cores, pace: Pace) -> None:
        self._report = report
        self._folder = folder
        self._cores = cores
        self._pace = pace
        self._others: dict[str, Callable[[], None]] = {
            "batch": self._batch,
            "latency": self._latency,
            "workers": self._workers,
            "memory": self._memory,
        }

    def measure(self, part: str) -> None:
        if part in recipes.KINDS:
            rounds = speed.single(part, self._home(part), self._cores, self._pace)
            self._report.single[part] = turns.summarise(rounds)
        else:
            self._others[part]()

    def _home(self, kind: str) -> Path:
        """A folder with a model of a kind; its ledger is that of all who serve it."""
        home = self._folder / kind
        if not home.exists():
            home.mkdir()
            artifact.make(home, (kind,))
        return home

    def _batch(self) -> None:
        rounds = speed.batch(_LOGISTIC, self._home(_LOGISTIC), self._cores, self._pace)
        self._report.batch = turns.summarise(rounds)

    def _latency(self) -> None:
        home = self._home(_LOGISTIC)
        served = self._report.single.get(_LOGISTIC) or turns.summarise(
            speed.single(_LOGISTIC, home, self._cores, self._pace)
        )
        peak = next(item.per_second for item in served if item.name == GATEWAY)
        rounds = speed.steady(_LOGISTIC, home, self._cores, self._pace, peak / 2)
        self._report.steady = turns.summarise(rounds)

    def _workers(self) -> None:
        home = self._home(_LOGISTIC)
        self._report.workers = footprint.workers(_LOGISTIC, home, self._cores, self._pace)

    def _memory(self) -> None:
        found = []
        for models in (1, 1 + footprint.FURTHER_MODELS):
            home = self._folder / f"{models}-alone"
            home.mkdir()
            artifact.make(home, (), alone=models)
            found.append(footprint.resident(home, models, self._cores, self._pace))
        self._report.memory = tuple(found)


def _bars(report: ServeReport) -> list[Bar]:
    bars = []
    for kind, served in report.single.items():
        if kind == _LOGISTIC:
            ratio = next(item.ratio for item in served if item.name == GATEWAY)
            bars.append(Bar(f"single rows, of {BARE}", ratio, at_least=0.70))
    for item in report.steady:
        if item.name == GATEWAY:
            bars.append(Bar("p99 at half of the peak rate", item.p99_ms, at_most=5, unit="ms"))
    for item in report.batch:
        rows = item.per_second * artifact.BATCH_ROWS
        name = f"batches of {artifact.BATCH_ROWS:,} rows"
        bars.append(Bar(name, rows, at_least=100_000, unit="rows/s"))
    if report.workers:
        ratio = report.workers.ratio
        bars.append(Bar("processor time of a request, two workers to one", ratio, at_most=1.1))
    if report.memory:
        one, many = report.memory
        each = (many.rss - one.rss) / (many.models - one.models)
        bars.append(Bar("memory of a worker", one.rss / _MEGABYTE, at_most=200, unit="MB"))
        bars.append(Bar("memory of a further model", each / _MEGABYTE, at_most=20, unit="MB"))
    return bars
