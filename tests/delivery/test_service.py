"""What a person can ask of delivery, on both databases."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import event
from tests.delivery.conftest import World

from serinus import clock
from serinus.delivery.forecast.types import Traffic
from serinus.delivery.reconcile import Decision
from serinus.delivery.rollback.service import Rollbacks
from serinus.delivery.types import DeploymentSpec, Outcome, Phase
from serinus.errors import Conflict, InvalidInput, NotFound
from serinus.registry.types import GateResult, Stage
from serinus.wire import Field, Manifest, RoutingTable


def spec(version: str = "1.1.0", **fields: object) -> DeploymentSpec:
    return DeploymentSpec(model="fraud", challenger=version, **fields)  # type: ignore[arg-type]


def published(world: World) -> RoutingTable:
    return msgspec.json.decode(Path(world.table).read_bytes(), type=RoutingTable)


@pytest.fixture
def champion(world: World) -> World:
    """An installation with 1.0.0 in production and 1.1.0 registered."""
    world.register("1.0.0", stage=Stage.PRODUCTION)
    world.register("1.1.0")
    return world


def test_create_first_version_is_routed_at_once(world: World) -> None:
    world.register("1.0.0")
    deployment = world.delivery.create(spec("1.0.0"), actor="ann")
    assert deployment.champion is None
    route = published(world).routes["fraud"]
    assert (route.champion.version, route.challenger) == ("1.0.0", None)


def test_create_loads_the_challenger_without_a_share(champion: World) -> None:
    deployment = champion.delivery.create(spec(), actor="ann")
    route = published(champion).routes["fraud"]
    assert route.challenger is not None
    assert (route.champion.version, route.challenger.version) == ("1.0.0", "1.1.0")
    assert (route.share, route.mirror, route.deployment) == (0.0, 0.0, deployment.id)
    assert champion.registry.get("fraud", "1.1.0").stage is Stage.STAGING


def test_create_is_refused_while_another_is_live(champion: World) -> None:
    champion.register("1.2.0")
    champion.delivery.create(spec(), actor="ann")
    before = published(champion)
    with pytest.raises(Conflict, match="another deployment of fraud is live"):
        champion.delivery.create(spec("1.2.0"), actor="bob")
    assert published(champion) == before
    assert champion.registry.get("fraud", "1.2.0").stage is Stage.NONE


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (spec("9.9.9"), NotFound),
        (spec("1.0.0"), Conflict),
        (spec(champion="1.1.0"), Conflict),
        (spec(shares=(0.5, 0.1)), InvalidInput),
        (DeploymentSpec(model="nobody", challenger="1.0.0"), NotFound),
    ],
)
def test_create_refuses_what_cannot_be_carried_out(
    champion: World, request_: DeploymentSpec, error: type[Exception]
) -> None:
    with pytest.raises(error):
        champion.delivery.create(request_, actor="ann")
    assert champion.delivery.list(None, limit=10, after=None) == []


def test_create_refuses_a_version_that_failed_its_gates(champion: World) -> None:
    champion.register("1.2.0", gates=(GateResult("threshold accuracy", False, "0.4 < 0.7"),))
    with pytest.raises(InvalidInput) as caught:
        champion.delivery.create(spec("1.2.0"), actor="ann")
    assert caught.value.faults == ("threshold accuracy: 0.4 < 0.7",)


def test_create_refuses_other_inputs_than_the_champions(champion: World) -> None:
    manifest = Manifest("fraud", "classification", (Field("x", "double"),), "is_fraud", (0, 1))
    champion.register("2.0.0", manifest=manifest)
    with pytest.raises(InvalidInput, match="other inputs"):
        champion.delivery.create(spec("2.0.0"), actor="ann")


def test_create_takes_the_same_inputs_trained_on_other_values(champion: World) -> None:
    inputs = (Field("amount", "double", low=-5.0, high=90.0), Field("age", "double", high=99.0))
    manifest = Manifest("fraud", "classification", inputs, "is_fraud", (0, 1))
    champion.register("2.0.0", manifest=manifest)
    assert champion.delivery.create(spec("2.0.0"), actor="ann").challenger == "2.0.0"


def test_promote_by_hand_gives_all_traffic_and_keeps_the_champion_warm(champion: World) -> None:
    deployment = champion.delivery.create(spec(), actor="ann")
    champion.report("1.0.0", "1.1.0")
    champion.controller.run_once()
    moved = champion.delivery.promote(deployment.id, actor="ann", reason="it is urgent")
    assert moved.phase is Phase.SOAKING
    route = published(champion).routes["fraud"]
    assert route.challenger is not None
    assert (route.champion.version, route.challenger.version) == ("1.1.0", "1.0.0")
    assert champion.registry.get("fraud", "1.0.0").stage is Stage.ARCHIVED


def test_abort_gives_everything_back_in_every_live_phase(champion: World) -> None:
    for pass_on in range(4):
        deployment = champion.delivery.create(spec(), actor="ann")
        if pass_on > 0:
            champion.report("1.0.0", "1.1.0")
            champion.controller.run_once()
        if pass_on > 1:
            champion.delivery.pause(deployment.id, actor="ann", reason="")
        if pass_on > 2:
            champion.delivery.promote(deployment.id, actor="ann", reason="")
        ended = champion.delivery.abort(deployment.id, actor="ann", reason="no")
        assert ended.phase is Phase.ABORTED
        again = champion.delivery.abort(deployment.id, actor="ann", reason="no")
        assert again == champion.delivery.get(deployment.id)
        route = published(champion).routes["fraud"]
        assert (route.champion.version, route.share) == ("1.0.0", 0.0)
        champion_now = champion.registry.champion("fraud")
        assert champion_now is not None
        assert champion_now.version == "1.0.0"


def test_pause_and_resume_keep_the_share_and_are_idempotent(champion: World) -> None:
    deployment = champion.delivery.create(spec(), actor="ann")
    champion.report("1.0.0", "1.1.0")
    champion.controller.run_once()
    for _ in range(2):
        paused = champion.delivery.pause(deployment.id, actor="ann", reason="lunch")
        assert paused.phase is Phase.PAUSED
    assert published(champion).routes["fraud"].mirror == 1.0
    for _ in range(2):
        resumed = champion.delivery.resume(deployment.id, actor="ann", reason="")
        assert (resumed.phase, resumed.step) == (Phase.RUNNING, 0)


def test_commands_on_an_ended_deployment_are_refused_with_the_reason(champion: World) -> None:
    deployment = champion.delivery.create(spec(), actor="ann")
    champion.delivery.abort(deployment.id, actor="ann", reason="no")
    for command in (champion.delivery.pause, champion.delivery.promote):
        with pytest.raises(Conflict, match="aborted cannot become"):
            command(deployment.id, actor="bob", reason="")


def test_rollback_of_a_live_deployment_returns_to_its_champion(champion: World) -> None:
    deployment = champion.delivery.create(spec(), actor="ann")
    done = Rollbacks(champion.delivery).roll_back("fraud", None, actor="ann", reason="smells")
    assert (done.taken_back, done.to) == ("1.1.0", "1.0.0")
    assert champion.delivery.get(deployment.id).phase is Phase.ROLLED_BACK
    assert champion.registry.get("fraud", "1.1.0").stage is Stage.ARCHIVED
    assert published(champion).revision == done.revision


def test_rollback_without_a_deployment_returns_to_the_former_champion(champion: World) -> None:
    for stage in (Stage.STAGING, Stage.PRODUCTION):
        champion.registry.transition(None, "fraud", "1.1.0", stage, actor="ann", reason="")
    done = Rollbacks(champion.delivery).roll_back("fraud", None, actor="ann", reason="smells")
    assert (done.taken_back, done.to) == ("1.1.0", "1.0.0")
    assert published(champion).routes["fraud"].champion.version == "1.0.0"


def test_rollback_to_a_named_version_works_even_if_it_was_never_staged(champion: World) -> None:
    champion.register("0.9.0")
    done = Rollbacks(champion.delivery).roll_back("fraud", "0.9.0", actor="ann", reason="smells")
    assert done.to == "0.9.0"
    assert published(champion).routes["fraud"].champion.version == "0.9.0"


def test_rollback_with_nothing_to_go_back_to_is_refused(world: World) -> None:
    world.register("1.0.0")
    with pytest.raises(Conflict, match="no version of fraud is in production"):
        Rollbacks(world.delivery).roll_back("fraud", None, actor="ann", reason="")
    for stage in (Stage.STAGING, Stage.PRODUCTION):
        world.registry.transition(None, "fraud", "1.0.0", stage, actor="ann", reason="")
    with pytest.raises(NotFound, match="no version of fraud served before"):
        Rollbacks(world.delivery).roll_back("fraud", None, actor="ann", reason="")


def test_history_tells_who_did_what_and_why(champion: World) -> None:
    deployment = champion.delivery.create(spec(), actor="ann")
    champion.delivery.abort(deployment.id, actor="bob", reason="changed my mind")
    first, last = champion.delivery.history(deployment.id)
    assert (first.actor, first.to_phase) == ("ann", Phase.PENDING)
    assert (last.actor, last.reason) == ("bob", "changed my mind")
    assert last.verdict is Outcome.NO_DATA


def test_list_pages_through_all_deployments(champion: World) -> None:
    made = []
    for _ in range(5):
        deployment = champion.delivery.create(spec(), actor="ann")
        champion.delivery.abort(deployment.id, actor="ann", reason="")
        made.append(deployment.id)
    first = champion.delivery.list("fraud", limit=3, after=None)
    rest = champion.delivery.list("fraud", limit=3, after=first[-1].id)
    assert [item.id for item in first + rest] == made[::-1]


def test_pause_and_resume_never_stand_in_for_evidence(champion: World) -> None:
    """A passed gate leaves the verdict promote on the next step; a pause is no approval."""
    deployment = champion.delivery.create(spec(shares=(0.5,)), actor="ann")
    champion.report("1.0.0", "1.1.0")
    champion.controller.run_once()
    with champion.engine.begin() as connection:
        now = champion.delivery.get(deployment.id)
        passed = Decision(Phase.RUNNING, 1, Outcome.PROMOTE, "the shadow's gate passed")
        champion.delivery.apply(connection, now, passed, actor="controller", at=clock.now())
    champion.delivery.pause(deployment.id, actor="ann", reason="lunch")
    resumed = champion.delivery.resume(deployment.id, actor="ann", reason="")
    assert (resumed.phase, resumed.step) == (Phase.RUNNING, 1)


def test_approve_lets_a_passed_gate_through_and_resume_does_not(champion: World) -> None:
    deployment = champion.delivery.create(spec(approvals=True), actor="ann")
    champion.report("1.0.0", "1.1.0")
    champion.controller.run_once()
    with champion.engine.begin() as connection:
        now = champion.delivery.get(deployment.id)
        waits = Decision(Phase.PAUSED, 0, Outcome.PROMOTE, "waits for approval")
        champion.delivery.apply(connection, now, waits, actor="controller", at=clock.now())
    with pytest.raises(Conflict, match="waits for an approval"):
        champion.delivery.resume(deployment.id, actor="bob", reason="")
    for _ in range(2):
        approved = champion.delivery.approve(deployment.id, actor="bob", reason="looks good")
        assert (approved.phase, approved.step) == (Phase.RUNNING, 1)
    assert champion.delivery.history(deployment.id)[-1].reason == "looks good"
    champion.delivery.pause(deployment.id, actor="ann", reason="lunch")
    with pytest.raises(Conflict, match="no gate waits for an approval"):
        champion.delivery.approve(deployment.id, actor="bob", reason="")


def test_retry_takes_up_what_ended_with_its_step_and_its_salt(champion: World) -> None:
    deployment = champion.delivery.create(spec(), actor="ann")
    salt = published(champion).routes["fraud"].salt
    champion.delivery.abort(deployment.id, actor="ann", reason="not now")
    for _ in range(2):
        retried = champion.delivery.retry(deployment.id, actor="bob", reason="now")
        assert (retried.phase, retried.ended_at) == (Phase.PENDING, None)
    route = published(champion).routes["fraud"]
    assert (route.deployment, route.salt, route.share) == (deployment.id, salt, 0.0)
    moves = [(move.from_phase, move.to_phase) for move in champion.delivery.history(deployment.id)]
    assert moves == [
        (Phase.PENDING, Phase.PENDING),
        (Phase.PENDING, Phase.ABORTED),
        (Phase.ABORTED, Phase.PENDING),
    ]


def test_retry_is_refused_where_it_could_lead_nowhere(champion: World) -> None:
    first = champion.delivery.create(spec(), actor="ann")
    champion.delivery.abort(first.id, actor="ann", reason="")
    second = champion.delivery.create(spec(), actor="ann")
    champion.delivery.abort(second.id, actor="ann", reason="")
    with pytest.raises(Conflict, match="a newer deployment"):
        champion.delivery.retry(first.id, actor="ann", reason="")
    champion.register("1.2.0", stage=Stage.PRODUCTION)
    with pytest.raises(Conflict, match=r"its champion was 1\.0\.0, and now it is 1\.2\.0"):
        champion.delivery.retry(second.id, actor="ann", reason="")


def test_retry_of_what_lives_reads_neither_its_evidence_nor_its_champion(
    champion: World,
) -> None:
    deployment = champion.delivery.create(spec(), actor="ann")
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    event.listen(champion.engine, "before_cursor_execute", note)
    with pytest.raises(Conflict, match="never ended"):
        champion.delivery.retry(deployment.id, actor="ann", reason="")
    event.remove(champion.engine, "before_cursor_execute", note)
    assert any("FROM deployment_history" in statement for statement in asked)
    assert not any(
        f"FROM {table}" in statement
        for statement in asked
        for table in ("evidence", "model_versions", "experiments")
    )


def test_place_leaves_to_a_live_deployment_what_serves(champion: World) -> None:
    deployment = champion.delivery.create(spec(), actor="ann")
    champion.register("1.2.0")
    with pytest.raises(Conflict, match=f"{deployment.id} decides on what serves fraud"):
        champion.delivery.place("fraud", "1.2.0", Stage.PRODUCTION, actor="ann", reason="")
    champion.delivery.abort(deployment.id, actor="ann", reason="")
    placed = champion.delivery.place("fraud", "1.2.0", Stage.PRODUCTION, actor="ann", reason="")
    assert placed.stage is Stage.PRODUCTION
    assert published(champion).routes["fraud"].champion.version == "1.2.0"


def test_commands_wake_the_controller(champion: World) -> None:
    woken: list[int] = []
    delivery = replace(champion.delivery, wake=lambda: woken.append(1))
    deployment = delivery.create(spec(), actor="ann")
    delivery.abort(deployment.id, actor="ann", reason="")
    delivery.abort(deployment.id, actor="ann", reason="")
    assert len(woken) == 2


def test_rollback_twice_does_not_bring_the_bad_version_back(champion: World) -> None:
    for stage in (Stage.STAGING, Stage.PRODUCTION):
        champion.registry.transition(None, "fraud", "1.1.0", stage, actor="ann", reason="")
    done = Rollbacks(champion.delivery).roll_back("fraud", None, actor="ann", reason="bad")
    assert done.to == "1.0.0"
    again = Rollbacks(champion.delivery).roll_back(
        "fraud", None, actor="bob", reason="double click"
    )
    assert again == done
    assert published(champion).routes["fraud"].champion.version == "1.0.0"


def test_rollback_to_the_challenger_itself_is_refused(champion: World) -> None:
    champion.delivery.create(spec(), actor="ann")
    with pytest.raises(Conflict, match="would be taken back"):
        Rollbacks(champion.delivery).roll_back("fraud", "1.1.0", actor="ann", reason="typo")


def test_promote_is_refused_until_the_challenger_is_loaded(champion: World) -> None:
    deployment = champion.delivery.create(spec(), actor="ann")
    for command in (champion.delivery.promote, champion.delivery.resume):
        with pytest.raises(Conflict, match="that is pending cannot become") as refusal:
            command(deployment.id, actor="ann", reason="")
        assert "loading" in (refusal.value.remedy or "")
    assert champion.delivery.get(deployment.id).phase is Phase.PENDING


def test_reason_with_a_nul_is_kept_without_it(champion: World) -> None:
    deployment = champion.delivery.create(spec(), actor="ann")
    champion.delivery.abort(deployment.id, actor="ann", reason="torn \0here")
    assert champion.delivery.get(deployment.id).reason == "torn here"


def test_create_refuses_what_could_not_decide_and_says_what_could(champion: World) -> None:
    slow = Traffic(requests=480, seconds=86_400.0, error_rate=0.01)
    planner = replace(champion.delivery.planner, observe=lambda model, version: slow)
    delivery = replace(champion.delivery, planner=planner)
    with pytest.raises(InvalidInput, match="could not decide") as caught:
        delivery.create(spec(), actor="ann")
    assert "at 20 an hour" in caught.value.faults[0]
    assert "max_hours=" in caught.value.remedy
    assert delivery.list(None, limit=10, after=None) == []
    assert champion.registry.get("fraud", "1.1.0").stage is Stage.NONE
    assert delivery.propose(spec()).faults == caught.value.faults


def test_create_tells_how_long_it_will_take(champion: World) -> None:
    quick = Traffic(requests=500_000, seconds=86_400.0, error_rate=0.01)
    planner = replace(champion.delivery.planner, observe=lambda model, version: quick)
    delivery = replace(champion.delivery, planner=planner)
    assert "will need about" in delivery.create(spec(), actor="ann").reason


def test_propose_begins_nothing(champion: World) -> None:
    before = champion.delivery.routing()
    proposal = champion.delivery.propose(spec())
    assert len(proposal.plan.steps) == 4
    assert proposal.forecast.harms
    assert champion.delivery.list(None, limit=10, after=None) == []
    assert champion.delivery.routing() == before


def test_retry_of_what_was_promoted_by_hand_begins_where_its_evidence_ended(
    champion: World,
) -> None:
    """Whom a person gave all traffic past every gate has not earned half of it afterwards."""
    deployment = champion.delivery.create(spec(), actor="ann")
    champion.report("1.0.0", "1.1.0")
    champion.controller.run_once()
    champion.delivery.promote(deployment.id, actor="ann", reason="it is urgent")
    back = Rollbacks(champion.delivery).roll_back("fraud", None, actor="ann", reason="too soon")
    assert champion.delivery.get(deployment.id).phase is Phase.ROLLED_BACK
    again = champion.delivery.retry(deployment.id, actor="ann", reason="as it should be")
    assert (again.phase, again.step) == (Phase.PENDING, 0)
    assert back.to == "1.0.0"
