"""Deployments in the store: every legal move, no other, and each with its row of history."""

from __future__ import annotations

from datetime import timedelta
from math import log

import msgspec
import numpy as np
import pytest
from sqlalchemy import Connection, Engine, Table, func, insert, select
from tests.delivery.samples import NOON, deployment, table

from serinus.delivery import journal, repository
from serinus.delivery.reconcile import Decision
from serinus.delivery.types import LIVE, TRANSITIONS, Outcome, Phase
from serinus.delivery.verdicts import watch as watches
from serinus.delivery.verdicts.evidence import EMPTY, Measure
from serinus.delivery.verdicts.judge import judge
from serinus.errors import Conflict, NotFound
from serinus.ledger.types import Batch, Offset
from serinus.store import schema

LATER = NOON + timedelta(minutes=5)
SEEN = table(Measure.ERROR, 0.05, challenger=[0, 3])


def decision(phase: Phase, step: int = 0) -> Decision:
    return Decision(phase, step, Outcome.CONTINUE, "because")


def test_add_and_get_give_back_the_same(engine: Engine) -> None:
    with engine.begin() as connection:
        repository.add(connection, deployment())
    with engine.begin() as connection:
        assert repository.get(connection, "d1") == deployment()
        assert repository.evidence(connection, "d1") == EMPTY


def test_get_of_an_unknown_id_says_where_to_look(engine: Engine) -> None:
    with engine.begin() as connection, pytest.raises(NotFound, match="'x'") as caught:
        repository.get(connection, "x")
    assert "serinus deployments list" in caught.value.remedy


def test_add_refuses_a_second_live_one_of_a_model(engine: Engine) -> None:
    with engine.begin() as connection:
        repository.add(connection, deployment())
    with engine.connect() as connection, pytest.raises(Conflict) as refusal:
        repository.add(connection, deployment(id="d2"))
    assert "another deployment of fraud is live (d1)" in refusal.value.what
    assert "serinus deployments abort d1" in refusal.value.remedy
    with engine.begin() as connection:
        repository.move(connection, deployment(), decision(Phase.ABORTED), actor="t", at=LATER)
        repository.add(connection, deployment(id="d2"))
        assert [item.id for item in repository.live(connection)] == ["d2"]


@pytest.mark.parametrize("to", Phase)
@pytest.mark.parametrize("at", Phase)
def test_move_obeys_the_transition_table(engine: Engine, at: Phase, to: Phase) -> None:
    ended = None if at in LIVE else NOON
    before = deployment(phase=at, ended_at=ended)
    with engine.begin() as connection:
        repository.add(connection, before)
        if to not in TRANSITIONS[at]:
            with pytest.raises(Conflict, match=f"that is {at} cannot become {to}"):
                repository.move(connection, before, decision(to), actor="t", at=LATER)
            assert repository.get(connection, "d1") == before
            return
        moved = repository.move(connection, before, decision(to), actor="t", at=LATER)
        assert repository.get(connection, "d1") == moved
        assert (moved.phase, moved.live) == (to, to in LIVE)
        assert moved.ended_at == (None if to in LIVE else LATER)
        last = repository.history(connection, "d1")[-1]
        assert (last.from_phase, last.to_phase, last.actor, last.at) == (at, to, "t", LATER)


def test_move_of_a_deployment_that_moved_meanwhile_is_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        repository.add(connection, deployment())
        repository.move(connection, deployment(), decision(Phase.RUNNING, 1), actor="t", at=LATER)
        rows = len(repository.history(connection, "d1"))
        with pytest.raises(Conflict, match="by somebody else"):
            repository.move(connection, deployment(), decision(Phase.PAUSED), actor="u", at=LATER)
        assert len(repository.history(connection, "d1")) == rows


def test_move_to_an_end_forgets_what_was_waited_for_and_keeps_the_entities(engine: Engine) -> None:
    with engine.begin() as connection:
        repository.add(connection, deployment())
        _wait(connection, "d1", "other")
        repository.move(connection, deployment(), decision(Phase.ROLLED_BACK), actor="t", at=LATER)
        assert _left(connection, schema.evidence_units) == ["d1", "other"]
        assert _left(connection, schema.awaiting) == ["other"]


def test_add_forgets_the_entities_of_the_models_older_ones(engine: Engine) -> None:
    with engine.begin() as connection:
        repository.add(connection, deployment())
        repository.add(connection, deployment(id="d0", model="other"))
        _wait(connection, "d1", "d0")
        repository.move(connection, deployment(), decision(Phase.ABORTED), actor="t", at=LATER)
        repository.add(connection, deployment(id="d2"))
        assert _left(connection, schema.evidence_units) == ["d0"]


def test_move_notes_after_which_fold_it_was(engine: Engine) -> None:
    with engine.begin() as connection:
        repository.add(connection, deployment())
        batch = Batch([], {"w": Offset(0, 7)})
        journal.note(connection, {}, batch, NOON, ["d1"])
        fold = repository.folded(connection, "d1")
        ended = repository.move(
            connection, deployment(), decision(Phase.ABORTED), actor="t", at=LATER
        )
        journal.note(connection, {}, batch, NOON, ["d1"])
        repository.move(connection, ended, decision(Phase.PENDING), actor="t", at=LATER)
        assert repository.phases(connection, "d1")[1] == (fold, Phase.ABORTED)
        assert repository.get(connection, "d1").ended_at is None


def test_newest_is_the_one_begun_last_though_the_clock_went_back(engine: Engine) -> None:
    with engine.begin() as connection:
        assert repository.newest(connection, "fraud") is None
        repository.add(connection, deployment(id="d2"))
        repository.move(
            connection, deployment(id="d2"), decision(Phase.ABORTED), actor="t", at=LATER
        )
        repository.add(connection, deployment(id="d1"))
        repository.add(connection, deployment(id="d3", model="other"))
        assert repository.newest(connection, "fraud") == "d1"


def test_move_retries_nothing_while_another_is_live(engine: Engine) -> None:
    with engine.begin() as connection:
        repository.add(connection, deployment())
        ended = repository.move(
            connection, deployment(), decision(Phase.ABORTED), actor="t", at=LATER
        )
        repository.add(connection, deployment(id="d2"))
        with pytest.raises(Conflict, match="another deployment of fraud is live"):
            repository.move(connection, ended, decision(Phase.PENDING), actor="t", at=LATER)


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
            repository.add(connection, one)
        first = repository.listing(connection, None, 3, None)
        rest = repository.listing(connection, None, 3, first[-1].id)
        assert [item.id for item in first + rest] == ["d4", "d3", "d2", "d1", "d0"]
        assert [item.id for item in repository.listing(connection, "fraud3", 9, None)] == ["d3"]


def test_add_evidence_adds_up(engine: Engine) -> None:
    with engine.begin() as connection:
        repository.add(connection, deployment())
        assert repository.watches_of(connection, ["d1"])["d1"] == watches.UNSEEN
        followed = watches.UNSEEN.follow(np.full(30, 900.0), np.ones(30, np.bool_))[1]
        repository.add_evidence(connection, [("d1", SEEN, watches.UNSEEN)], LATER)
        repository.add_evidence(connection, [("d1", SEEN, followed)], LATER)
        repository.add_evidence(connection, [("d1", EMPTY, followed)], LATER)
        total = repository.evidence(connection, "d1")
        assert total.total(Measure.ERROR, level=1) == 6
        assert repository.evidence(connection, "d1") == SEEN + SEEN
        assert repository.watches_of(connection, ["d1"])["d1"].encode() == followed.encode()


def test_verdicts_come_back_as_they_were_the_newest_of_many(engine: Engine) -> None:
    one = deployment(step=1)
    verdict = judge(one.plan, 1, SEEN)
    with engine.begin() as connection:
        repository.add(connection, one)
        for minute in range(4):
            at = NOON + timedelta(minutes=minute)
            repository.record_verdicts(connection, [(one, verdict, minute)], at)
        looks = repository.verdicts(connection, "d1", 3)
    assert [at.minute for at, _, _ in looks] == [1, 2, 3]
    assert all(step == 1 for _, step, _ in looks)
    found = looks[-1][2]
    assert msgspec.structs.replace(found, alpha_spent=0.0) == msgspec.structs.replace(
        verdict, alpha_spent=0.0
    )
    assert found.alpha_spent == pytest.approx(verdict.alpha_spent)
    assert found.guardrails[0].harm_bound == pytest.approx(log(1 / 0.010))


def test_workers_are_those_that_reported_lately(engine: Engine) -> None:
    rows = [
        {"worker": name, "revision": 1, "ready": ["fraud@1.0.0"], "failed": {}, "at": at}
        for name, at in (("old", NOON), ("new", LATER))
    ]
    with engine.begin() as connection:
        connection.execute(insert(schema.gateway_workers), rows)
        (view,) = repository.workers(connection, LATER + timedelta(seconds=3), 10.0)
    assert (view.worker, view.ready, view.failed) == ("new", ("fraud@1.0.0",), {})


def test_history_begins_with_the_creation(engine: Engine) -> None:
    with engine.begin() as connection:
        repository.add(connection, deployment(phase=Phase.PENDING))
        (first,) = repository.history(connection, "d1")
        total = select(func.count()).select_from(schema.deployment_history)
        assert connection.execute(total).scalar_one() == 1
    assert (first.to_phase, first.actor, first.at) == (Phase.PENDING, "test", NOON)
