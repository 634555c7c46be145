"""Champions that nobody watches any more, over a real store and ledger."""

from __future__ import annotations

import itertools

import pytest
from sqlalchemy import Connection
from tests.delivery.conftest import World
from tests.delivery.rollback.test_service import FRAUD, promote, requests, settle

from serinus import clock
from serinus.delivery.rollback import guard as watching
from serinus.delivery.rollback.guard import ChampionGuard, Mode
from serinus.delivery.rollback.service import Rollbacks
from serinus.delivery.rollback.types import State
from serinus.errors import Conflict


def harmed(world: World) -> None:
    """1.1.0 took over from 1.0.0 and was well, until half a minute ago."""
    now = clock.now().timestamp() // 10 * 10
    promote(world, "1.1.0")
    world.delivery.tables.publish()
    world.write(requests("1.1.0", now - 1_500, 300))
    world.write(requests("1.1.0", now - 30, 30, failing=0.4))
    settle(world)


def look(world: World, mode: Mode) -> Rollbacks:
    rollbacks = Rollbacks(world.delivery)
    guard = ChampionGuard(world.delivery, rollbacks, mode)
    guard.step(clock.now())
    guard.step(clock.now())
    return rollbacks


@pytest.mark.parametrize(("mode", "state"), [("propose", State.PLANNED), ("act", State.ROUTED)])
def test_guard_makes_a_rollback_of_a_harmed_champion(
    champion: World, mode: Mode, state: State
) -> None:
    harmed(champion)
    rollbacks = look(champion, mode)
    (made,) = rollbacks.page(FRAUD, limit=5, after=None)
    assert (made.state, made.cause, made.actor) == (state, "errors", "guard")
    assert (made.taken_back, made.to) == ("1.1.0", "1.0.0")
    assert "has left its earlier range" in made.reason
    assert made.sound_until < clock.now()
    serves = champion.delivery.routing().routes[FRAUD].champion.version
    assert serves == ("1.0.0" if mode == "act" else "1.1.0")
    done = rollbacks.roll_back(FRAUD, "1.0.0", actor="ann", reason="yes")
    assert done.id == made.id
    assert done.state is State.ROUTED


def test_guard_that_is_off_says_nothing(champion: World) -> None:
    harmed(champion)
    assert look(champion, "off").page(FRAUD, limit=5, after=None) == []


def test_guard_leaves_champions_alone_that_are_well(champion: World) -> None:
    now = clock.now().timestamp()
    champion.write(requests("1.0.0", now - 1_500, 300))
    champion.write(requests("1.0.0", now - 30, 30))
    settle(champion)
    assert look(champion, "act").page(FRAUD, limit=5, after=None) == []


def test_guard_that_could_not_raise_an_alarm_raises_it_at_the_next_look(
    champion: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    harmed(champion)
    rollbacks = Rollbacks(champion.delivery)
    guard = ChampionGuard(champion.delivery, rollbacks, "propose")
    asked = itertools.count()

    def busy(connection: Connection) -> None:
        if next(asked) == 0:
            raise Conflict("somebody was faster")

    monkeypatch.setattr(watching, "_LOOK_SECONDS", 0.0)
    guard.step(clock.now(), busy)
    assert rollbacks.page(FRAUD, limit=5, after=None) == []
    guard.step(clock.now(), busy)
    guard.step(clock.now(), busy)
    assert len(rollbacks.page(FRAUD, limit=5, after=None)) == 1
    assert next(asked) == 2
