"""What was folded when: enough to read the very same batches again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine
from tests.delivery.samples import NOON, deployment

from serinus.delivery.records import deployments, evidence, journal
from serinus.delivery.records.journal import Fold, Span
from serinus.ledger.types import Batch, Offset

SOME = {"aa": Offset(0, 40), "bb": Offset(2, 7)}


def noted(engine: Engine, *identities: str) -> list[Fold]:
    """The journal of the first of these deployments, after one batch that changed them all."""
    with engine.begin() as connection:
        for number, identity in enumerate(identities):
            one = deployment(id=identity, model=f"m{number}")
            deployments.add(connection, one)
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
        assert evidence.folded(connection, "d1") == one[0].id
        assert evidence.folded(connection, "d2") == two[0].id
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
