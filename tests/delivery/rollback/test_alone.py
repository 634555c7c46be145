"""The default alone: begun, told, and ended by hand or by the time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select
from tests.delivery.conftest import World
from tests.delivery.rollback.test_service import promote, settle

from serinus import clock
from serinus.delivery.rollback import alone
from serinus.delivery.rollback.progress import Progress
from serinus.delivery.rollback.service import Rollbacks
from serinus.delivery.rollback.types import State
from serinus.delivery.types import DeploymentSpec, Phase
from serinus.errors import Conflict, InvalidInput, NotFound
from serinus.store import schema
from serinus.store.engine import reading

FRAUD = "fraud"
HALF_AN_HOUR = timedelta(minutes=30)


def until(world: World) -> int:
    """Until when the default alone answers, as the newest table has it."""
    return world.delivery.routing().routes[FRAUD].alone_until


def reasons(world: World) -> list[str]:
    rows = schema.routing_revisions.c
    with reading(world.engine) as connection:
        found = connection.execute(select(rows.reason).order_by(rows.revision))
        return [row.reason for row in found]


def test_alone_needs_a_default(champion: World, rollbacks: Rollbacks) -> None:
    with pytest.raises(Conflict, match="has no default"):
        alone.begin(champion.delivery, FRAUD, HALF_AN_HOUR, actor="ann")
    with pytest.raises(NotFound, match="has no default"):
        alone.end(champion.delivery, FRAUD, actor="ann")
    with pytest.raises(NotFound):
        alone.begin(champion.delivery, "nobody", HALF_AN_HOUR, actor="ann")


def test_alone_begins_and_ends_by_hand(champion: World, rollbacks: Rollbacks) -> None:
    rollbacks.set_default(FRAUD, 0, actor="ann", reason="to be sure")
    assert until(champion) == 0
    begun = alone.begin(champion.delivery, FRAUD, HALF_AN_HOUR, actor="bo", reason="a bad feed")
    assert begun.alone_until is not None
    assert until(champion) == clock.to_epoch_us(begun.alone_until)
    assert (begun.answer, begun.actor, begun.reason) == (0, "bo", "a bad feed")
    assert rollbacks.defaults() == [begun]
    ended = alone.end(champion.delivery, FRAUD, actor="cy", reason="the feed is well")
    assert ended is not None
    assert (ended.alone_until, until(champion)) == (None, 0)
    # Asked again it is what it is, and the history does not grow.
    before = reasons(champion)
    assert alone.end(champion.delivery, FRAUD, actor="cy") == ended
    assert reasons(champion) == before
    assert "only the default of fraud answers until" in before[-2]
    assert "by bo: a bad feed" in before[-2]
    assert before[-1] == "the versions of fraud are asked again, by cy: the feed is well"


def test_alone_is_over_when_its_time_is(champion: World, rollbacks: Rollbacks) -> None:
    rollbacks.set_default(FRAUD, 0, actor="ann", reason="")
    alone.begin(champion.delivery, FRAUD, timedelta(seconds=2), actor="bo")
    assert until(champion) > 0
    deadline = clock.monotonic() + 30
    while until(champion):
        assert clock.monotonic() < deadline
        clock.sleep(0.05)
        champion.delivery.tables.publish()


def test_alone_goes_on_with_another_answer(champion: World, rollbacks: Rollbacks) -> None:
    rollbacks.set_default(FRAUD, 0, actor="ann", reason="")
    begun = alone.begin(champion.delivery, FRAUD, HALF_AN_HOUR, actor="bo")
    before = until(champion)
    made = rollbacks.set_default(FRAUD, 1, actor="cy", reason="0 was wrong as well")
    assert (made.answer, made.alone_until) == (1, begun.alone_until)
    assert until(champion) == before
    assert champion.delivery.routing().routes[FRAUD].default == 1


@pytest.mark.parametrize("minutes", [0, -1, 1_441])
def test_alone_has_an_end(champion: World, rollbacks: Rollbacks, minutes: int) -> None:
    rollbacks.set_default(FRAUD, 0, actor="ann", reason="")
    with pytest.raises(InvalidInput, match=r"at most 1,440 minutes"):
        alone.begin(champion.delivery, FRAUD, timedelta(minutes=minutes), actor="bo")


@pytest.mark.parametrize("how", ["beside", "clear"])
def test_alone_stops_the_clock_of_a_deployment_until_its_end(
    champion: World, rollbacks: Rollbacks, how: str
) -> None:
    """A soak of no time would be over at once; nobody has asked its challenger anything."""
    asked = DeploymentSpec(model=FRAUD, challenger="1.1.0", soak_seconds=0.0)
    begun = champion.delivery.create(asked, actor="ann")
    champion.report("1.0.0", "1.1.0")
    champion.controller.run_once()
    rollbacks.set_default(FRAUD, 0, actor="ann", reason="")
    alone.begin(champion.delivery, FRAUD, HALF_AN_HOUR, actor="bo")
    champion.delivery.promote(begun.id, actor="cy", reason="it is none of the versions")
    entered = champion.delivery.get(begun.id).step_entered_at
    for _ in range(3):
        champion.controller.run_once()
    assert champion.delivery.get(begun.id).phase is Phase.SOAKING
    ahead = champion.delivery.status(begun.id).ahead
    assert ahead is not None
    assert ahead.until is not None
    assert ahead.until > clock.now() + 0.9 * HALF_AN_HOUR
    if how == "clear":
        rollbacks.clear_default(FRAUD, actor="ann", reason="")
    else:
        alone.end(champion.delivery, FRAUD, actor="bo")
    assert champion.delivery.get(begun.id).step_entered_at > entered
    champion.controller.run_once()
    assert champion.delivery.get(begun.id).phase is Phase.SUCCEEDED


@pytest.mark.parametrize("how", ["by hand", "by itself"])
def test_alone_stops_the_clock_of_a_verification_until_its_end(
    champion: World, rollbacks: Rollbacks, how: str
) -> None:
    """That no version was asked for half an hour is no reason to say that nothing was found."""
    promote(champion, "1.1.0")
    champion.report("1.0.0", "1.1.0")
    settle(champion)
    done = rollbacks.roll_back(FRAUD, None, actor="ann", reason="")
    champion.report("1.0.0")
    settle(champion)
    assert rollbacks.get(done.id).state is State.VERIFYING
    rollbacks.set_default(FRAUD, 0, actor="ann", reason="")
    alone.begin(champion.delivery, FRAUD, HALF_AN_HOUR, actor="bo")
    sure = replace(champion.delivery, worker_seconds=7_200.0)
    Progress(sure).step(clock.now() + timedelta(minutes=20))
    assert rollbacks.get(done.id).state is State.VERIFYING
    begun = clock.now()
    if how == "by hand":
        alone.end(champion.delivery, FRAUD, actor="bo")
        reported = rollbacks.get(done.id).reported_at
        assert reported is not None
        assert reported >= begun
    else:
        begun += HALF_AN_HOUR
    Progress(sure).step(begun + timedelta(seconds=290))
    assert rollbacks.get(done.id).state is State.VERIFYING
    Progress(sure).step(begun + timedelta(seconds=310))
    assert rollbacks.get(done.id).state is State.UNVERIFIED
