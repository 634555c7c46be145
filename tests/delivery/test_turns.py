"""Turns: what one changes another one sees, and nobody waits for anybody in a circle."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from tests.delivery.conftest import World

from serinus import clock
from serinus.delivery import routing, turns
from serinus.delivery.leases import Deposed
from serinus.delivery.rollback import repository as rollbacks
from serinus.delivery.rollback.service import Rollbacks
from serinus.delivery.types import DeploymentSpec, Phase
from serinus.errors import Conflict
from serinus.registry.types import Stage
from serinus.store import schema

PATIENCE = 0.5
"""Seconds for another one to do what it must not be able to do now."""


class Beside(Thread):
    """Somebody else, at the same moment; what came of it."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.act = act
        self.error: Exception | None = None
        self.done = Event()
        self.start()

    def run(self) -> None:
        try:
            self.act()
        except Exception as error:
            self.error = error
        self.done.set()

    def end(self) -> None:
        assert self.done.wait(20.0)
        if self.error is not None and not isinstance(self.error, Conflict):
            raise self.error


def interrupt(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, act: Callable[[], object]
) -> list[Beside]:
    """Have somebody else act just before the first call of a function."""
    inner = getattr(where, name)
    others: list[Beside] = []

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        if not others:
            others.append(Beside(act))
            others[0].done.wait(PATIENCE)
        return inner(*args, **kwargs)

    monkeypatch.setattr(where, name, interrupted)
    return others


@pytest.fixture
def soaking(world: World) -> World:
    """1.1.0 has all traffic of late, by hand."""
    world.register("1.0.0", stage=Stage.PRODUCTION)
    world.register("1.1.0")
    asked = DeploymentSpec(model="fraud", challenger="1.1.0")
    deployment = world.delivery.create(asked, actor="ann")
    world.report("1.0.0", "1.1.0")
    world.controller.run_once()
    world.delivery.promote(deployment.id, actor="ann", reason="")
    return world


def test_turn_sees_what_the_one_before_wrote(engine: Engine) -> None:
    row = {"model": "m", "actor": "a", "reason": "", "at": clock.now()}
    table = schema.defaults
    found: list[int] = []

    def look() -> None:
        with turns.turn(engine) as connection:
            found.append(connection.execute(select(table.c.answer)).scalar_one())

    with turns.turn(engine) as connection:
        other = Beside(look)
        assert not other.done.wait(0.2)
        connection.execute(insert(table).values(answer=7, **row))
    other.end()
    assert found == [7]


def test_turn_is_nobodys_whose_guard_refuses(engine: Engine) -> None:
    def refuse(_: object) -> None:
        raise Deposed("another leads")

    with pytest.raises(Deposed), turns.turn(engine, refuse):
        pytest.fail("it got its turn")


def test_rollback_is_not_undone_by_the_revision_of_somebody_else(
    soaking: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who composed the table before it must not write it after it."""
    back = Rollbacks(soaking.delivery)

    def roll_back() -> None:
        back.roll_back("fraud", None, actor="bob", reason="it burns")

    others = interrupt(monkeypatch, routing, "revise", roll_back)
    back.set_default("fraud", 0, actor="ann", reason="")
    others[0].end()
    assert others[0].error is None
    assert soaking.delivery.routing().routes["fraud"].champion.version == "1.0.0"


def test_rollbacks_of_two_at_once_wait_for_each_other_in_no_circle(
    soaking: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = soaking.delivery.list(None, limit=1, after=None)[0]

    def abort() -> None:
        soaking.delivery.abort(live.id, actor="bob", reason="")

    others = interrupt(monkeypatch, rollbacks, "add", abort)
    Rollbacks(soaking.delivery).roll_back("fraud", None, actor="ann", reason="it burns")
    others[0].end()
    assert soaking.delivery.get(live.id).phase is Phase.ROLLED_BACK
    assert soaking.delivery.routing().routes["fraud"].champion.version == "1.0.0"


@pytest.mark.parametrize(
    ("error", "everybodys"),
    [
        (OperationalError("", {}, Exception()), True),
        (DataError("", {}, Exception()), False),
        (IntegrityError("", {}, Exception()), False),
        (ValueError(), False),
    ],
    ids=["connection", "data", "integrity", "bug"],
)
def test_is_everybodys_tells_the_store_from_what_was_written(
    error: Exception, everybodys: bool
) -> None:
    assert turns.is_everybodys(error) is everybodys
