"""What evidence costs: events folded into it, a verdict on it, and its size."""

from __future__ import annotations

import gc
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import process_time

from serinus.bench import traffic
from serinus.bench.table import columns
from serinus.delivery.folding.consumer import Consumer
from serinus.delivery.records import deployments
from serinus.delivery.types import Deployment, Plan
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts import fold, judge, watch
from serinus.delivery.verdicts.evidence import Evidence, Sight
from serinus.delivery.verdicts.fold import LABEL, VALUE, Facts, Waiting
from serinus.errors import InvalidInput
from serinus.ledger.files.reader import Reader
from serinus.ledger.files.writer import Writer
from serinus.store.engine import migrate, open_engine
from serinus.wire import Answer, Event, Label, Prediction, Shadow, Value

BATCH = 5_000
VERDICTS = 200


@dataclass(frozen=True)
class FoldReport:
    """What ``serinus bench fold`` found; processor seconds of one core throughout.

    ``events`` are ``requests``, mirrored ``pairs``, ``labels`` and ``values``, folded into the
    evidence of all guardrails in ``fold_seconds``.
    """

    events: int
    requests: int
    pairs: int
    labels: int
    values: int
    fold_seconds: float
    seconds_a_million: float
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
            ("of them requests, mirrored pairs", f"{self.requests:,}, {self.pairs:,}"),
            ("of them labels, values", f"{self.labels:,}, {self.values:,}"),
            ("a million such events", f"{self.seconds_a_million:.2f} s"),
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
        events: requests, pairs, labels and values together, about so many, folded in memory.
        stored: predictions, each with its label, that are folded through an SQLite database.

    Raises:
        InvalidInput: a number that makes no sense.
    """
    for name, value in (("events", events), ("stored", stored)):
        if value <= 0:
            raise InvalidInput(f"it must be more than 0, not {value}", where=name)
    subject = traffic.deployment(**traffic.EVERYTHING)
    told = traffic.rollout(events)
    evidence, seconds = _in_memory(subject, told)
    kinds = Counter(type(event) for _, event in told)
    evidence += traffic.outcomes(events)
    much = Evidence(
        {
            measure: {share: counts * 10**9 // events for share, counts in tables.items()}
            for measure, tables in evidence.tables.items()
        }
    )
    return FoldReport(
        events=len(told),
        requests=kinds[Prediction],
        pairs=kinds[Shadow],
        labels=kinds[Label],
        values=kinds[Value],
        fold_seconds=seconds,
        seconds_a_million=1e6 * seconds / len(told),
        stored_requests=stored,
        stored_us_a_request=1e6 * _through_the_store(traffic.deployment(), stored) / stored,
        verdict_ms=1e3 * statistics.median(_verdicts(subject, evidence)),
        guardrails=len(subject.plan.guardrails),
        evidence_bytes=len(evidence.encode()),
        evidence_bytes_at_a_billion=len(much.encode()),
    )


@dataclass
class Awaiting:
    """Requests until their label or value comes, as the store keeps them, but in memory."""

    asked: dict[str, dict[bytes, tuple[int, Facts]]] = field(
        default_factory=lambda: {LABEL: {}, VALUE: {}}
    )

    def mature(self, plan: Plan, gathered: fold.Gathered) -> Evidence:
        """What the labels and values add that came for requests of this batch or before."""
        seen: Counter[Sight] = Counter()
        for kind, new in ((LABEL, gathered.labels), (VALUE, gathered.values)):
            for (facts, outcome), times in Counter(self._settled(kind, new)).items():
                for sight in fold.mature(plan, kind, facts, outcome):
                    seen[sight] += times
        return ev.count(seen)

    def _settled(self, kind: str, new: Waiting) -> list[tuple[Facts, Answer]]:
        asked = self.asked[kind]
        asked.update(new.asked)
        return [
            (waited[1], told[1])
            for identity, told in new.told.items()
            if (waited := asked.pop(identity, None)) is not None
        ]


def _in_memory(
    subject: Deployment, records: Sequence[tuple[bytes, Event]]
) -> tuple[Evidence, float]:
    """What the events give, and how long it took, in batches as the controller reads them."""
    evidence, latencies, awaiting = Evidence({}), watch.UNSEEN, Awaiting()
    # A controller holds one batch, not a million events for the collector to walk over.
    gc.collect()
    gc.freeze()
    begin = process_time()
    for start in range(0, len(records), BATCH):
        found, _ = fold.sort(records[start : start + BATCH], {subject.id: subject})
        gathered = fold.gather(subject, found[subject.id], latencies, {})
        evidence, latencies = evidence + gathered.evidence, gathered.watch
        evidence += awaiting.mature(subject.plan, gathered)
    seconds = process_time() - begin
    gc.unfreeze()
    return evidence, seconds


def _through_the_store(subject: Deployment, count: int) -> float:
    """The time of as many requests, each with its label, from the ledger into the store."""
    with tempfile.TemporaryDirectory(prefix="serinus-bench-") as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'bench.db'}")
        migrate(engine)
        with engine.begin() as connection:
            deployments.add(connection, subject)
        writer = Writer(Path(folder) / "ledger", segment_bytes=1 << 26, sync="os")
        told = [event for _, event in traffic.predictions(count)]
        for start in range(0, count, BATCH):
            asked = told[start : start + BATCH]
            ids = writer.append(asked)
            writer.append(list(map(traffic.label, ids, asked)))
        writer.close()
        seconds = _drained(Consumer(engine, Reader(Path(folder) / "ledger")).fold)
        engine.dispose()
    return seconds


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
