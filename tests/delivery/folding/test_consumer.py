"""Folding the ledger: evidence and offsets move together, whoever folds and whenever it dies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Connection, event, func, select, update
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs
from tests.delivery.folding.conftest import Folding, drain
from tests.delivery.samples import NUMBERS, answered, assigned, deployment

from serinus import clock
from serinus.delivery.folding import consumer as consumers
from serinus.delivery.folding.consumer import Consumer
from serinus.delivery.leases import Lease
from serinus.delivery.reconcile import Decision
from serinus.delivery.records import deployments, evidence, workers
from serinus.delivery.types import Deployment, DeploymentSpec, Outcome, Phase
from serinus.delivery.verdicts.evidence import Evidence, Measure
from serinus.delivery.verdicts.judge import judge
from serinus.ledger.files.reader import Reader
from serinus.store import schema
from serinus.wire import (
    Arm,
    Assignment,
    Event,
    Output,
    Prediction,
    WorkerStatus,
)


def test_fold_counts_each_event_once_however_often_it_runs(folding: Folding) -> None:
    folding.begin()
    folding.predict(7)
    consumer = folding.consumer()
    assert (consumer.fold(), consumer.fold()) == (7, 0)
    folding.predict(3)
    assert drain(folding.consumer()) == 3
    assert folding.evidence().total(Measure.ERROR) == 10


def test_fold_reads_on_in_batches(folding: Folding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "BATCH", 4)
    folding.begin()
    folding.predict(10)
    consumer = folding.consumer()
    assert [consumer.fold() for _ in range(4)] == [4, 4, 2, 0]
    assert folding.evidence().total(Measure.ERROR) == 10


def test_fold_that_dies_before_its_commit_has_not_happened(
    folding: Folding, monkeypatch: pytest.MonkeyPatch
) -> None:
    folding.begin()
    folding.predict(5)

    def die(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(consumers.offsets_of, "save_offsets", die)
        with pytest.raises(KeyboardInterrupt):
            folding.consumer().fold()
    assert folding.evidence().total(Measure.ERROR) == 0
    assert drain(folding.consumer()) == 5
    assert folding.evidence().total(Measure.ERROR) == 5


def test_fold_leaves_events_to_the_consumer_that_was_faster(folding: Folding) -> None:
    folding.begin()
    first, second = folding.consumer(), folding.consumer()
    folding.predict(2)
    assert (first.fold(), second.fold()) == (2, 0)
    folding.predict(3)
    assert first.fold() == 3
    # The second held offsets that are no longer true: it notices, and reads on from the true ones.
    assert second.fold() == 0
    folding.predict(4)
    assert drain(second) == 4
    assert folding.evidence().total(Measure.ERROR) == 9


def test_fold_takes_labels_before_and_after_their_requests(folding: Folding) -> None:
    folding.begin()
    consumer = folding.consumer()
    early = folding.predict(2)
    drain(consumer)
    folding.label(early)
    drain(consumer)
    together = folding.predict(2)
    folding.label(together)
    drain(consumer)
    found = folding.evidence()
    assert (found.total(Measure.LOSS), found.total(Measure.MATURED, level=1)) == (4, 4)
    assert folding.waiting() == 0


def test_fold_waits_for_the_oldest_label_that_may_still_come(folding: Folding) -> None:
    folding.begin()
    first = folding.predict(1, ago=10)
    later = folding.predict(5)
    folding.label(later)
    consumer = folding.consumer()
    drain(consumer)
    assert folding.evidence().total(Measure.LOSS) == 0
    since = clock.from_epoch_us(first[0][1].at)
    assert folding.delayed() == (5, since + timedelta(days=1))
    folding.label(first)
    drain(consumer)
    assert folding.delayed() == (0, None)
    assert folding.evidence().total(Measure.LOSS) == 6


def test_fold_gives_up_a_label_that_is_overdue_and_counts_it_as_missing(folding: Folding) -> None:
    folding.begin(label_window_seconds=60.0)
    folding.predict(1, ago=120)
    folding.label(folding.predict(3))
    drain(folding.consumer())
    found = folding.evidence()
    assert found.total(Measure.LOSS) == 3
    assert found.coverage(Arm.CHALLENGER) == pytest.approx(3 / 4)


def test_fold_without_events_writes_once_something_is_overdue(
    folding: Folding, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []
    event.listen(folding.engine, "begin", begun.append)
    now, monotonic = clock.now(), clock.monotonic()
    passed = [0.0]
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(seconds=passed[0]))
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic + passed[0])
    folding.begin(label_window_seconds=60.0)
    folding.predict(2)
    consumer = folding.consumer()
    drain(consumer)
    before = len(begun)
    for passed[0] in (10.0, 50.0):
        assert consumer.fold() == 0
    assert len(begun) == before
    passed[0] = 62.0
    assert consumer.fold() == 0
    assert len(begun) > before
    assert folding.waiting() == 0


def test_fold_without_events_gives_up_what_only_a_further_challenger_waits_for(
    folding: Folding, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, monotonic = clock.now(), clock.monotonic()
    passed = [0.0]
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(seconds=passed[0]))
    monkeypatch.setattr(clock, "monotonic", lambda: monotonic + passed[0])
    folding.begin(
        strategy="ab_test", others=("1.2.0",), split=(0.3, 0.3), label_window_seconds=60.0
    )
    drawn = Assignment("fraud", Arm.CHALLENGER, 0.6, 3, "d1", 0, 0, variant=1, shares=(0.3, 0.3))
    folding.writer.append(
        [Prediction(clock.to_epoch_us(now), drawn, "1.2.0", (1.0,), Output(1), 900, "")]
    )
    consumer = folding.consumer()
    drain(consumer)
    assert folding.waiting() == 1
    passed[0] = 62.0
    consumer.fold()
    assert folding.waiting() == 0


def test_fold_counts_the_first_label_of_a_request_only(folding: Folding) -> None:
    folding.begin()
    asked = folding.predict(1)
    folding.label(asked, 1)
    folding.label(asked, 0)
    drain(folding.consumer())
    found = folding.evidence()
    assert (found.total(Measure.LOSS, level=0), found.total(Measure.LOSS)) == (1, 1)


def test_fold_counts_an_entity_once_over_batches_and_restarts(folding: Folding) -> None:
    folding.begin(unit="entity")
    for unit in (7, 7, 8):
        folding.label(folding.predict(2, unit=unit))
        drain(folding.consumer())
    found = folding.evidence()
    assert (found.total(Measure.ERROR), found.total(Measure.LOSS)) == (2, 2)


def test_fold_keeps_the_last_word_of_each_worker(folding: Folding) -> None:
    for revision in (1, 2):
        status = WorkerStatus(clock.epoch_us(), "w", revision, ("fraud@1.0.0",), {"x": "why"})
        folding.writer.append([status])
    drain(folding.consumer())
    with folding.engine.begin() as connection:
        (view,) = workers.read(connection, clock.now(), 60.0)
    assert (view.revision, view.ready, view.failed) == (2, ("fraud@1.0.0",), {"x": "why"})


@pytest.mark.parametrize("what", ["another deployment", "an ended one"])
def test_fold_of_events_that_are_nobodys_only_moves_on(folding: Folding, what: str) -> None:
    one = folding.begin()
    if what == "an ended one":
        decision = Decision(Phase.ABORTED, 1, one.verdict, "")
        with folding.engine.begin() as connection:
            deployments.move(connection, one, decision, actor="t", at=clock.now())
    deployment_id = "d1" if what == "an ended one" else "d9"
    assignment = Assignment("fraud", Arm.CHALLENGER, 0.05, 3, deployment_id, 1)
    event = Prediction(clock.epoch_us(), assignment, "1.1.0", (1.0,), Output(1), 900)
    folding.writer.append([event])
    assert drain(folding.consumer()) == 1
    assert folding.evidence().total(Measure.ERROR) == 0
    assert folding.waiting() == 0


def test_fold_is_the_same_however_the_events_are_cut(
    folding: Folding, monkeypatch: pytest.MonkeyPatch
) -> None:
    folding.begin()
    for _ in range(4):
        folding.label(folding.predict(6))
        folding.label(folding.predict(2, arm=Arm.CHAMPION), 0)
    digests = set()
    restart: Callable[[], Consumer] = folding.consumer
    for batch in (1, 5, 1_000):
        monkeypatch.setattr(consumers, "BATCH", batch)
        with folding.engine.begin() as connection:
            for table in (schema.ledger_offsets, schema.awaiting):
                connection.execute(table.delete())
            connection.execute(
                schema.evidence.update().values(summary=Evidence({}).encode(), watch=None)
            )
        drain(restart())
        digests.add(folding.evidence().digest())
    assert len(digests) == 1
    assert folding.evidence().total(Measure.LOSS) == 32


def test_fold_without_anything_new_writes_nothing(folding: Folding) -> None:
    folding.begin()
    folding.predict(300, arm=Arm.CHAMPION)
    consumer = folding.consumer()
    drain(consumer)
    with folding.engine.begin() as connection:
        connection.execute(schema.evidence.update().values(updated_at=clock.from_epoch_us(0)))
        folds = connection.execute(select(func.count()).select_from(schema.folds)).scalar_one()
    # A new one looks whether labels are overdue, as an old one does once a second.
    assert folding.consumer().fold() == 0
    with folding.engine.begin() as connection:
        row = connection.execute(select(schema.evidence)).one()
        after = connection.execute(select(func.count()).select_from(schema.folds)).scalar_one()
    assert row.updated_at == clock.from_epoch_us(0)
    assert after == folds


def test_fold_takes_values_apart_from_labels(folding: Folding) -> None:
    folding.begin(value_cap=10.0, label_window_seconds=60.0)
    asked = folding.predict(2)
    late = folding.predict(1, ago=120)
    folding.value(asked, 5.0)
    folding.value(asked, 9.0)  # told twice: the first counts
    drain(folding.consumer())
    found = folding.evidence()
    assert found.total(Measure.VALUE, level=16) == 2
    assert found.total(Measure.VALUE, level=0) == len(late)  # worth nothing: never told
    assert found.total(Measure.LOSS) == 0
    assert found.total(Measure.TOLD, level=1) == 4
    assert folding.waiting() == 2


def test_fold_takes_labels_out_of_order_and_twice(folding: Folding) -> None:
    folding.begin()
    asked = folding.predict(9)
    consumer = folding.consumer()
    drain(consumer)
    for order in (asked[::-2], asked[::-1], asked):
        folding.label(order, 1)
        drain(consumer)
    # Later ones are wrong on purpose; none of them may count.
    folding.label(asked, 0)
    drain(consumer)
    found = folding.evidence()
    assert (found.total(Measure.LOSS), found.total(Measure.LOSS, level=0)) == (9, 9)
    assert found.total(Measure.MATURED) == 9
    assert found.total(Measure.TOLD, level=0) == 5 + 9 + 9 + 9  # yet all are seen to have come


def test_fold_of_labels_for_unknown_requests_forgets_them_and_shows_them(folding: Folding) -> None:
    folding.begin()
    known = folding.predict(1)
    strangers = [(bytes([n]) * 16, item) for n, (_, item) in enumerate(folding.predict(3, ago=90))]
    # Of the three that were asked nothing comes; what comes is about three that never were.
    folding.label(strangers)
    folding.label(known)
    drain(folding.consumer())
    found = folding.evidence()
    assert found.total(Measure.LOSS) == 0  # the oldest may still get its label
    assert found.total(Measure.TOLD) == 4
    assert folding.waiting() == 4


@pytest.mark.parametrize("jump", [-86_400.0, -3_600.0, 3_600.0, 86_400.0 * 365])
def test_fold_survives_a_clock_that_jumps(folding: Folding, jump: float) -> None:
    folding.begin()
    consumer = folding.consumer()
    early = folding.predict(3)
    drain(consumer)
    jumped = folding.predict(3, ago=-jump)
    back = folding.predict(3)
    drain(consumer)
    for asked in (back, jumped, early):
        folding.label(asked)
        drain(consumer)
    found = folding.evidence()
    assert found.total(Measure.ERROR) == 9
    # Those that a clock set back made older than the label window are missing, and seen to be.
    given_up = 3 if jump <= -86_400.0 else 0
    assert found.total(Measure.MATURED, level=0) == given_up
    assert found.total(Measure.LOSS) == 9 - given_up
    assert folding.waiting() <= 3 * (given_up > 0)


@pytest.mark.parametrize("worth", [float("nan"), float("inf"), float("-inf"), -1e300])
def test_fold_of_numbers_that_are_none_stops_nobody(folding: Folding, worth: float) -> None:
    folding.begin(basis=NUMBERS, value_cap=10.0, disagreement=0.3, score_shift=0.1)
    asked = folding.predict(4, output=Output(worth))
    folding.label(asked, worth)
    folding.label(folding.predict(4, output=Output(2.0)), worth)
    folding.label(folding.predict(4, output=Output(worth)), "no number")
    folding.value(asked, worth)
    drain(folding.consumer())
    found = folding.evidence()
    assert found.total(Measure.ERROR) == found.total(Measure.LOSS) == 12
    assert found.total(Measure.VALUE) == 4
    verdict = judge(deployment(basis=NUMBERS).plan, 1, found)
    assert verdict.outcome in (Outcome.CONTINUE, Outcome.INCONCLUSIVE)


@pytest.mark.parametrize("failing", [True, False])
def test_fold_of_all_failures_or_none_of_one_arm(folding: Folding, failing: bool) -> None:
    folding.begin()
    folding.predict(40, fallback="ValueError" if failing else "")
    drain(folding.consumer())
    found = folding.evidence()
    assert found.total(Measure.ERROR, Arm.CHALLENGER, int(failing)) == 40
    assert found.total(Measure.ERROR) == 40
    # A failure is wrong whatever the truth: it waits for no label. Others do.
    assert found.total(Measure.LOSS) == (40 if failing else 0)
    assert folding.waiting() == (0 if failing else 40)
    # 5 % were to go to the challenger: whatever it did, the split cannot be believed.
    assert judge(deployment().plan, 1, found).outcome is Outcome.INCONCLUSIVE


def test_fold_of_what_one_consumer_cannot_keep_costs_that_one_only(folding: Folding) -> None:
    folding.begin()
    folding.predict(5)
    seen: list[int] = []

    def torn(connection: Connection, records: Sequence[object], *_: object) -> None:
        connection.execute(update(schema.evidence).values(fold=99))
        raise ValueError("a number that is none")

    def keeps(connection: Connection, records: Sequence[object], *_: object) -> list[str]:
        seen.append(len(records))
        return []

    consumer = Consumer(folding.engine, Reader(folding.folder), [torn, keeps])
    with capture_logs() as told:
        assert drain(consumer) == 5
        folding.predict(1)
        assert drain(consumer) == 1
    assert [line["event"] for line in told] == ["a batch could not be kept"]
    assert seen == [5, 1]
    assert folding.evidence().total(Measure.ERROR) == 6
    with folding.engine.begin() as connection:
        assert evidence.folded(connection, "d1") == 2


def test_fold_of_what_one_deployment_cannot_take_costs_that_one_only(folding: Folding) -> None:
    """Its evidence is torn on the disk; that of the others, before and behind it, goes on."""
    names = ["d0", "d1", "d2"]
    with folding.engine.begin() as connection:
        for name in names:
            asked = DeploymentSpec(model=f"of {name}", challenger="1.1.0")
            one = deployment(asked, id=name, model=asked.model, phase=Phase.RUNNING, step=1)
            deployments.add(connection, one)
        table = schema.evidence
        connection.execute(update(table).where(table.c.deployment == "d1").values(summary=b"?"))
    for name in names:
        folding.writer.append([answered(assigned(deployment=name)) for _ in range(4)])
    with capture_logs() as told:
        assert drain(folding.consumer()) == 12
    assert [line["who"] for line in told] == [("d1",)]
    with folding.engine.begin() as connection:
        known = evidence.some(connection, ["d0", "d2"])
    found = {name: evidence.total(Measure.ERROR) for name, evidence in known.items()}
    assert found == {"d0": 4, "d2": 4}


def test_fold_that_outlasts_the_lease_is_done_by_smaller_batches(
    folding: Folding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a starved host one batch takes longer than the store waits for a silent holder."""
    monkeypatch.setattr(consumers, "_LONG_SECONDS", 0.3)
    folding.begin()
    folding.predict(400)
    lease = Lease(folding.engine, 0.5)
    assert lease.take()

    def slow(
        connection: Connection,
        records: Sequence[tuple[bytes, Event]],
        live: Sequence[Deployment],
        now: datetime,
    ) -> None:
        clock.sleep(0.002 * len(records))

    consumer = Consumer(folding.engine, Reader(folding.folder), [slow])
    read: list[int] = []
    while sum(read) < 400:
        try:
            read.append(consumer.fold(lease.guard))
        except DBAPIError:
            consumer.forget()
            assert len(read) == 0
    assert read == ([400] if folding.engine.dialect.name == "sqlite" else [200, 200])
    assert folding.evidence().total(Measure.ERROR) == 400
