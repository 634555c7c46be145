"""Statuses of many deployments at once, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import msgspec
import pytest
from sqlalchemy import Connection, Engine, event, insert
from tests.delivery.conftest import World
from tests.delivery.test_pace import DEPLOYMENT

from serinus import clock
from serinus.delivery import routing, statuses
from serinus.delivery.records import deployments
from serinus.delivery.rollback import repository
from serinus.delivery.rollback.types import DefaultAnswer
from serinus.delivery.statuses import Status
from serinus.delivery.types import Assessment, Phase
from serinus.store import schema
from serinus.store.engine import reading
from serinus.wire import Route, Target


@contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """The statements that are executed inside."""
    found: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        found.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield found
    event.remove(engine, "before_cursor_execute", note)


def begin(connection: Connection, number: int) -> str:
    """A running canary of a model of its own, with two looks and two labels that wait."""
    identity = f"d{number:03}"
    item = msgspec.structs.replace(
        DEPLOYMENT, id=identity, model=f"m{number:03}", created_at=clock.now() - timedelta(hours=1),
        step_entered_at=clock.now() - timedelta(minutes=5),
    )  # fmt: skip
    deployments.add(connection, item)
    for age, requests in ((60, 100), (1, 160)):
        rail = Assessment(
            "errors", "open", requests, requests // 4, 0.1, 0.1, 0.0, 4.6, 1.0, 3.7, "", ""
        )
        look = {
            "deployment": identity, "step": 1, "at": clock.now() - timedelta(seconds=age),
            "verdict": "continue", "reason": f"after {requests}", "requests": requests,
            "guardrails": [msgspec.to_builtins(rail)], "fold": 1,
        }  # fmt: skip
        connection.execute(insert(schema.verdicts).values(**look))
    first = clock.epoch_us() - 10_000_000
    connection.execute(
        insert(schema.awaiting),
        [
            {"prediction": bytes([place, number] * 8), "deployment": identity, "kind": "label",
             "predicted_at": first + place, "facts": b"f", "outcome": b"told" if place else None}
            for place in range(3)
        ],
    )  # fmt: skip
    return identity


def all_of(engine: Engine) -> list[Status]:
    with reading(engine) as connection:
        return statuses.read(connection, statuses.newest(connection, 100, None), 10.0)


def test_a_page_takes_as_many_queries_as_one(engine: Engine) -> None:
    taken = []
    for count in (1, 30):
        with engine.begin() as connection:
            for number in range(len(taken), count):
                begin(connection, number)
        with counted(engine) as statements:
            found = all_of(engine)
        assert len(found) == count
        taken.append(len(statements))
    assert taken[0] == taken[1]


def test_status_has_everything_of_its_deployment_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        ids = [begin(connection, number) for number in range(3)]
    found = {item.deployment.id: item for item in all_of(engine)}
    assert sorted(found) == ids
    for item in found.values():
        assert item.verdict is not None
        assert item.verdict.reason == "after 160"
        assert item.counts.delayed == 2
        assert item.counts.delayed_until is not None
        assert [move.to_phase for move in item.latest] == [Phase.RUNNING]
        assert item.ahead is not None
        assert item.ahead.waits_for == "requests"
        assert set(item.counts.rates) == {"champion", "challenger", "shadow"}
        assert (item.retries, item.rollback) == (0, None)


def test_status_tells_of_the_default_that_answers_alone(engine: Engine) -> None:
    until = clock.now() + timedelta(minutes=20)
    answer = DefaultAnswer("m000", False, "ann", "why", clock.now(), until)
    with engine.begin() as connection:
        for number in range(2):
            begin(connection, number)
        repository.set_default(connection, answer)
    still, other = (item.ahead for item in all_of(engine))
    assert still is not None
    assert "serinus default alone m000 --end" in still.sentence
    assert other is not None
    assert other.waits_for == "requests"


@pytest.mark.parametrize(("champion", "share"), [("1.0.0", 0.25), ("1.1.0", 1.0), ("0.9.0", 0.25)])
def test_traffic_is_what_the_routing_table_says(
    engine: Engine, champion: str, share: float
) -> None:
    with engine.begin() as connection:
        identity = begin(connection, 0)
        new = DEPLOYMENT.challenger
        route = Route("m000", Target(champion, ""), deployment=identity)
        if champion != new:
            other = Target(new, "")
            route = msgspec.structs.replace(route, challenger=other, share=0.25)
        routing.revise(connection, {"m000": route}, "why")
        # How it ended says nothing of who answers.
        values = {"phase": Phase.SUCCEEDED, "ended_at": clock.now(), "live_model": None}
        connection.execute(schema.deployments.update().values(**values))
    (found,) = all_of(engine)
    assert found.counts.share == share
    assert found.counts.shares[new] == share


def test_pages_are_by_model_and_go_on_after_a_name(engine: Engine) -> None:
    with engine.begin() as connection:
        for number in range(5):
            begin(connection, number)
    with reading(engine) as connection:
        first = statuses.newest(connection, 2, None)
        second = statuses.newest(connection, 9, first[-1].model)
        assert statuses.read(connection, [], 10.0) == []
    assert [item.model for item in (*first, *second)] == [f"m{number:03}" for number in range(5)]


@pytest.mark.parametrize("ended", [True, False])
def test_rollback_that_ended_it_or_the_models_last_is_told(engine: Engine, *, ended: bool) -> None:
    now = clock.now()
    with engine.begin() as connection:
        identity = begin(connection, 0)
        rows = [
            {"id": f"r{place}", "model": "m000", "taken_back": "1.1.0", "to": "1.0.0",
             "deployment": owner, "cause": "errors", "actor": "controller", "reason": "why",
             "state": state, "plan": {}, "criteria": {}, "sound_until": now, "steps": [],
             "findings": [], "seen": {}, "revision": 3, "started_at": now, "ended_at": now}
            for place, (owner, state) in enumerate(((identity, "verified"), (None, "failed")))
        ]  # fmt: skip
        connection.execute(insert(schema.rollbacks), rows)
        if ended:
            values = {"phase": Phase.ROLLED_BACK, "ended_at": now, "live_model": None}
            connection.execute(schema.deployments.update().values(**values))
    (found,) = all_of(engine)
    assert found.rollback is not None
    assert found.rollback.state == ("verified" if ended else "failed")


def test_retries_are_counted_and_old_moves_left_out(world: World) -> None:
    with world.engine.begin() as connection:
        identity = begin(connection, 0)
        rows = [
            {"deployment": identity, "from_phase": was, "to_phase": to, "step": 1,
             "at": clock.now(), "actor": "ann", "verdict": "continue", "reason": f"{number}"}
            for number in range(4)
            for was, to in (("running", "aborted"), ("aborted", "pending"))
        ]  # fmt: skip
        connection.execute(insert(schema.deployment_history), rows)
    found = world.delivery.status(identity)
    assert found.retries == 4
    assert len(found.latest) == statuses.LATEST
    assert [move.reason for move in found.latest] == ["1", "1", "2", "2", "3", "3"]
