"""Whole deployments, pass by pass, on both databases: promoted, rolled back, restarted."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError
from tests.delivery import samples
from tests.delivery.conftest import World

from serinus import clock
from serinus.delivery.controller import Controller
from serinus.delivery.experiments.service import Experiments
from serinus.delivery.folding.consumer import Consumer
from serinus.delivery.folding.replay import Replays
from serinus.delivery.leases import Deposed, Lease
from serinus.delivery.reconcile import Decision
from serinus.delivery.records import deployments, looks
from serinus.delivery.types import Deployment, DeploymentSpec, Outcome, Phase
from serinus.delivery.verdicts.evidence import Measure
from serinus.errors import Conflict, Unavailable
from serinus.ledger.files.reader import Reader
from serinus.registry.types import Stage
from serinus.store import schema
from serinus.store.engine import migrate, open_engine, reading
from serinus.wire import Arm, Assignment, Event, Label, Output, Prediction, Shadow


class Traffic:
    """Requests as a gateway under the present routing table would write them."""

    def __init__(self, world: World, seed: int = 5) -> None:
        self.world = world
        self.rng = np.random.default_rng(seed)

    def send(
        self, requests: int, *, failing: float = 0.0, wrong: float = 0.05, labelled: bool = True
    ) -> None:
        """Let requests flow; the challenger fails and errs at these rates, the champion at 5 %."""
        route = self.world.delivery.routing().routes["fraud"]
        revision = self.world.delivery.routing().revision
        predictions: list[Prediction] = []
        outputs: list[tuple[int, int]] = []
        for draw, fails, errs, champion_errs in self.rng.random((requests, 4)):
            arm = Arm.CHALLENGER if draw < route.share else Arm.CHAMPION
            assignment = Assignment(
                "fraud", arm, route.share, revision, route.deployment, route.step
            )
            champion = int(champion_errs < 0.05)
            challenger = int(errs < wrong)
            fallback = "ValueError" if arm is Arm.CHALLENGER and fails < failing else ""
            answer = challenger if arm is Arm.CHALLENGER and not fallback else champion
            now = clock.epoch_us()
            predictions.append(
                Prediction(now, assignment, "x", (1.0, 2.0), Output(answer), 900, fallback)
            )
            outputs.append((champion, challenger))
        ids = self.world.write(predictions)
        follow: list[Event] = []
        for identity, prediction, (champion, challenger) in zip(
            ids, predictions, outputs, strict=True
        ):
            now = clock.epoch_us()
            if route.mirror:
                follow.append(
                    Shadow(
                        now,
                        identity,
                        prediction.assignment,
                        "1.1.0",
                        Output(champion),
                        Output(challenger),
                        900,
                    )
                )
            if labelled:
                follow.append(
                    Label(
                        now,
                        identity,
                        0,
                        prediction.at,
                        prediction.assignment,
                        prediction.version,
                        prediction.output,
                    )
                )
        self.world.write(follow)


@pytest.fixture
def deployed(world: World) -> World:
    world.register("1.0.0", stage=Stage.PRODUCTION)
    world.register("1.1.0")
    return world


def start(world: World, **fields: object) -> Deployment:
    asked = DeploymentSpec(
        model="fraud",
        challenger="1.1.0",
        soak_seconds=0.0,
        **fields,  # type: ignore[arg-type]
    )
    deployment = world.delivery.create(asked, actor="test")
    world.report("1.0.0", "1.1.0")
    world.controller.run_once()
    return world.delivery.get(deployment.id)


def drive(world: World, deployment: Deployment, traffic: Traffic, **rates: float) -> Deployment:
    """Let traffic flow until the deployment has ended."""
    for _ in range(200):
        traffic.send(200, **rates)  # type: ignore[arg-type]
        world.controller.run_once()
        deployment = world.delivery.get(deployment.id)
        if not deployment.live:
            break
    return deployment


def test_controller_brings_an_equal_challenger_through_the_canary(deployed: World) -> None:
    deployment = start(deployed)
    assert (deployment.phase, deployment.step) == (Phase.RUNNING, 0)
    ended = drive(deployed, deployment, Traffic(deployed), wrong=0.02)
    assert ended.phase is Phase.SUCCEEDED
    steps = [
        item.step
        for item in deployed.delivery.history(deployment.id)
        if item.to_phase is Phase.RUNNING
    ]
    assert steps == [0, 1, 2, 3]
    champion = deployed.registry.champion("fraud")
    assert champion is not None
    assert champion.version == "1.1.0"
    counts = deployed.delivery.status(deployment.id).counts
    assert counts.requests["challenger"] >= 200


def test_controller_rolls_back_in_shadow_before_anybody_is_served(deployed: World) -> None:
    deployment = start(deployed)
    ended = drive(deployed, deployment, Traffic(deployed), wrong=0.5)
    assert ended.phase is Phase.ROLLED_BACK
    assert ended.verdict is Outcome.ROLLBACK
    assert deployed.delivery.status(deployment.id).counts.requests["challenger"] == 0
    assert deployed.delivery.routing().routes["fraud"].challenger is None


def test_controller_rolls_back_a_challenger_that_raises_live(deployed: World) -> None:
    deployment = start(deployed, shadow=False)
    ended = drive(deployed, deployment, Traffic(deployed), failing=0.5)
    assert ended.phase is Phase.ROLLED_BACK
    assert ended.reason.startswith("Errors:")
    assert deployed.registry.get("fraud", "1.1.0").stage is Stage.ARCHIVED


def test_controller_never_moves_without_data(deployed: World) -> None:
    deployment = start(deployed)
    for _ in range(5):
        deployed.controller.run_once()
    stays = deployed.delivery.get(deployment.id)
    assert (stays.phase, stays.step) == (Phase.RUNNING, 0)


def test_controller_does_not_promote_while_labels_are_missing(deployed: World) -> None:
    deployment = start(deployed)
    traffic = Traffic(deployed)
    for _ in range(10):
        traffic.send(300, labelled=False)
        deployed.controller.run_once()
    stays = deployed.delivery.get(deployment.id)
    assert (stays.phase, stays.step) == (Phase.RUNNING, 0)


def test_controller_folds_labels_in_request_order(deployed: World) -> None:
    deployment = start(deployed)
    traffic = Traffic(deployed)
    traffic.send(1, labelled=False)
    traffic.send(500)
    deployed.controller.run_once()
    # The first request has no label yet and may still get one, so none behind it counts.
    counts = deployed.delivery.status(deployment.id).counts
    assert (counts.labelled["shadow"], counts.delayed) == (0, 500)
    left = counts.delayed_until - clock.now()
    assert 0 <= deployment.plan.label_window_seconds - left.total_seconds() < 60


def test_controller_gives_up_labels_that_are_overdue(deployed: World) -> None:
    deployment = start(deployed, label_window_seconds=0.001)
    traffic = Traffic(deployed)
    traffic.send(50, labelled=False)
    traffic.send(50)
    clock.sleep(0.01)
    deployed.controller.run_once()
    verdict = deployed.delivery.latest_verdict(deployment.id)
    assert verdict is not None
    assert "50.0% of the shadow's matured requests have a label" in verdict.reason


def test_controller_ends_with_the_same_evidence_after_any_restart(deployed: World) -> None:
    """The same ledger, folded by one controller or by a new one at each pass."""
    deployment = start(deployed)
    traffic = Traffic(deployed)
    for _ in range(3):
        traffic.send(150)
        deployed.restart()
        deployed.controller.run_once()
        deployed.controller.run_once()
    evidence = deployed.delivery.evidence(deployment.id)
    assert evidence.total(Measure.PAIR_ERROR) == 450
    assert deployed.delivery.status(deployment.id).counts.labelled["shadow"] == 450


def test_controller_counts_entities_once_across_batches(deployed: World) -> None:
    deployment = start(deployed, shadow=False, unit="entity")
    route = deployed.delivery.routing().routes["fraud"]
    for _ in range(3):
        deployed.write(
            [
                Prediction(
                    clock.epoch_us(),
                    Assignment("fraud", Arm.CHAMPION, route.share, 1, deployment.id, 0, unit),
                    "1.0.0",
                    (1.0, 2.0),
                    Output(0),
                    900,
                )
                for unit in (11, 12, 13)
            ]
        )
        deployed.controller.run_once()
    assert deployed.delivery.status(deployment.id).counts.requests["champion"] == 3


def test_blue_green_switches_in_one_revision_after_the_shadow(deployed: World) -> None:
    deployment = start(deployed, strategy="blue_green")
    ended = drive(deployed, deployment, Traffic(deployed), wrong=0.02)
    assert ended.phase is Phase.SUCCEEDED
    assert deployed.delivery.status(deployment.id).counts.requests["challenger"] == 0


def test_controller_that_was_down_still_uses_the_labels_it_finds(deployed: World) -> None:
    """Requests fill the first batches after a pause; their labels lie behind them."""
    deployment = start(deployed, label_window_seconds=0.5)
    traffic = Traffic(deployed)
    for _ in range(7):
        traffic.send(1_000)
    clock.sleep(0.6)
    deployed.restart()
    for _ in range(4):
        deployed.controller.run_once()
    evidence = deployed.delivery.evidence(deployment.id)
    assert evidence.coverage(Arm.SHADOW) == 1.0


def test_controller_publishes_a_decision_that_was_stored_just_before_a_kill(
    deployed: World,
) -> None:
    deployment = start(deployed, shadow=False)
    with deployed.engine.begin() as connection:
        decision = Decision(Phase.ROLLED_BACK, 0, Outcome.ROLLBACK, "harm")
        deployed.delivery.apply(connection, deployment, decision, actor="x", at=clock.now())
    assert b"1.1.0" in deployed.table.read_bytes()
    deployed.restart()
    deployed.controller.run_once()
    assert b"1.1.0" not in deployed.table.read_bytes()


def led(world: World, holder: str) -> Controller:
    consumer = Consumer(world.engine, Reader(world.ledger))
    return Controller(world.delivery, consumer, Lease(world.engine, 0.3, holder=holder))


def pass_lease() -> None:
    """As long as a lease and a look at it take."""
    clock.sleep(0.35)


def test_follower_moves_nothing_and_carries_the_newest_table(deployed: World) -> None:
    one, other = led(deployed, "elsewhere 1"), led(deployed, "elsewhere 2")
    one.run_once()
    deployment = deployed.delivery.create(
        DeploymentSpec(model="fraud", challenger="1.1.0"), actor="test"
    )
    deployed.report("1.0.0", "1.1.0")
    deployed.table.unlink()
    assert other.run_once() is False
    assert deployed.delivery.get(deployment.id).phase is Phase.PENDING
    assert msgspec.json.decode(deployed.table.read_bytes())["revision"] == 2
    one.run_once()
    assert deployed.delivery.get(deployment.id).phase is Phase.RUNNING


def test_controller_that_slept_is_deposed_and_repeats_nothing(
    deployed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops between its look and its write, and wakes when another has done the work."""
    one, other = led(deployed, "elsewhere 1"), led(deployed, "elsewhere 2")
    one.run_once()
    deployment = deployed.delivery.create(
        DeploymentSpec(model="fraud", challenger="1.1.0"), actor="test"
    )
    deployed.report("1.0.0", "1.1.0")

    def sleep_before(news: object, now: object) -> None:
        monkeypatch.undo()
        other.run_once()
        pass_lease()
        other.run_once()
        one._carry_out(news, now)  # type: ignore[arg-type]

    monkeypatch.setattr(one, "_carry_out", sleep_before)
    one.run_once()
    moved = deployed.delivery.get(deployment.id)
    assert moved.phase is Phase.RUNNING
    assert len(deployed.delivery.history(deployment.id)) == 2
    # It knows, and leaves the rest to the other.
    assert one.run_once() is False
    other.close()
    assert one.run_once() is True


def test_controller_stopped_within_a_transaction_loses_its_lease(
    postgresql_url: str,
) -> None:
    """PostgreSQL ends the transaction of a leader that stands still, so another one can lead."""
    engine = open_engine(postgresql_url)
    migrate(engine)
    one, other = Lease(engine, 0.3, holder="elsewhere 1"), Lease(engine, 0.3)
    assert one.take()
    assert not other.take()
    with engine.connect() as connection:
        connection.begin()
        one.guard(connection)
        pass_lease()
        assert other.take()
        with pytest.raises(DBAPIError):
            connection.execute(select(schema.leases))
        connection.invalidate()
    with engine.begin() as connection, pytest.raises(Deposed):
        one.guard(connection)
    engine.dispose()


def test_controller_whose_folder_cannot_be_written_still_folds_and_judges(
    deployed: World,
) -> None:
    """Other machines' gateways may carry the table to themselves, and harm is harm."""
    deployment = deployed.delivery.create(
        DeploymentSpec(model="fraud", challenger="1.1.0"), actor="test"
    )
    deployed.report("1.0.0", **{"fraud@1.1.0": "torn at \0"})
    deployed.table.unlink()
    deployed.table.mkdir()
    with pytest.raises(Unavailable, match="cannot be written"):
        deployed.controller.run_once()
    ended = deployed.delivery.get(deployment.id)
    assert ended.phase is Phase.ROLLED_BACK
    assert ended.reason.endswith("torn at ")
    deployed.table.rmdir()
    deployed.restart()
    deployed.controller.run_once()
    assert b"1.1.0" not in deployed.table.read_bytes()


def test_pass_with_a_damaged_deployment_goes_on_with_the_others(deployed: World) -> None:
    """It stands still without traffic, says so where people look, and can be ended."""
    subject = start(deployed)
    one, other = subject.id, "other"
    with deployed.engine.begin() as connection:
        deployments.add(connection, samples.deployment(id=other, model="churn"))
        here = schema.deployments.c.id == one
        connection.execute(update(schema.deployments).where(here).values(plan={"steps": 7}))
    deployed.controller.run_once()
    with reading(deployed.engine) as connection:
        assert looks.every(connection, other) != []
    deployed.delivery.tables.publish()
    route = deployed.delivery.routing().routes["fraud"]
    assert (route.champion.version, route.challenger) == ("1.0.0", None)
    told = {item.deployment.model: item for item in deployed.delivery.statuses(10, None)}
    assert "cannot be read" in told["fraud"].deployment.reason
    assert told["churn"].verdict is not None
    for refused in (
        lambda: deployed.delivery.promote(one, actor="ann", reason=""),
        lambda: Replays(deployed.engine, Reader(deployed.ledger)).replay(one),
        lambda: Experiments(deployed.engine, deployed.delivery.promote).evaluate(one),
    ):
        with pytest.raises(Conflict, match="cannot be read"):
            refused()
    assert deployed.delivery.abort(one, actor="ann", reason="").phase is Phase.ABORTED
    with pytest.raises(Conflict, match="cannot be read"):
        deployed.delivery.retry(one, actor="ann", reason="")
    start(deployed)


class Passes:
    """Counts the passes of a world's controller, and has its clock in hand."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        self.later = 0.0
        once, monotonic = world.controller.run_once, clock.monotonic

        def counted() -> bool:
            self.number += 1
            return once()

        monkeypatch.setattr(world.controller, "run_once", counted)
        monkeypatch.setattr(clock, "monotonic", lambda: monotonic() + self.later)


def test_step_without_news_is_a_pass_once_a_second(
    deployed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = start(deployed)
    passes = Passes(deployed, monkeypatch)
    while passes.number < 3 and deployed.controller.step() and not deployed.controller._rests():
        passes.later += 0.6
    begun = passes.number
    assert begun < 3
    assert deployed.controller.step()
    assert passes.number == begun
    passes.later += 1.1
    assert deployed.controller.step()
    assert passes.number == begun + 1
    Traffic(deployed).send(10)
    assert deployed.controller.step()
    assert passes.number == begun + 2
    assert sum(deployed.delivery.status(deployment.id).counts.requests.values()) > 0


def test_step_after_wake_is_a_pass_even_if_it_came_during_one(
    deployed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = start(deployed)
    passes = Passes(deployed, monkeypatch)
    deployed.controller.step()
    passes.later += 0.6
    deployed.controller.step()
    assert deployed.controller._rests()
    once = deployed.controller.run_once

    def woken_meanwhile() -> bool:
        busy = once()
        deployed.controller.wake()
        return busy

    monkeypatch.setattr(deployed.controller, "run_once", woken_meanwhile)
    deployed.controller.wake()
    begun = passes.number
    deployed.controller.step()
    monkeypatch.setattr(deployed.controller, "run_once", once)
    deployed.delivery.abort(deployment.id, actor="test", reason="enough")
    # Nothing is live any more: the loop itself rests longer.
    assert not deployed.controller.step()
    assert passes.number == begun + 2


def test_step_of_one_that_leads_no_more_does_not_rest(
    deployed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(deployed)
    leader = Controller(
        deployed.delivery,
        Consumer(deployed.engine, Reader(deployed.ledger)),
        Lease(deployed.engine, 3.0),
    )
    while not leader.step() or not leader._rests():
        pass
    other = Lease(deployed.engine, 3.0)
    leader.close()
    assert other.take()
    assert not leader.step()
