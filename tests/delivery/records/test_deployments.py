"""Deployments in the store: every legal move, no other, and each with its row of history."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, Table, func, insert, select, text, update
from tests.delivery.samples import NOON, deployment, table

from serinus.delivery.reconcile import Decision
from serinus.delivery.records import deployments, evidence, journal
from serinus.delivery.types import LIVE, TRANSITIONS, Outcome, Phase
from serinus.delivery.verdicts.evidence import EMPTY, Measure
from serinus.errors import Conflict, NotFound
from serinus.ledger.types import Batch, Offset
from serinus.store import schema

LATER = NOON + timedelta(minutes=5)
SEEN = table(Measure.ERROR, 0.05, challenger=[0, 3])


def decision(phase: Phase, step: int = 0) -> Decision:
    return Decision(phase, step, Outcome.CONTINUE, "because")


def test_add_and_get_give_back_the_same(engine: Engine) -> None:
    with engine.begin() as connection:
        deployments.add(connection, deployment())
    with engine.begin() as connection:
        assert deployments.get(connection, "d1") == deployment()
        assert evidence.get(connection, "d1") == EMPTY


def test_get_of_an_unknown_id_says_where_to_look(engine: Engine) -> None:
    with engine.begin() as connection, pytest.raises(NotFound, match="'x'") as caught:
        deployments.get(connection, "x")
    assert "serinus deployments list" in caught.value.remedy


def test_add_refuses_a_second_live_one_of_a_model(engine: Engine) -> None:
    with engine.begin() as connection:
        deployments.add(connection, deployment())
    with engine.connect() as connection, pytest.raises(Conflict) as refusal:
        deployments.add(connection, deployment(id="d2"))
    assert "another deployment of fraud is live (d1)" in refusal.value.what
    assert "serinus deployments abort d1" in refusal.value.remedy
    with engine.begin() as connection:
        deployments.move(connection, deployment(), decision(Phase.ABORTED), actor="t", at=LATER)
        deployments.add(connection, deployment(id="d2"))
        assert [item.id for item in deployments.live(connection)] == ["d2"]


@pytest.mark.parametrize("to", Phase)
@pytest.mark.parametrize("at", Phase)
def test_move_obeys_the_transition_table(engine: Engine, at: Phase, to: Phase) -> None:
    ended = None if at in LIVE else NOON
    before = deployment(phase=at, ended_at=ended)
    with engine.begin() as connection:
        deployments.add(connection, before)
        if to not in TRANSITIONS[at]:
            with pytest.raises(Conflict, match=f"that is {at} cannot become {to}"):
                deployments.move(connection, before, decision(to), actor="t", at=LATER)
            assert deployments.get(connection, "d1") == before
            return
        moved = deployments.move(connection, before, decision(to), actor="t", at=LATER)
        assert deployments.get(connection, "d1") == moved
        assert (moved.phase, moved.live) == (to, to in LIVE)
        assert moved.ended_at == (None if to in LIVE else LATER)
        last = deployments.history(connection, "d1")[-1]
        assert (last.from_phase, last.to_phase, last.actor, last.at) == (at, to, "t", LATER)


def test_move_of_a_deployment_that_moved_meanwhile_is_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        deployments.add(connection, deployment())
        deployments.move(connection, deployment(), decision(Phase.RUNNING, 1), actor="t", at=LATER)
        rows = len(deployments.history(connection, "d1"))
        with pytest.raises(Conflict, match="by somebody else"):
            deployments.move(connection, deployment(), decision(Phase.PAUSED), actor="u", at=LATER)
        assert len(deployments.history(connection, "d1")) == rows


def test_move_to_an_end_forgets_what_was_waited_for_and_keeps_the_entities(engine: Engine) -> None:
    with engine.begin() as connection:
        deployments.add(connection, deployment())
        _wait(connection, "d1", "other")
        deployments.move(connection, deployment(), decision(Phase.ROLLED_BACK), actor="t", at=LATER)
        assert _left(connection, schema.evidence_units) == ["d1", "other"]
        assert _left(connection, schema.awaiting) == ["other"]


def test_add_forgets_the_entities_of_the_models_older_ones(engine: Engine) -> None:
    with engine.begin() as connection:
        deployments.add(connection, deployment())
        deployments.add(connection, deployment(id="d0", model="other"))
        _wait(connection, "d1", "d0")
        deployments.move(connection, deployment(), decision(Phase.ABORTED), actor="t", at=LATER)
        deployments.add(connection, deployment(id="d2"))
        assert _left(connection, schema.evidence_units) == ["d0"]


def test_move_notes_after_which_fold_it_was(engine: Engine) -> None:
    with engine.begin() as connection:
        deployments.add(connection, deployment())
        batch = Batch([], {"w": Offset(0, 7)})
        journal.note(connection, {}, batch, NOON, ["d1"])
        fold = evidence.folded(connection, "d1")
        ended = deployments.move(
            connection, deployment(), decision(Phase.ABORTED), actor="t", at=LATER
        )
        journal.note(connection, {}, batch, NOON, ["d1"])
        deployments.move(connection, ended, decision(Phase.PENDING), actor="t", at=LATER)
        assert deployments.phases(connection, "d1")[1] == (fold, Phase.ABORTED)
        assert deployments.get(connection, "d1").ended_at is None


@pytest.mark.parametrize("what", ["plan", "spec"])
@pytest.mark.parametrize("stored", ['{"steps": ', '{"steps": 7}', "[]", "null"])
def test_what_cannot_be_read_stops_nobody_and_can_be_ended(
    engine: Engine, what: str, stored: str
) -> None:
    # A column of PostgreSQL takes no torn JSON, but a text in place of a document.
    value = ":stored"
    if engine.dialect.name == "postgresql":
        value = "CAST(:stored AS json)"
        stored = '"torn"' if stored.endswith(" ") else stored
    with engine.begin() as connection:
        deployments.add(connection, deployment())
        deployments.add(connection, deployment(id="d2", model="other"))
        damage = text(f"UPDATE deployments SET {what} = {value} WHERE id = 'd1'")
        connection.execute(damage, {"stored": stored})
        one, other = sorted(deployments.live(connection), key=lambda item: item.id)
        assert (one.id, one.champion, other) == ("d1", "1.0.0", deployment(id="d2", model="other"))
        assert "serinus deployments abort d1" in one.reason
        with pytest.raises(Conflict, match="cannot be read"):
            deployments.move(connection, one, decision(Phase.PAUSED), actor="t", at=LATER)
        ended = deployments.move(connection, one, decision(Phase.ABORTED), actor="t", at=LATER)
        assert (ended.phase, deployments.get(connection, "d1").phase) == (Phase.ABORTED,) * 2
        deployments.add(connection, deployment(id="d3"))


def test_end_of_a_damaged_experiment_leaves_nothing_of_its_comparisons(engine: Engine) -> None:
    """What it compared is not known any more; other ids are not taken for its own."""
    mine, others = ["d_1", "d_1+1", "d_1+12"], ["d_12", "d_2", "dx1+1"]
    waits, units = schema.awaiting, (schema.evidence_units, schema.experiment_units)
    with engine.begin() as connection:
        deployments.add(connection, deployment(id="d_1"))
        _wait(connection, *mine, *others)
        for name in (*mine, *others):
            connection.execute(
                insert(schema.experiment_units).values(
                    deployment=name, unit=7, arm=0, stretch=0, y=0.0, n=1, x=0.0, groups=b""
                )
            )
        plan = {"steps": 7}
        connection.execute(update(schema.deployments).values(plan=plan))
        torn = deployments.get(connection, "d_1")
        deployments.move(connection, torn, decision(Phase.ABORTED), actor="t", at=LATER)
        assert _left(connection, waits) == others
        deployments.add(connection, deployment(id="d_2"))
        assert [_left(connection, table) for table in (waits, *units)] == [others] * 3


def test_newest_is_the_one_begun_last_though_the_clock_went_back(engine: Engine) -> None:
    with engine.begin() as connection:
        assert deployments.newest(connection, "fraud") is None
        deployments.add(connection, deployment(id="d2"))
        deployments.move(
            connection, deployment(id="d2"), decision(Phase.ABORTED), actor="t", at=LATER
        )
        deployments.add(connection, deployment(id="d1"))
        deployments.add(connection, deployment(id="d3", model="other"))
        assert deployments.newest(connection, "fraud") == "d1"


def test_move_retries_nothing_while_another_is_live(engine: Engine) -> None:
    with engine.begin() as connection:
        deployments.add(connection, deployment())
        ended = deployments.move(
            connection, deployment(), decision(Phase.ABORTED), actor="t", at=LATER
        )
        deployments.add(connection, deployment(id="d2"))
        with pytest.raises(Conflict, match="another deployment of fraud is live"):
            deployments.move(connection, ended, decision(Phase.PENDING), actor="t", at=LATER)


def _wait(connection: Connection, *deployments: str) -> None:
    """One entity and one waiting request of each."""
    for name in deployments:
        connection.execute(insert(schema.evidence_units).values(deployment=name, unit=7))
        connection.execute(
            insert(schema.awaiting).values(
                prediction=name.ljust(16).encode(),
                deployment=name,
                kind="label",
                predicted_at=1,
                facts=b"x",
            )
        )


def _left(connection: Connection, table: Table) -> list[str]:
    return sorted(connection.execute(select(table.c.deployment)).scalars())


def test_listing_pages_from_the_newest(engine: Engine) -> None:
    with engine.begin() as connection:
        for number in range(5):
            model = "fraud" if number % 2 else "churn"
            one = deployment(id=f"d{number}", model=f"{model}{number}")
            deployments.add(connection, one)
        first = deployments.listing(connection, None, 3, None)
        rest = deployments.listing(connection, None, 3, first[-1].id)
        assert [item.id for item in first + rest] == ["d4", "d3", "d2", "d1", "d0"]
        assert [item.id for item in deployments.listing(connection, "fraud3", 9, None)] == ["d3"]


def test_history_begins_with_the_creation(engine: Engine) -> None:
    with engine.begin() as connection:
        deployments.add(connection, deployment(phase=Phase.PENDING))
        (first,) = deployments.history(connection, "d1")
        total = select(func.count()).select_from(schema.deployment_history)
        assert connection.execute(total).scalar_one() == 1
    assert (first.to_phase, first.actor, first.at) == (Phase.PENDING, "test", NOON)


def test_live_models_are_those_of_the_live_ones(engine: Engine) -> None:
    with engine.begin() as connection:
        assert deployments.live_models(connection) == set()
        deployments.add(connection, deployment())
        deployments.add(connection, deployment(id="d0", model="other"))
        deployments.move(connection, deployment(), decision(Phase.ABORTED), actor="t", at=LATER)
        assert deployments.live_models(connection) == {"other"}
