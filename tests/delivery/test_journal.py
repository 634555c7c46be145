"""What was folded when: enough to read the very same batches again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from tests.delivery.samples import NOON, answered, assigned, deployment

from serinus import clock
from serinus.delivery import consumer as consumers
from serinus.delivery import journal, repository
from serinus.delivery.consumer import Consumer, absorb
from serinus.delivery.journal import Fold, Span
from serinus.ledger.files.reader import Reader
from serinus.ledger.files.writer import Writer
from serinus.ledger.types import Batch, Offset
from serinus.store import schema
from serinus.wire import Event, Label, Output

SOME = {"aa": Offset(0, 40), "bb": Offset(2, 7)}


def noted(engine: Engine, *identities: str) -> list[Fold]:
    """The journal of the first of these deployments, after one batch that changed them all."""
    with engine.begin() as connection:
        for number, identity in enumerate(identities):
            one = deployment(id=identity, model=f"m{number}")
            repository.add(connection, one)
        batch = Batch([], {"aa": Offset(1, 5), "bb": Offset(2, 7), "cc": Offset(0, 9)}, 0, False)
        journal.note(connection, SOME, batch, NOON, identities)
        return list(journal.folds(connection, identities[0]))


def test_note_keeps_the_stretch_of_each_log_that_was_read(engine: Engine) -> None:
    (fold,) = noted(engine, "d1")
    assert fold.spans == (Span("aa", (0, 40), (1, 5)), Span("cc", (0, 0), (0, 9)))
    assert (fold.at, fold.complete) == (NOON, False)


def test_note_of_several_deployments_gives_each_its_own(engine: Engine) -> None:
    noted(engine, "d1", "d2")
    with engine.begin() as connection:
        one, two = (list(journal.folds(connection, name)) for name in ("d1", "d2"))
        assert one[0].spans == two[0].spans
        assert repository.folded(connection, "d1") == one[0].id
        assert repository.folded(connection, "d2") == two[0].id
        assert list(journal.folds(connection, "d3")) == []


def test_folds_come_in_their_order_however_many_there_are(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_PAGE", 3)
    noted(engine, "d1", "d2")
    with engine.begin() as connection:
        for number in range(7):
            batch = Batch([], {"aa": Offset(1, 10 + number)})
            at = NOON + timedelta(seconds=number)
            journal.note(connection, {}, batch, at, ["d1"])
        found = list(journal.folds(connection, "d1"))
    assert [fold.spans[0].end for fold in found[1:]] == [(1, 10 + n) for n in range(7)]
    assert [fold.id for fold in found] == sorted(fold.id for fold in found)
    assert found[-1].at == NOON + timedelta(seconds=6)


def test_folds_read_again_give_the_same_evidence(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two writers, small batches: what the journal names is what was folded, and in what order."""
    monkeypatch.setattr(consumers, "BATCH", 4)
    subject = deployment(step=1)
    with engine.begin() as connection:
        repository.add(connection, subject)
    reader = Reader(tmp_path)
    writers = [Writer(tmp_path, segment_bytes=700, sync="os") for _ in range(2)]
    for turn in range(3):
        for writer in writers:
            at = clock.epoch_us() + turn
            asked = [answered(assigned(), at=at + n, latency_us=700 + n) for n in range(5)]
            ids = writer.append(asked)
            labels: list[Event] = [
                Label(at, name, turn % 2, item.at, item.assignment, "1.1.0", Output(1))
                for name, item in zip(ids, asked, strict=True)
            ]
            writer.append(labels)
    consumer = Consumer(engine, reader)
    while consumer.fold():
        pass
    with engine.begin() as connection:
        folds = list(journal.folds(connection, "d1"))
        first = (
            repository.evidence(connection, "d1"),
            repository.watches_of(connection, ["d1"])["d1"],
        )
        empty = schema.evidence.update().values(summary=b"\x90", watch=None)
        connection.execute(empty)
        assert connection.execute(select(func.count()).select_from(schema.awaiting)).scalar() == 0
        for fold in folds:
            records = [
                record
                for span in fold.spans
                for record in reader.between(span.writer, Offset(*span.start), Offset(*span.end))
            ]
            assert 0 < len(records) <= 4
            absorb(connection, records, [subject], fold.at, complete=fold.complete)
        second = (
            repository.evidence(connection, "d1"),
            repository.watches_of(connection, ["d1"])["d1"],
        )
    assert len(folds) > 10
    assert first[0].encode() == second[0].encode()
    assert first[1].encode() == second[1].encode()
