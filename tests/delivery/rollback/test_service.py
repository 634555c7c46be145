"""Rollbacks over a real store and ledger: asked for, carried out, seen through."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.delivery.conftest import World
from tests.delivery.samples import answered

from serinus import clock
from serinus.delivery.rollback.progress import Progress
from serinus.delivery.rollback.service import Rollbacks
from serinus.delivery.rollback.types import State
from serinus.delivery.types import DeploymentSpec, Phase
from serinus.errors import Conflict, InvalidInput, NotFound
from serinus.registry.types import GateResult, Stage
from serinus.wire import Arm, Assignment, Event, Failure, Output

FRAUD = "fraud"


@pytest.fixture
def rollbacks(champion: World) -> Rollbacks:
    """With workers that are believed for an hour: time is moved on below."""
    return Rollbacks(replace(champion.delivery, worker_seconds=3_600.0))


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


def later(champion: World, seconds: float) -> None:
    """The controller's look at a later time."""
    sure = replace(champion.delivery, worker_seconds=3_600.0)
    Progress(sure).step(clock.now() + timedelta(seconds=seconds))


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


def test_roll_back_to_the_present_champion_changes_nothing(
    champion: World, rollbacks: Rollbacks
) -> None:
    champion.delivery.publish()
    before = champion.delivery.routing().revision
    done = rollbacks.roll_back(FRAUD, "1.0.0", actor="ann", reason="")
    assert done.state is State.VERIFIED
    assert champion.delivery.routing().revision == before
    assert "nothing was changed" in done.steps[-1].reason


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


def test_roll_back_warms_a_target_that_is_not_loaded_and_then_switches(
    champion: World, rollbacks: Rollbacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion.register("0.9.0", uri="s3://models/fraud/0.9.0")
    deployment = begin(champion)
    champion.report("1.0.0", "1.1.0")
    settle(champion)
    done = rollbacks.roll_back(FRAUD, "0.9.0", actor="ann", reason="older is better")
    assert done.state is State.WARMING
    route = champion.delivery.routing().routes[FRAUD]
    assert (route.champion.version, route.challenger, route.share) == ("1.0.0", None, 0.0)
    assert [target.version for target in route.warm] == ["0.9.0"]
    assert champion.delivery.get(deployment).phase is Phase.ROLLED_BACK
    champion.report("1.0.0", "0.9.0")
    settle(champion)
    route = champion.delivery.routing().routes[FRAUD]
    assert (route.champion.version, route.warm) == ("0.9.0", ())
    assert rollbacks.get(done.id).state is State.ROUTED
    champion.report("0.9.0")
    settle(champion)
    assert rollbacks.get(done.id).state is State.VERIFYING


def test_roll_back_that_does_not_load_fails_and_changes_nothing(
    champion: World, rollbacks: Rollbacks
) -> None:
    champion.register("0.9.0", uri="s3://models/fraud/0.9.0")
    champion.report("1.0.0")
    settle(champion)
    done = rollbacks.roll_back(FRAUD, "0.9.0", actor="ann", reason="")
    champion.report("1.0.0", **{"fraud@0.9.0": "its file is torn"})
    settle(champion)
    failed = rollbacks.get(done.id)
    assert failed.state is State.FAILED
    assert "its file is torn Nothing was changed." in failed.steps[-1].reason
    route = champion.delivery.routing().routes[FRAUD]
    assert (route.champion.version, route.warm) == ("1.0.0", ())


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


def test_decline_ends_what_is_being_loaded(champion: World, rollbacks: Rollbacks) -> None:
    champion.register("0.9.0", uri="s3://models/fraud/0.9.0")
    champion.report("1.0.0")
    settle(champion)
    done = rollbacks.roll_back(FRAUD, "0.9.0", actor="ann", reason="")
    for _ in range(2):
        assert rollbacks.decline(done.id, actor="bob", reason="no").state is State.FAILED
    assert champion.delivery.routing().routes[FRAUD].warm == ()


@pytest.mark.parametrize("cause", ["model", "upstream"])
def test_step_finds_out_whether_it_has_helped(
    champion: World, rollbacks: Rollbacks, cause: str
) -> None:
    """1.1.0 failed a third of its requests; 1.0.0 is as it was, or fails as many."""
    now = clock.now().timestamp()
    champion.write(requests("1.0.0", now - 5_000, 60))
    promote(champion, "1.1.0")
    champion.write(requests("1.1.0", now - 300, 30, failing=0.33))
    champion.report("1.0.0", "1.1.0")
    settle(champion)
    done = rollbacks.roll_back(FRAUD, None, actor="ann", reason="it errs", cause="errors")
    champion.report("1.0.0")
    settle(champion)
    assert rollbacks.get(done.id).state is State.VERIFYING
    failing = 0.33 if cause == "upstream" else 0.0
    begins = clock.now().timestamp() + 10
    after = requests("1.0.0", begins, 60, revision=done.revision, failing=failing)
    champion.write(after)
    settle(champion)
    later(champion, 80)
    ended = rollbacks.get(done.id)
    right = State.VERIFIED if cause == "model" else State.NOT_THE_MODEL
    assert ended.state is right
    assert (ended.seen.astray, ended.seen.last_other_at) == (0, 0)
    assert ended.findings


def test_step_says_not_the_model_in_the_deployments_reason(
    champion: World, rollbacks: Rollbacks
) -> None:
    now = clock.now().timestamp()
    champion.write(requests("1.0.0", now - 900, 60))
    champion.report("1.0.0", "1.1.0")
    settle(champion)
    deployment = begin(champion)
    done = rollbacks.roll_back(FRAUD, None, actor="ann", reason="it errs")
    champion.report("1.0.0")
    settle(champion)
    begins = clock.now().timestamp() + 10
    champion.write(requests("1.0.0", begins, 60, revision=done.revision, failing=0.3))
    settle(champion)
    later(champion, 80)
    assert rollbacks.get(done.id).state is State.NOT_THE_MODEL
    assert champion.delivery.get(deployment).reason.startswith("Not the model: ")


def test_step_without_traffic_ends_unverified(champion: World, rollbacks: Rollbacks) -> None:
    promote(champion, "1.1.0")
    champion.report("1.0.0", "1.1.0")
    settle(champion)
    done = rollbacks.roll_back(FRAUD, None, actor="ann", reason="")
    champion.report("1.0.0")
    settle(champion)
    later(champion, 301)
    ended = rollbacks.get(done.id)
    assert ended.state is State.UNVERIFIED
    assert "Not decided after 300 s." in ended.steps[-1].reason
    assert not Progress(champion.delivery).step(clock.now())


def test_step_without_workers_ends_unverified(champion: World, rollbacks: Rollbacks) -> None:
    promote(champion, "1.1.0")
    done = rollbacks.roll_back(FRAUD, None, actor="ann", reason="")
    later(champion, 10)
    assert rollbacks.get(done.id).state is State.ROUTED
    later(champion, 301)
    assert rollbacks.get(done.id).state is State.UNVERIFIED


def test_a_deployment_that_is_taken_back_by_proof_leaves_a_record(champion: World) -> None:
    """It cannot be loaded: the controller takes it back by itself."""
    deployment = begin(champion)
    champion.report("1.0.0", **{"fraud@1.1.0": "no such file"})
    settle(champion)
    assert champion.delivery.get(deployment).phase is Phase.ROLLED_BACK
    (made,) = Rollbacks(champion.delivery).page(FRAUD, limit=5, after=None)
    assert (made.deployment, made.cause, made.actor) == (deployment, "load", "controller")
    assert made.revision == champion.delivery.routing().revision
    assert made.sound_until == champion.delivery.get(deployment).created_at


def test_fallback_reaches_the_route_and_goes_again(champion: World, rollbacks: Rollbacks) -> None:
    made = rollbacks.set_fallback(FRAUD, 0, actor="ann", reason="the feed is broken")
    assert rollbacks.fallbacks() == [made]
    assert champion.delivery.routing().routes[FRAUD].default == 0
    for _ in range(2):
        rollbacks.clear_fallback(FRAUD)
    assert champion.delivery.routing().routes[FRAUD].default is None
    with pytest.raises(InvalidInput, match="never answers 7"):
        rollbacks.set_fallback(FRAUD, 7, actor="ann", reason="")
    with pytest.raises(NotFound):
        rollbacks.set_fallback("risk", 7, actor="ann", reason="")
