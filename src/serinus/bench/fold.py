"""What evidence costs: events folded into it, a verdict on it, and its size."""

from __future__ import annotations

import gc
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import process_time

import numpy as np

from serinus.bench.serve import columns
from serinus.delivery import evidence as ev
from serinus.delivery import fold, judge, plan, repository, watch
from serinus.delivery.consumer import Consumer
from serinus.delivery.evidence import Evidence, Measure
from serinus.delivery.types import Deployment, DeploymentSpec, Outcome, Phase, QualityScale
from serinus.errors import InvalidInput
from serinus.ledger.reader import Reader
from serinus.ledger.writer import Writer
from serinus.store.engine import migrate, open_engine
from serinus.wire import Arm, Assignment, Event, Label, Output, Prediction

SHARES = (0.05, 0.25, 0.5, 0.75)
BATCH = 5_000
VERDICTS = 200
_MODEL = "bench"
_EVERYTHING = {
    "score_shift": plan.SCORE_SHIFT,
    "class_odds": plan.CLASS_ODDS,
    "disagreement": plan.DISAGREEMENT,
    "value_cap": 10.0,
    "value_loss": 0.2,
}
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_START_US = round(_AT.timestamp() * 1e6)
# Rates of the simulated traffic: failures, positives, and the spread of log latency.
_FAILING, _POSITIVE, _SPREAD = 0.01, 0.3, 0.5
_MEDIAN_US = 20_000


@dataclass(frozen=True)
class FoldReport:
    """What ``serinus bench fold`` found; processor seconds of one core throughout."""

    events: int
    fold_seconds: float
    stored_requests: int
    stored_us_a_request: float
    verdict_ms: float
    guardrails: int
    evidence_bytes: int
    evidence_bytes_at_a_billion: int

    def table(self) -> list[tuple[str, ...]]:
        """The figures as rows of text; the first row is the heading."""
        bytes_each = self.evidence_bytes_at_a_billion / self.guardrails
        return [
            ("what", "measured"),
            (f"{self.events:,} events into evidence", f"{self.fold_seconds:.2f} s"),
            (
                f"{self.stored_requests:,} requests and labels through the store",
                f"{self.stored_us_a_request:.1f} µs a request",
            ),
            (f"one verdict on {self.guardrails} guardrails", f"{self.verdict_ms:.2f} ms"),
            ("evidence a guardrail after 10⁹ requests", f"{bytes_each:,.0f} bytes"),
        ]

    def __str__(self) -> str:
        return columns(self.table())

    def as_dict(self) -> dict[str, object]:
        """The figures as plain JSON."""
        return asdict(self)


def run(events: int = 1_000_000, stored: int = 50_000) -> FoldReport:
    """Measure the fold in memory, the fold through the ledger and the store, and a verdict.

    Args:
        events: predictions that are folded in memory.
        stored: predictions, each with its label, that are folded through an SQLite database.

    Raises:
        InvalidInput: a number that makes no sense.
    """
    for name, value in (("events", events), ("stored", stored)):
        if value <= 0:
            raise InvalidInput(f"it must be more than 0, not {value}", where=name)
    subject = deployment(**_EVERYTHING)
    evidence, seconds = _in_memory(subject, predictions(events))
    evidence += outcomes(events)
    much = Evidence(
        {
            measure: {share: counts * 10**9 // events for share, counts in tables.items()}
            for measure, tables in evidence.tables.items()
        }
    )
    return FoldReport(
        events=events,
        fold_seconds=seconds,
        stored_requests=stored,
        stored_us_a_request=1e6 * _through_the_store(deployment(), stored) / stored,
        verdict_ms=1e3 * statistics.median(_verdicts(subject, evidence)),
        guardrails=len(subject.plan.guardrails),
        evidence_bytes=len(evidence.encode()),
        evidence_bytes_at_a_billion=len(much.encode()),
    )


def deployment(**judged: float) -> Deployment:
    """A running canary by the defaults, but for these fields of its specification."""
    spec = DeploymentSpec(
        model=_MODEL,
        challenger="2.0.0",
        shares=SHARES,
        **judged,  # type: ignore[arg-type]
    )
    basis = plan.Basis(
        quality=QualityScale("classification", 1.0, 0.1),
        score_cuts=tuple(number / 10 for number in range(1, 10)),
        classes=(0, 1),
    )
    made = plan.make_plan(spec, basis, salt="bench")
    return Deployment(
        id="bench",
        model=_MODEL,
        champion="1.0.0",
        challenger="2.0.0",
        strategy="canary",
        spec=spec,
        plan=made,
        plan_hash=plan.plan_hash(made),
        phase=Phase.RUNNING,
        step=1,
        step_entered_at=_AT,
        verdict=Outcome.NO_DATA,
        reason="",
        requested_by="bench",
        created_at=_AT,
        updated_at=_AT,
        ended_at=None,
    )


def predictions(count: int, seed: int = 1) -> list[tuple[bytes, Event]]:
    """Answers of two equal versions over a ramp, with ids, as a ledger would give them."""
    rng = np.random.default_rng(seed)
    step = np.arange(count) * len(SHARES) // max(count, 1)
    challenger = rng.random(count) < np.array(SHARES)[step]
    failed = rng.random(count) < _FAILING
    score = rng.random(count)
    latency = _MEDIAN_US * np.exp(_SPREAD * rng.standard_normal(count))
    routes = {
        (number, arm): Assignment(_MODEL, arm, share, number + 1, "bench", number + 1)
        for number, share in enumerate(SHARES)
        for arm in (Arm.CHAMPION, Arm.CHALLENGER)
    }
    return [
        (
            number.to_bytes(16, "big"),
            Prediction(
                _START_US + number,
                routes[at, Arm.CHALLENGER if drawn else Arm.CHAMPION],
                "2.0.0" if drawn else "1.0.0",
                (1.0, 2.0, 3.0),
                Output(int(positive > 1 - _POSITIVE), (1.0 - positive, positive)),
                int(slow),
                "ValueError" if fails and drawn else "",
            ),
        )
        for number, (at, drawn, fails, positive, slow) in enumerate(
            zip(
                step.tolist(),
                challenger.tolist(),
                failed.tolist(),
                score.tolist(),
                latency.tolist(),
                strict=True,
            )
        )
    ]


def outcomes(count: int) -> Evidence:
    """As many pairs and outcomes, evenly over all levels: the widest tables that there can be."""
    widths = {
        Measure.LOSS: len(ev.LOSS_LEVELS),
        Measure.VALUE: len(ev.LOSS_LEVELS),
        Measure.PAIR_ERROR: len(ev.FAILURE_DIFFERENCES),
        Measure.PAIR_LOSS: len(ev.LOSS_DIFFERENCES),
        Measure.PAIR_FLIP: 2,
        Measure.MATURED: 2,
        Measure.PAIR_MATURED: 2,
    }
    live = (Measure.LOSS, Measure.VALUE)
    return Evidence(
        {
            measure: {
                share: np.full((2, wide), count // (2 * wide), np.int64)
                for share in (SHARES if measure in live else (0.0,))
            }
            for measure, wide in widths.items()
        }
    )


def _in_memory(
    subject: Deployment, records: Sequence[tuple[bytes, Event]]
) -> tuple[Evidence, float]:
    """What the events give, and how long it took, in batches as the controller reads them."""
    evidence, latencies = Evidence({}), watch.UNSEEN
    # A controller holds one batch, not a million events for the collector to walk over.
    gc.collect()
    gc.freeze()
    begin = process_time()
    for start in range(0, len(records), BATCH):
        found, _ = fold.sort(records[start : start + BATCH], {subject.id: subject})
        gathered = fold.gather(subject, found[subject.id], latencies, {})
        evidence, latencies = evidence + gathered.evidence, gathered.watch
    seconds = process_time() - begin
    gc.unfreeze()
    return evidence, seconds


def _through_the_store(subject: Deployment, count: int) -> float:
    """The time of as many requests, each with its label, from the ledger into the store."""
    with tempfile.TemporaryDirectory(prefix="serinus-bench-") as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'bench.db'}")
        migrate(engine)
        with engine.begin() as connection:
            repository.add(connection, subject)
        writer = Writer(Path(folder) / "ledger", segment_bytes=1 << 26, sync="os")
        told = [event for _, event in predictions(count)]
        for start in range(0, count, BATCH):
            asked = told[start : start + BATCH]
            ids = writer.append(asked)
            writer.append(list(map(_label, ids, asked)))
        writer.close()
        seconds = _drained(Consumer(engine, Reader(Path(folder) / "ledger")).fold)
        engine.dispose()
    return seconds


def _label(identity: bytes, event: Event) -> Event:
    assert isinstance(event, Prediction)
    return Label(event.at + 1, identity, 1, event.at, event.assignment, event.version, event.output)


def _drained(read: Callable[[], int]) -> float:
    begin = process_time()
    while read():
        pass
    return process_time() - begin


def _verdicts(subject: Deployment, evidence: Evidence) -> list[float]:
    found = []
    for _ in range(VERDICTS):
        begin = process_time()
        judge.judge(subject.plan, len(subject.plan.steps) - 1, evidence)
        found.append(process_time() - begin)
    return found
