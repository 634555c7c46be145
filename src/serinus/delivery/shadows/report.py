"""Shadow reports of an installation's deployments, computed from the ledger when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from serinus import clock
from serinus.delivery import interventions
from serinus.delivery.records import deployments, evidence, journal
from serinus.delivery.records.journal import Span
from serinus.delivery.shadows import wording
from serinus.delivery.shadows.comparison import Comparison
from serinus.delivery.shadows.joining import Joiner
from serinus.delivery.shadows.segments import Segments
from serinus.delivery.shadows.types import ShadowReport
from serinus.delivery.types import Assessment, Deployment
from serinus.delivery.verdicts.evidence import Measure
from serinus.delivery.verdicts.judge import judge
from serinus.errors import InvalidInput, NotFound
from serinus.ledger.types import Offset, Reader, Record
from serinus.registry.service import Registry
from serinus.store.engine import reading
from serinus.wire import Arm, Shadow

PAIRS = 200_000
MOST_PAIRS = 1_000_000
SEGMENTS = 50
"""So many segments are told."""
_PAIRED = frozenset({"shadow_errors", "shadow_quality", "disagreement"})


@dataclass(frozen=True)
class Shadows:
    """Looks at what two versions answered to the same requests.

    Attributes:
        engine: the store.
        registry: knows the features of versions, and what they were trained on.
        open_reader: of the ledger; each report has one of its own.
    """

    engine: Engine
    registry: Registry
    open_reader: Callable[[], Reader]

    def report(self, deployment_id: str, pairs: int = PAIRS) -> ShadowReport:
        """What is known of a deployment's pairs, of the newest ``pairs`` of them.

        Raises:
            NotFound: there is no such deployment.
            Conflict: what is stored of it cannot be read.
            InvalidInput: ``pairs`` is out of range.
            Unavailable: the ledger cannot be reached now.
        """
        if not 1 <= pairs <= MOST_PAIRS:
            raise InvalidInput(
                f"{pairs:,} pairs cannot be reported",
                where="pairs",
                remedy=f"Ask for 1 to {MOST_PAIRS:,}.",
            )
        with reading(self.engine) as connection:
            deployment = deployments.get(connection, deployment_id)
            interventions.check_readable(deployment)
            learnt = evidence.get(connection, deployment_id)
            spans = [fold.spans for fold in journal.folds(connection, deployment_id)]
        reader = self.open_reader()
        try:
            stretches = _Stretches(reader, [span for fold in spans for span in fold])
            of = learnt.total(Measure.PAIR_ERROR)
            if deployment.plan.unit == "entity":
                # Evidence has each entity once.
                of = sum(_pairs(deployment, records) for records in stretches)
            joiner = Joiner(deployment, max(0, of - pairs))
            comparison = self._comparison(deployment)
            for records in stretches:
                comparison.add(joiner.join(records))
        finally:
            reader.close()
        verdict = judge(deployment.plan, deployment.step, learnt)
        return _report(deployment, comparison, of, stretches.missing, verdict.guardrails)

    def _comparison(self, deployment: Deployment) -> Comparison:
        champion = self.registry.get(deployment.model, deployment.champion or deployment.challenger)
        challenger = self.registry.get(deployment.model, deployment.challenger)
        one, other = (
            [field.name for field in version.manifest.inputs] for version in (champion, challenger)
        )
        # A request has the inputs of whoever holds production, then what only the other takes.
        names = (list(dict.fromkeys(one + other)), list(dict.fromkeys(other + one)))
        features = champion.reference.get("features", {})
        return Comparison(deployment.plan, names, Segments(features))


class _Stretches:
    """The batches that were folded into a deployment, read one at a time."""

    def __init__(self, reader: Reader, spans: Sequence[Span]) -> None:
        self._reader = reader
        self._spans = spans
        self.missing = 0

    def __iter__(self) -> Iterator[list[Record]]:
        """Their records; what retention has taken away is counted in ``missing``."""
        self.missing = 0
        for span in self._spans:
            start, end = Offset(*span.start), Offset(*span.end)
            try:
                yield self._reader.between(span.writer, start, end)
            except NotFound:
                self.missing += 1


def _pairs(deployment: Deployment, records: Sequence[Record]) -> int:
    return sum(
        isinstance(event, Shadow)
        and event.assignment.deployment == deployment.id
        and event.assignment.arm is not Arm.CLONE
        for _, event in records
    )


def _report(
    deployment: Deployment,
    seen: Comparison,
    of: int,
    missing: int,
    guardrails: Sequence[Assessment],
) -> ShadowReport:
    tested, segments = seen.segments.found()
    failures, differing, shift = seen.failures(), seen.differing(), seen.shift()
    labelled = seen.labelled()
    champion_latency, challenger_latency = seen.latencies()
    return ShadowReport(
        deployment=deployment.id,
        model=deployment.model,
        champion=deployment.champion or "",
        challenger=deployment.challenger,
        phase=deployment.phase,
        conclusion=wording.conclusion(seen.pairs, failures, differing, shift, labelled, segments),
        pairs=seen.pairs,
        of=max(of, seen.pairs),
        soak=seen.soak,
        missing=missing,
        since=_moment(seen.since_us),
        until=_moment(seen.until_us),
        failures=failures,
        differing=differing,
        shift=shift,
        confusion=seen.confusion(),
        known=seen.segments.pairs,
        tested=tested,
        segments=segments[:SEGMENTS],
        champion_latency=champion_latency,
        challenger_latency=challenger_latency,
        labelled=labelled,
        guardrails=tuple(item for item in guardrails if item.kind in _PAIRED),
    )


def _moment(at_us: int | None) -> datetime | None:
    return None if at_us is None else clock.from_epoch_us(at_us)
