"""What is live, read once and decoded once."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine, update
from structlog.testing import capture_logs
from tests.delivery.samples import NOON, deployment, table

from serinus.delivery.folding.roster import Roster
from serinus.delivery.reconcile import Decision
from serinus.delivery.records import deployments, evidence, journal
from serinus.delivery.types import Outcome, Phase
from serinus.delivery.verdicts import watch
from serinus.delivery.verdicts.evidence import Measure
from serinus.ledger.types import Batch, Offset
from serinus.store import schema

LATER = NOON + timedelta(minutes=5)


def test_read_gives_what_is_live_oldest_first(engine: Engine) -> None:
    roster = Roster()
    with engine.begin() as connection:
        assert roster.read(connection) == []
        for number, model in enumerate(("b", "a", "c")):
            at = NOON + timedelta(seconds=number)
            deployments.add(connection, deployment(id=f"d{model}", model=model, created_at=at))
        found = [standing.deployment.id for standing in roster.read(connection)]
        assert found == ["db", "da", "dc"]


def test_read_decodes_again_only_what_moved(engine: Engine) -> None:
    roster = Roster()
    with engine.begin() as connection:
        for model in ("a", "b"):
            deployments.add(connection, deployment(id=f"d{model}", model=model))
        first = {item.deployment.id: item.deployment for item in roster.read(connection)}
        decision = Decision(Phase.RUNNING, 1, Outcome.PROMOTE, "because")
        moved = deployments.move(connection, first["da"], decision, actor="t", at=LATER)
        second = {item.deployment.id: item.deployment for item in roster.read(connection)}
        assert second["da"] == moved
        assert second["db"] is first["db"]
        end = Decision(Phase.ABORTED, 1, Outcome.CONTINUE, "because")
        deployments.move(connection, moved, end, actor="t", at=LATER)
        assert [item.deployment.id for item in roster.read(connection)] == ["db"]


def test_read_leaves_out_what_cannot_be_read_and_says_so_once(engine: Engine) -> None:
    roster = Roster()
    with engine.begin() as connection, capture_logs() as said:
        for model in ("a", "b"):
            deployments.add(connection, deployment(id=f"d{model}", model=model))
        here = schema.deployments.c.id == "da"
        connection.execute(update(schema.deployments).where(here).values(plan={"steps": 7}))
        for _ in range(3):
            assert [item.deployment.id for item in roster.read(connection)] == ["db"]
        assert [item.id for item in roster.everyone(connection)] == ["db", "da"]
    assert [(line["id"], line["log_level"]) for line in said] == [("da", "error")]
    assert "cannot be read" in said[0]["why"]


def test_read_tells_when_evidence_came(engine: Engine) -> None:
    roster = Roster()
    with engine.begin() as connection:
        deployments.add(connection, deployment())
        (before,) = roster.read(connection)
        assert before.fold == 0
        more = table(Measure.ERROR, 0.05, challenger=[0, 3])
        evidence.add(connection, [("d1", more, watch.UNSEEN)], LATER)
        (written,) = roster.read(connection)
        assert written.written != before.written
        journal.note(connection, {}, Batch([], {"w": Offset(0, 7)}), LATER, ["d1"])
        (noted,) = roster.read(connection)
        assert noted.fold > 0
