"""Rollbacks in the store: one open a model, no illegal move."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine
from tests.delivery.rollback.simulation import NOON, rollback

from serinus.delivery.rollback import repository
from serinus.delivery.rollback.types import OPEN, TRANSITIONS, DefaultAnswer, Rollback, Seen, State
from serinus.delivery.routing import Default
from serinus.errors import Conflict, NotFound


def stored(engine: Engine, **changes: object) -> Rollback:
    made = rollback(**changes)  # type: ignore[arg-type]
    with engine.begin() as connection:
        repository.add(connection, made)
    return made


def test_add_allows_one_open_rollback_a_model(engine: Engine) -> None:
    made = stored(engine)
    with pytest.raises(Conflict, match="is under way"):
        stored(engine, id="r2")
    stored(engine, id="r3", model="risk")
    with engine.begin() as connection:
        assert repository.find_open(connection, "fraud") == made
        repository.give_up(connection, made, NOON, "enough")
        assert repository.find_open(connection, "fraud") is None
        assert [item.id for item in repository.open_ones(connection)] == ["r3"]
    stored(engine, id="r4")


@pytest.mark.parametrize("state", sorted(State))
def test_move_allows_what_the_table_allows_and_nothing_else(engine: Engine, state: State) -> None:
    for number, to in enumerate(sorted(State)):
        made = stored(engine, id=f"r{number}", model=f"m{number}", state=state)
        with engine.begin() as connection:
            if to in TRANSITIONS[state]:
                moved = repository.move(connection, made, to, actor="a", at=NOON, reason="why")
                assert repository.get(connection, made.id) == moved
                assert (moved.ended_at is None) == (to in OPEN)
                assert moved.steps[-1].reason == "why"
            else:
                with pytest.raises(Conflict, match="cannot become"):
                    repository.move(connection, made, to, actor="a", at=NOON, reason="")


def test_move_notices_that_somebody_was_faster(engine: Engine) -> None:
    made = stored(engine)
    with engine.begin() as connection:
        repository.move(connection, made, State.VERIFIED, actor="a", at=NOON, reason="")
        with pytest.raises(Conflict, match="somebody else"):
            repository.move(connection, made, State.UNVERIFIED, actor="b", at=NOON, reason="")


@given(st.data())
def test_every_life_ends_and_never_goes_back(data: st.DataObject) -> None:
    order = list(State)
    state, life = State.PLANNED, [State.PLANNED]
    while TRANSITIONS[state]:
        state = data.draw(st.sampled_from(sorted(TRANSITIONS[state])))
        life.append(state)
    assert len(life) <= 5
    assert state not in OPEN
    assert all(order.index(first) < order.index(then) for first, then in pairwise(life))


def test_note_seen_adds_up(engine: Engine) -> None:
    made = stored(engine, seen=Seen())
    with engine.begin() as connection:
        watched = repository.routed(connection)
        assert watched["fraud"].revision == 7
        for seen in (Seen(3, 1, 50), Seen(), Seen(4, 0, 20)):
            repository.note_seen(connection, watched, {"fraud": seen})
        assert repository.get(connection, made.id).seen == Seen(7, 1, 50)


def test_stamp_gives_only_the_newly_routed_its_revision(engine: Engine) -> None:
    stored(engine, state=State.ROUTED, revision=0)
    stored(engine, id="r2", model="risk", state=State.ROUTED, revision=5)
    with engine.begin() as connection:
        repository.stamp(connection, 9)
        found = {item.model: item.revision for item in repository.open_ones(connection)}
    assert found == {"fraud": 9, "risk": 5}


def test_listing_pages_newest_first(engine: Engine) -> None:
    for number in range(4):
        stored(engine, id=f"r{number}", state=State.VERIFIED, started_at=NOON + timedelta(number))
    with engine.begin() as connection:
        first = repository.listing(connection, "fraud", 3, None)
        rest = repository.listing(connection, None, 3, first[-1].id)
        with pytest.raises(NotFound, match="there is no rollback"):
            repository.get(connection, "r9")
    assert [item.id for item in first + rest] == ["r3", "r2", "r1", "r0"]


def test_defaults_are_one_a_model(engine: Engine) -> None:
    with engine.begin() as connection:
        for answer in (0, "no", 2.5, False):
            made = DefaultAnswer("fraud", answer, "ann", "", NOON)
            repository.set_default(connection, made)
            assert repository.defaults(connection) == [made]
        assert repository.routed_defaults(connection) == {"fraud": Default(False)}
        assert repository.clear_default(connection, "fraud")
        assert not repository.clear_default(connection, "fraud")
