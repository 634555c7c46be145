"""Rollbacks that the controller sees through, over a real store and ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.delivery.conftest import World
from tests.delivery.rollback.test_service import FRAUD, begin, promote, requests, settle

from serinus import clock
from serinus.delivery.rollback.progress import Progress
from serinus.delivery.rollback.service import Rollbacks
from serinus.delivery.rollback.types import State
from serinus.delivery.types import Phase
from serinus.errors import Conflict
from serinus.registry.types import Stage


def later(champion: World, seconds: float) -> None:
    """The controller's look at a later time."""
    sure = replace(champion.delivery, worker_seconds=3_600.0)
    Progress(sure).step(clock.now() + timedelta(seconds=seconds))


def test_step_switches_to_a_target_when_every_worker_has_it(
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


def test_step_fails_what_does_not_load_and_changes_nothing(
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


def test_step_follows_what_the_controller_took_back_by_itself(champion: World) -> None:
    """It cannot be loaded: the controller takes it back by itself."""
    deployment = begin(champion)
    champion.report("1.0.0", **{"fraud@1.1.0": "no such file"})
    settle(champion)
    assert champion.delivery.get(deployment).phase is Phase.ROLLED_BACK
    (made,) = Rollbacks(champion.delivery).page(FRAUD, limit=5, after=None)
    assert (made.deployment, made.cause, made.actor) == (deployment, "load", "controller")
    assert made.revision == champion.delivery.routing().revision
    assert made.sound_until == champion.delivery.get(deployment).created_at


def warming(champion: World, rollbacks: Rollbacks) -> str:
    """A rollback whose version is being loaded; its deployment was taken back at once."""
    champion.register("0.9.0", uri="s3://models/fraud/0.9.0")
    begin(champion)
    champion.report("1.0.0", "1.1.0")
    settle(champion)
    done = rollbacks.roll_back(FRAUD, "0.9.0", actor="ann", reason="older is better")
    assert done.state is State.WARMING
    return done.id


def test_step_routes_nothing_over_a_version_that_was_placed_meanwhile(
    champion: World, rollbacks: Rollbacks
) -> None:
    champion.register("1.2.0")
    identity = warming(champion, rollbacks)
    champion.delivery.place(FRAUD, "1.2.0", Stage.PRODUCTION, actor="bob", reason="fixed")
    ended = rollbacks.get(identity)
    assert ended.state is State.FAILED
    assert "bob has placed 1.2.0 in Production meanwhile" in ended.steps[-1].reason
    champion.report("1.0.0", "0.9.0", "1.2.0")
    settle(champion)
    assert champion.delivery.routing().routes[FRAUD].champion.version == "1.2.0"


def test_step_routes_nothing_over_a_champion_that_changed_by_itself(
    champion: World, rollbacks: Rollbacks
) -> None:
    """The registry was told directly, which knows of no rollback."""
    champion.register("1.2.0")
    identity = warming(champion, rollbacks)
    promote(champion, "1.2.0")
    champion.report("1.0.0", "0.9.0", "1.2.0")
    settle(champion)
    ended = rollbacks.get(identity)
    assert ended.state is State.FAILED
    assert "The champion was 1.0.0, and now it is 1.2.0." in ended.steps[-1].reason


def test_retry_is_refused_while_a_rollback_is_on_its_way(
    champion: World, rollbacks: Rollbacks
) -> None:
    identity = warming(champion, rollbacks)
    deployment = rollbacks.get(identity).deployment
    assert deployment is not None
    with pytest.raises(Conflict, match=r"on its way back to 0\.9\.0"):
        champion.delivery.retry(deployment, actor="bob", reason="")


def test_step_gives_up_what_another_version_overtook_and_keeps_its_own_findings(
    champion: World, rollbacks: Rollbacks
) -> None:
    """Answers of a version placed by hand are no finding of the rollback before."""
    promote(champion, "1.1.0")
    champion.report("1.0.0", "1.1.0")
    settle(champion)
    done = rollbacks.roll_back(FRAUD, None, actor="ann", reason="it errs")
    champion.report("1.0.0", "1.1.0")
    settle(champion)
    known = rollbacks.get(done.id)
    assert known.state is State.VERIFYING
    promote(champion, "1.1.0")
    revision = champion.delivery.tables.publish().revision
    begins = clock.now().timestamp() + 10
    champion.write(requests("1.1.0", begins, 30, revision=revision, failing=0.5))
    settle(champion)
    later(champion, 60)
    ended = rollbacks.get(done.id)
    assert ended.state is State.UNVERIFIED
    assert "1.1.0 has all traffic meanwhile" in ended.steps[-1].reason
    assert ended.findings == known.findings
