"""Every bar of the gateway in one run: beside a bare ASGI answerer, and beside its peers.

One core for the servers and one for the load, servers taking turns, medians over the rounds:
what the machine does besides then meets all of them alike. Everything is on while the gateway
is measured: a canary that gets its share, the ledger, metrics and profiles.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from serinus.bench import artifact, footprint, launch, recipes, speed, turns
from serinus.bench.bars import Bar
from serinus.bench.peers.field import DEFAULT_HOME, Field, State
from serinus.bench.speed import BARE, GATEWAY
from serinus.bench.table import columns
from serinus.bench.turns import Pace, Served
from serinus.errors import InvalidInput

PEERS = "peers"
OURS = (*recipes.KINDS, "batch", "latency", "workers", "memory")
PARTS = (*OURS, PEERS)
_LOGISTIC = recipes.KINDS[0]
_MEGABYTE = 1e6

TIMES = {"logistic": 15.0, "forest": 30.0, "boosted": 15.0}
"""How many times the best peer the gateway has to be, by kind of model."""


@dataclass
class ServeReport:
    """What ``serinus bench serve`` found.

    Args:
        pace: of the turns.
        cores: how many the servers and the load had together.
        forms: by kind of model, in which form the gateway served it.
        single: by kind of model, the servers under single rows.
        batch: the gateway under batches; it counts batches.
        steady: the servers at a fixed rate, half of the gateway's peak.
        workers: processor time with one worker and with two.
        memory: of one worker, by number of models.
        peers: who was to be measured beside it, and why some were not.
        bars: each figure beside its limit.
    """

    pace: Pace
    cores: int
    forms: dict[str, str] = field(default_factory=dict)
    single: dict[str, tuple[Served, ...]] = field(default_factory=dict)
    batch: tuple[Served, ...] = ()
    steady: tuple[Served, ...] = ()
    workers: footprint.Workers | None = None
    memory: tuple[footprint.Resident, ...] = ()
    peers: tuple[State, ...] = ()
    bars: tuple[Bar, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether every bar that was measured holds."""
        return all(bar.holds is not False for bar in self.bars)

    def __str__(self) -> str:
        parts = [
            (f"single rows, {kind} (served as {self.forms[kind]})", speed_rows(served))
            for kind, served in self.single.items()
        ]
        if self.batch:
            parts.append((f"batches of {artifact.BATCH_ROWS:,} rows", speed_rows(self.batch)))
        if self.steady:
            parts.append(("at half of the peak rate", speed_rows(self.steady)))
        if self.bars:
            rows = [("bar", "measured", "limit", "", ""), *(bar.row() for bar in self.bars)]
            parts.append(("bars", rows))
        faults = [
            f"{state.name} was not measured ({where}): {why}"
            for state in self.peers
            for where, why in state.faults.items()
        ]
        return "\n\n".join([*(f"{title}\n{columns(rows)}" for title, rows in parts), *faults])

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain JSON."""
        return {**asdict(self), "bars": [bar.as_dict() for bar in self.bars], "holds": self.holds}


def run(
    pace: Pace,
    parts: Collection[str] = OURS,
    *,
    environments: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> ServeReport:
    """Measure.

    Args:
        pace: of the turns.
        parts: some of PARTS.
        environments: where the peers' environments are, or are made.
        tell: is told the progress.

    Raises:
        InvalidInput: a number that makes no sense, or a part that does not exist.
        Unavailable: a server of ours did not start, or stopped answering.
    """
    _check(pace, parts)
    cores = launch.cores()
    report = ServeReport(pace, len(cores.all))
    with tempfile.TemporaryDirectory(prefix="serinus-bench-") as folder:
        bench = _Bench(report, Path(folder), cores)
        rivals = None
        if PEERS in parts:
            rivals = Field(tell)
            rivals.install(environments or DEFAULT_HOME)
            report.peers = rivals.states
        for kind in recipes.KINDS:
            wanted = {kind, "batch", "latency"} if kind == _LOGISTIC else {kind}
            if wanted & set(parts):
                tell(f"measuring {kind}")
                bench.speed(kind, parts, rivals if kind in parts else None)
        for part, measure in (("workers", bench.workers), ("memory", bench.memory)):
            if part in parts:
                tell(f"measuring {part}")
                measure()
    report.bars = tuple(bars_of(report))
    return report


def speed_rows(served: Collection[Served]) -> list[tuple[str, ...]]:
    """Servers as rows of text; the first row is the heading."""
    rows: list[tuple[str, ...]] = [
        (
            "server",
            "a second",
            "p50 ms",
            "p99 ms",
            "CPU µs",
            "of first",
            f"{GATEWAY} ×",
            "load",
            "refused",
        )
    ]
    rows += [
        (
            item.name,
            f"{item.per_second:,.0f}",
            f"{item.p50_ms:.2f}",
            f"{item.p99_ms:.2f}",
            f"{item.cpu_us:,.0f}",
            f"{item.ratio:.3f}",
            f"{item.times:.1f}" if item.times else "",
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
    """The parts of one run; what they find goes into the report."""

    def __init__(self, report: ServeReport, folder: Path, cores: launch.Cores) -> None:
        self._report = report
        self._folder = folder
        self._cores = cores
        self._pace = report.pace

    def speed(self, kind: str, parts: Collection[str], rivals: Field | None) -> None:
        """Single rows of a kind; batches and latency while the same gateway runs."""
        home = self._home(kind)
        self._report.forms[kind] = artifact.form(home, kind)
        with (
            speed.start(kind, home, self._cores, self._pace) as pair,
            ExitStack() as stack,
        ):
            others: Mapping[str, turns.Contender] = {}
            if rivals:
                folder, core = self._folder / "peers", self._cores.server
                others = rivals.start(stack, kind, folder, core, self._pace)
            taken = pair.single(others)
            served = turns.summarise(taken.rounds, GATEWAY)
            if rivals:
                rivals.note(kind, taken.lost)
            if kind in parts:
                self._report.single[kind] = served
            stack.close()
            if kind == _LOGISTIC and "batch" in parts:
                self._report.batch = turns.summarise(pair.batch())
            if kind == _LOGISTIC and "latency" in parts:
                peak = next(item.per_second for item in served if item.name == GATEWAY)
                self._report.steady = turns.summarise(pair.steady(peak / 2))

    def workers(self) -> None:
        """Processor time with one worker and with two."""
        home = self._home(_LOGISTIC)
        self._report.workers = footprint.workers(_LOGISTIC, home, self._cores, self._pace)

    def memory(self) -> None:
        """Memory with one model and with several."""
        found = []
        for models in (1, 1 + footprint.FURTHER_MODELS):
            home = self._folder / f"{models}-alone"
            home.mkdir()
            artifact.make(home, (), alone=models)
            found.append(footprint.resident(home, models, self._cores, self._pace))
        self._report.memory = tuple(found)

    def _home(self, kind: str) -> Path:
        home = self._folder / kind
        if not home.exists():
            home.mkdir()
            artifact.make(home, (kind,))
        return home


def bars_of(report: ServeReport) -> list[Bar]:
    """Each figure of a report beside its limit."""
    bars = []
    for kind, served in report.single.items():
        if kind == _LOGISTIC:
            ratio = next(item.ratio for item in served if item.name == GATEWAY)
            bars.append(Bar(f"single rows, of {BARE}", ratio, at_least=0.70))
        if report.peers:
            bars.append(_beside_peers(kind, served, report.peers))
    for item in report.steady:
        if item.name == GATEWAY:
            late = f"the load itself was {item.late_ms:.2f} ms late" if item.late_ms > 0.5 else ""
            name = "p99 at half of the peak rate"
            bars.append(Bar(name, item.p99_ms, at_most=5, unit="ms", note=late))
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


def _beside_peers(kind: str, served: Collection[Served], peers: Collection[State]) -> Bar:
    """How many times the best peer: the lowest of the ratios, each taken within the rounds."""
    rivals = {state.name for state in peers if not state.is_reference}
    times = {item.name: item.times for item in served if item.name in rivals}
    missing = sorted(rivals - times.keys())
    note = f"without {', '.join(missing)}" if missing else ""
    name = f"{kind}, times the best peer"
    if not times:
        return Bar(name, None, at_least=TIMES[kind], unit="×", note=note)
    best = min(times, key=times.__getitem__)
    return Bar(f"{name} ({best})", times[best], at_least=TIMES[kind], unit="×", note=note)
