"""A batch taken in again adds what it added: whoever reads it, and when."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from tests.delivery.samples import answered, assigned, deployment

from serinus import clock
from serinus.delivery.folding import consumer as consumers
from serinus.delivery.folding.absorb import absorb
from serinus.delivery.folding.consumer import Consumer
from serinus.delivery.records import deployments, evidence, journal
from serinus.ledger.files.reader import Reader
from serinus.ledger.files.writer import Writer
from serinus.ledger.types import Offset
from serinus.store import schema
from serinus.wire import Event, Label, Output

SOME = {"aa": Offset(0, 40), "bb": Offset(2, 7)}


def test_folds_read_again_give_the_same_evidence(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two writers, small batches: what the journal names is what was folded, and in what order."""
    monkeypatch.setattr(consumers, "BATCH", 4)
    subject = deployment(step=1)
    with engine.begin() as connection:
        deployments.add(connection, subject)
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
            evidence.get(connection, "d1"),
            evidence.watches(connection, ["d1"])["d1"],
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
            evidence.get(connection, "d1"),
            evidence.watches(connection, ["d1"])["d1"],
        )
    assert len(folds) > 10
    assert first[0].encode() == second[0].encode()
    assert first[1].encode() == second[1].encode()
