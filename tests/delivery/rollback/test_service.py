"""Rollbacks over a real store and ledger: asked for, carried out, seen through."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.delivery.conftest import World
from tests.delivery.samples import answered

from serinus import clock
from serinus.delivery.rollback import repository, service
from serinus.delivery.rollback.service import Rollbacks
from serinus.delivery.rollback.types import State
from serinus.delivery.types import DeploymentSpec, Phase
from serinus.errors import Conflict, InvalidInput, NotFound
from serinus.registry.types import GateResult, Stage
from serinus.wire import Arm, Assignment, Event, Failure, Output

FRAUD = "fraud"


def promote(world: World, version: str) -> None:
    for stage in (Stage.STAGING, Stage.PRODUCTION):
        world.registry.transition(None, FRAUD, version, stage, actor="ann", reason="")


def begin(world: World) -> str:
    spec = DeploymentSpec(model=FRAUD, challenger="1.1.0", min_requests=1)
    return world.delivery.create(spec, actor="ann").id


def requests(
    version: str, start: float, seconds: int, *, revision: int = 1, failing: float = 0.0
) -> list[Event]:
    """Twenty requests a second of a champion, from ``start`` (seconds since 1970) on."""
    drawn = Assignment(FRAUD, Arm.CHAMPION, 0.0, revision)
    events: list[Event] = []
    for number in range(20 * seconds):
        at = int((start + number / 20) * 1e6)
        if number % 100 < 100 * failing:
            events.append(Failure(at, drawn, version, "it raised", 900))
        else:
            output = Output(int(number % 3 == 0))
            events.append(answered(drawn, at=at, version=version, output=output))
    return events


def settle(world: World) -> None:
    for _ in range(5):
        world.controller.run_once()


def test_roll_back_of_a_live_deployment_is_one_transaction(
    champion: World, rollbacks: Rollbacks
) -> None:
    deployment = begin(champion)
    done = rollbacks.roll_back(FRAUD, None, actor="ann", reason="smells")
    assert (done.state, done.taken_back, done.to) == (State.ROUTED, "1.1.0", "1.0.0")
    assert done.deployment == deployment
    assert champion.delivery.get(deployment).phase is Phase.ROLLED_BACK
    assert champion.delivery.routing().revision == done.revision
    assert rollbacks.get(done.id) == done
    assert [step.state for step in done.steps] == [State.PLANNED, State.ROUTED]
    assert done.plan.checks[0].passed


def test_roll_back_asked_twice_at_once_is_one(champion: World, rollbacks: Rollbacks) -> None:
    champion.register("0.9.0")
    promote(champion, "1.1.0")
    rollbacks.roll_back(FRAUD, "0.9.0", actor="ann", reason="")
    promote(champion, "1.1.0")
    first = rollbacks.roll_back(FRAUD, "1.0.0", actor="ann", reason="bad")
    assert rollbacks.roll_back(FRAUD, "1.0.0", actor="bob", reason="bad").id == first.id


def test_roll_back_without_a_version_goes_no_further_while_one_is_verified(
    champion: World, rollbacks: Rollbacks
) -> None:
    """Be it a person's second call, or the first after the controller took the version back."""
    begin(champion)
    first = rollbacks.roll_back(FRAUD, None, actor="ann", reason="bad")
    again = rollbacks.roll_back(FRAUD, None, actor="bob", reason="bad")
    assert (first.id, first.to) == (again.id, "1.0.0")
    assert champion.delivery.routing().routes[FRAUD].champion.version == "1.0.0"


@pytest.mark.parametrize("again", [timedelta(minutes=1), timedelta(0)])
def test_roll_back_without_a_version_goes_no_further_just_after_the_end_of_one(
    champion: World,
    rollbacks: Rollbacks,
    monkeypatch: pytest.MonkeyPatch,
    again: timedelta,
) -> None:
    """Whoever got no answer asks once more, and the first may have ended by then."""
    monkeypatch.setattr(service, "_AGAIN", again)
    champion.register("1.2.0")
    promote(champion, "1.1.0")
    promote(champion, "1.2.0")
    first = rollbacks.roll_back(FRAUD, None, actor="ann", reason="bad")
    assert first.to == "1.1.0"
    with champion.engine.begin() as connection:
        repository.give_up(connection, first, clock.now(), "enough")
    second = rollbacks.roll_back(FRAUD, None, actor="ann", reason="bad")
    assert second.to == ("1.1.0" if again else "1.0.0")
    assert (second.id == first.id) is bool(again)


def test_roll_back_for_an_alarm_is_none_that_just_ended(
    champion: World, rollbacks: Rollbacks
) -> None:
    """A person may ask once more for the same; harm that is found afterwards is new."""
    champion.register("1.2.0")
    promote(champion, "1.1.0")
    promote(champion, "1.2.0")
    first = rollbacks.roll_back(FRAUD, None, actor="ann", reason="bad")
    with champion.engine.begin() as connection:
        repository.give_up(connection, first, clock.now(), "enough")
    found = rollbacks.roll_back(FRAUD, None, actor="guard", reason="it fails", cause="errors")
    assert (first.to, found.to) == ("1.1.0", "1.0.0")
    assert found.id != first.id


def test_roll_back_of_what_was_promoted_again_is_another_one(
    champion: World, rollbacks: Rollbacks
) -> None:
    promote(champion, "1.1.0")
    first = rollbacks.roll_back(FRAUD, "1.0.0", actor="ann", reason="bad")
    promote(champion, "1.1.0")
    second = rollbacks.roll_back(FRAUD, "1.0.0", actor="ann", reason="still bad")
    assert second.id != first.id
    assert rollbacks.get(first.id).state is State.UNVERIFIED
    assert champion.delivery.routing().routes[FRAUD].champion.version == "1.0.0"


def test_roll_back_leads_to_nobody_who_was_taken_back_for_another_than_the_former(
    champion: World, rollbacks: Rollbacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_AGAIN", timedelta(0))
    champion.register("1.2.0", stage=Stage.STAGING)
    promote(champion, "1.1.0")
    done = rollbacks.roll_back(FRAUD, "1.2.0", actor="ann", reason="bad")
    with champion.engine.begin() as connection:
        repository.give_up(connection, done, clock.now(), "enough")
    assert rollbacks.roll_back(FRAUD, None, actor="ann", reason="still bad").to == "1.0.0"


def test_roll_back_to_the_present_champion_has_nothing_to_do(
    champion: World, rollbacks: Rollbacks
) -> None:
    champion.delivery.tables.publish()
    before = champion.delivery.routing().revision
    for ask in (
        lambda: rollbacks.roll_back(FRAUD, "1.0.0", actor="ann", reason=""),
        lambda: rollbacks.propose(FRAUD, "1.0.0"),
    ):
        with pytest.raises(Conflict, match=r"1\.0\.0 has all traffic already") as refusal:
            ask()
        assert "Nothing is to be done." in refusal.value.remedy
    assert rollbacks.page(FRAUD, limit=5, after=None) == []
    assert champion.delivery.routing().revision == before


def test_roll_back_to_the_present_champion_leaves_a_proposal_alone(
    champion: World, rollbacks: Rollbacks
) -> None:
    promote(champion, "1.1.0")
    offered = rollbacks.roll_back(FRAUD, None, actor="guard", reason="bad", only_proposed=True)
    with pytest.raises(Conflict, match="has all traffic already"):
        rollbacks.roll_back(FRAUD, "1.1.0", actor="ann", reason="")
    assert rollbacks.get(offered.id) == offered


def test_propose_tells_who_never_served(champion: World, rollbacks: Rollbacks) -> None:
    champion.register("0.9.0")
    promote(champion, "1.1.0")
    for version, passed in (("0.9.0", None), ("1.0.0", True)):
        checks = {check.name: check for check in rollbacks.propose(FRAUD, version).checks}
        assert checks["served"].passed is passed


def test_roll_back_refuses_what_leads_nowhere(champion: World, rollbacks: Rollbacks) -> None:
    with pytest.raises(NotFound, match="there is no model 'risk'"):
        rollbacks.roll_back("risk", None, actor="ann", reason="")
    with pytest.raises(NotFound, match="no version '9"):
        rollbacks.roll_back(FRAUD, "9.9.9", actor="ann", reason="")
    champion.register("0.8.0", gates=(GateResult("accuracy", False, "0.4 against 0.7"),))
    with pytest.raises(Conflict, match="failed gates"):
        rollbacks.roll_back(FRAUD, "0.8.0", actor="ann", reason="")
    begin(champion)
    with pytest.raises(Conflict, match="would be taken back"):
        rollbacks.roll_back(FRAUD, "1.1.0", actor="ann", reason="")
    assert rollbacks.page(FRAUD, limit=10, after=None) == []


def test_roll_back_refuses_artifacts_that_are_gone(champion: World, rollbacks: Rollbacks) -> None:
    champion.register("0.9.0", uri="/gone/fraud/0.9.0")
    champion.report("1.0.0")
    settle(champion)
    with pytest.raises(Conflict, match="cannot be loaded any more"):
        rollbacks.roll_back(FRAUD, "0.9.0", actor="ann", reason="")
    assert rollbacks.page(None, limit=5, after=None) == []


def test_propose_writes_the_plan_and_does_nothing(champion: World, rollbacks: Rollbacks) -> None:
    promote(champion, "1.1.0")
    written = rollbacks.propose(FRAUD)
    assert written.target == "1.0.0"
    assert written.within_seconds == 300.0
    assert any("1.0.0 all traffic" in action for action in written.actions)
    assert rollbacks.page(FRAUD, limit=5, after=None) == []


def test_propose_names_the_rollback_that_is_being_verified(
    champion: World, rollbacks: Rollbacks
) -> None:
    promote(champion, "1.1.0")
    champion.report("1.0.0", "1.1.0")
    settle(champion)
    done = rollbacks.roll_back(FRAUD, None, actor="ann", reason="bad")
    assert done.state in (State.ROUTED, State.VERIFYING)
    with pytest.raises(Conflict, match=r"1\.0\.0 has all traffic already") as refusal:
        rollbacks.propose(FRAUD)
    assert f"Rollback {done.id} has brought it back" in refusal.value.remedy


def test_decline_ends_what_is_being_loaded(champion: World, rollbacks: Rollbacks) -> None:
    champion.register("0.9.0", uri="s3://models/fraud/0.9.0")
    champion.report("1.0.0")
    settle(champion)
    done = rollbacks.roll_back(FRAUD, "0.9.0", actor="ann", reason="")
    with pytest.raises(Conflict, match=f"on its way back to 0.9.0 .*{done.id}"):
        begin(champion)
    for _ in range(2):
        assert rollbacks.decline(done.id, actor="bob", reason="no").state is State.FAILED
    assert champion.delivery.routing().routes[FRAUD].warm == ()


def test_default_reaches_the_route_and_goes_again(champion: World, rollbacks: Rollbacks) -> None:
    made = rollbacks.set_default(FRAUD, 0, actor="ann", reason="the feed is broken")
    assert rollbacks.defaults() == [made]
    assert champion.delivery.routing().routes[FRAUD].default == 0
    for _ in range(2):
        rollbacks.clear_default(FRAUD, actor="ann", reason="")
    assert champion.delivery.routing().routes[FRAUD].default is None
    with pytest.raises(InvalidInput, match="never answers 7"):
        rollbacks.set_default(FRAUD, 7, actor="ann", reason="")
    with pytest.raises(NotFound):
        rollbacks.set_default("risk", 7, actor="ann", reason="")
