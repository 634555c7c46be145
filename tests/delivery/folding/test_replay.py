"""Replays of deployments that real controllers folded from a real ledger, on both databases."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import select, update
from tests.delivery.conftest import World

from serinus import clock
from serinus.delivery.folding import consumer as consumers
from serinus.delivery.folding.replay import Replays
from serinus.delivery.records import looks
from serinus.delivery.types import Deployment, DeploymentSpec, Outcome, Phase
from serinus.delivery.verdicts.evidence import Measure
from serinus.errors import InvalidInput, NotFound
from serinus.ledger.files.reader import Reader
from serinus.ledger.files.writer import Writer
from serinus.registry.types import Stage
from serinus.store import schema
from serinus.wire import (
    Arm,
    Assignment,
    Event,
    Failure,
    Label,
    Output,
    Prediction,
    Shadow,
    Value,
)


class Gateways:
    """Several writers whose requests, mirrored answers and labels interleave."""

    def __init__(self, world: World, *, entities: int = 0, seed: int = 3) -> None:
        self.world = world
        self.entities = entities
        self.rng = np.random.default_rng(seed)
        self.writers = [Writer(world.ledger, segment_bytes=60_000, sync="os") for _ in range(3)]

    def send(
        self, requests: int, *, failing: float = 0.01, wrong: float = 0.02, labelled: float = 1.0
    ) -> None:
        """Requests under the route in force; each is told of by whichever writer comes next."""
        route = self.world.delivery.routing().routes["fraud"]
        for number in range(0, requests, 25):
            writer = self.writers[number // 25 % 3]
            events = [self.answer(route, failing, wrong) for _ in range(25)]
            ids = writer.append(events)
            follow: list[Event] = []
            for identity, event in zip(ids, events, strict=True):
                now = clock.epoch_us()
                given = event.assignment
                output = Output(0) if isinstance(event, Failure) else event.output
                if route.mirror:
                    mine = (
                        None
                        if self.rng.random() < failing
                        else Output(int(self.rng.random() < wrong))
                    )
                    follow.append(Shadow(now, identity, given, "1.1.0", output, mine, 900))
                if self.rng.random() < labelled:
                    follow.append(Label(now, identity, 0, event.at, given, event.version, output))
                follow.append(
                    Value(now, identity, self.rng.random() * 12, event.at, given, event.version)
                )
            self.writers[(number // 25 + 1) % 3].append(follow)

    def answer(self, route: object, failing: float, wrong: float) -> Prediction | Failure:
        draw, fails, errs = self.rng.random(3).tolist()
        arm = Arm.CHALLENGER if draw < route.share else Arm.CHAMPION
        unit = 0
        if self.entities:
            # Sticky: the entity decides its arm.
            unit = 1 + int(self.rng.integers(self.entities))
            arm = Arm.CHALLENGER if unit % 100 < 100 * route.share else Arm.CHAMPION
        given = Assignment("fraud", arm, route.share, 1, route.deployment, route.step, unit)
        version = "1.1.0" if arm is Arm.CHALLENGER else "1.0.0"
        latency = int(5_000 * np.exp(0.5 * self.rng.standard_normal()))
        now = clock.epoch_us()
        if fails < failing:
            return Failure(now, given, version, "it raised", latency)
        answer = int(errs < wrong)
        return Prediction(
            now, given, version, (1.0, 2.0), Output(answer, (1 - errs, errs)), latency
        )


@pytest.fixture
def deployed(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    # Small batches: they end between a request and its label, and leave writers waiting.
    monkeypatch.setattr(consumers, "BATCH", 211)
    monkeypatch.setattr("serinus.delivery.controller._KEEP_SECONDS", 0.0)
    world.register("1.0.0", stage=Stage.PRODUCTION)
    world.register("1.1.0")
    return world


def start(world: World, **fields: object) -> Deployment:
    asked = DeploymentSpec(model="fraud", challenger="1.1.0", **fields)  # type: ignore[arg-type]
    deployment = world.delivery.create(asked, actor="test")
    world.report("1.0.0", "1.1.0")
    world.controller.run_once()
    return world.delivery.get(deployment.id)


def drive(
    world: World, deployment: Deployment, gateways: Gateways, *, passes: int, **rates: float
) -> Deployment:
    """Let traffic flow, under a new controller now and then."""
    for number in range(passes):
        gateways.send(300, **rates)  # type: ignore[arg-type]
        if number % 3 == 1:
            world.restart()
        world.controller.run_once()
        deployment = world.delivery.get(deployment.id)
        if not deployment.live:
            break
    return deployment


def replays(world: World) -> Replays:
    return Replays(world.engine, Reader(world.ledger))


def test_replay_of_a_whole_canary_is_exact(deployed: World) -> None:
    everything = {"value_cap": 10.0, "score_shift": 0.1, "class_odds": 1.5, "disagreement": 0.3}
    deployment = start(deployed, soak_seconds=0.2, **everything)
    drive(deployed, deployment, Gateways(deployed), passes=70, wrong=0.0, failing=0.0)
    assert deployed.delivery.get(deployment.id).step >= 2
    found = replays(deployed).replay(deployment.id)
    assert found.mismatches == ()
    assert found.evidence_equal
    assert found.exact
    assert found.looks > 20
    assert found.events > 5_000
    assert found.evidence == deployed.delivery.evidence(deployment.id).digest()


def test_replay_of_a_rollback_is_exact(deployed: World) -> None:
    deployment = start(deployed, shadow=False)
    ended = drive(deployed, deployment, Gateways(deployed), passes=20, failing=0.3, wrong=0.3)
    found = replays(deployed).replay(ended.id)
    assert found.exact, found.mismatches


def test_replay_by_entity_is_exact(deployed: World) -> None:
    deployment = start(deployed, unit="entity", entities=100_000, labels=False)
    gateways = Gateways(deployed, entities=900)
    drive(deployed, deployment, gateways, passes=12, failing=0.02)
    evidence = deployed.delivery.evidence(deployment.id)
    assert evidence.total(Measure.PAIR_ERROR) <= 900
    found = replays(deployed).replay(deployment.id)
    assert found.exact, found.mismatches


def test_replay_of_labels_that_were_given_up_is_exact(deployed: World) -> None:
    deployment = start(deployed, label_window_seconds=0.3)
    gateways = Gateways(deployed)
    for _ in range(4):
        gateways.send(200, labelled=0.9)
        deployed.controller.run_once()
        clock.sleep(0.4)
        deployed.restart()
        deployed.controller.run_once()
    assert deployed.delivery.evidence(deployment.id).coverage(Arm.SHADOW) < 0.95
    found = replays(deployed).replay(deployment.id)
    assert found.exact, found.mismatches


@pytest.mark.parametrize("entities", [0, 60], ids=["requests", "entities"])
def test_replay_of_a_retry_forgets_what_its_end_forgot(deployed: World, entities: int) -> None:
    """Labels were waited for when it was aborted, and come after the retry; entities come again."""
    unit = "entity" if entities else "request"
    deployment = start(deployed, shadow=False, unit=unit, shares=(0.5,))
    gateways = Gateways(deployed, entities=entities)
    gateways.send(300, labelled=0.4)
    deployed.controller.run_once()
    deployed.delivery.abort(deployment.id, actor="ann", reason="not now")
    gateways.send(100)
    deployed.controller.run_once()
    before = deployed.delivery.evidence(deployment.id)
    deployed.delivery.retry(deployment.id, actor="ann", reason="now")
    deployed.report("1.0.0", "1.1.0")
    deployed.controller.run_once()
    gateways.send(300, labelled=0.4)
    deployed.restart()
    deployed.controller.run_once()
    evidence = deployed.delivery.evidence(deployment.id)
    if entities:
        assert evidence.total(Measure.ERROR) <= entities
    else:
        assert evidence.total(Measure.MATURED) > before.total(Measure.MATURED)
        assert evidence.total(Measure.ERROR) == 600
    assert replays(deployed).replay(deployment.id).exact


def test_replay_before_anything_was_folded_is_exact(deployed: World) -> None:
    deployment = start(deployed)
    found = replays(deployed).replay(deployment.id)
    assert found.exact
    assert found.folds == 0


def test_replay_of_looks_that_two_controllers_recorded_in_disorder_is_exact(
    deployed: World,
) -> None:
    deployment = start(deployed)
    drive(deployed, deployment, Gateways(deployed), passes=5)
    table = schema.verdicts
    with deployed.engine.begin() as connection:
        rows = connection.execute(
            select(table).where(table.c.deployment == deployment.id).order_by(table.c.id)
        ).all()
        # The slower controller's look at an older state gets the later id.
        for row, other in zip(rows[1::2], rows[2::2], strict=False):
            assert row.fold <= other.fold
            for target, source in ((row, other), (other, row)):
                values = {name: it for name, it in source._mapping.items() if name != "id"}
                connection.execute(update(table).where(table.c.id == target.id).values(**values))
    with deployed.engine.begin() as connection:
        found = looks.every(connection, deployment.id)
    assert [look.fold for look in found] != sorted(look.fold for look in found)
    again = replays(deployed).replay(deployment.id)
    assert again.exact, again.mismatches
    assert again.looks == len(rows)
    last = max(found, key=lambda look: look.fold)
    assert replays(deployed).whatif(deployment.id, {}).recorded_requests == last.verdict.requests


def test_replay_counts_looks_from_before_batches_were_kept(deployed: World) -> None:
    deployment = start(deployed)
    drive(deployed, deployment, Gateways(deployed), passes=4)
    table = schema.verdicts
    own = table.c.deployment == deployment.id
    with deployed.engine.begin() as connection:
        before = connection.execute(select(table.c.id).where(own).order_by(table.c.id)).scalars()
        connection.execute(
            update(table).where(own, table.c.requests > 0, table.c.id <= before.all()[-2])
            .values(fold=0)
        )  # fmt: skip
    found = replays(deployed).replay(deployment.id)
    assert found.exact, found.mismatches
    assert found.unreplayable >= 2
    assert found.looks + found.unreplayable == len(
        deployed.delivery.verdicts(deployment.id, limit=1_000)
    )


def test_replay_finds_a_verdict_that_was_changed(deployed: World) -> None:
    deployment = start(deployed)
    drive(deployed, deployment, Gateways(deployed), passes=4)
    table = schema.verdicts
    with deployed.engine.begin() as connection:
        last = connection.execute(
            select(table.c.id).where(table.c.deployment == deployment.id).order_by(-table.c.id)
        ).scalars()
        identity = next(iter(last))
        connection.execute(
            update(table).where(table.c.id == identity).values(verdict=Outcome.PROMOTE)
        )
    found = replays(deployed).replay(deployment.id)
    assert not found.exact
    assert found.evidence_equal
    (mismatch,) = found.mismatches
    assert mismatch.recorded.startswith("promote after")
    assert mismatch.replayed.startswith("continue after")


def test_replay_finds_evidence_that_was_changed(deployed: World) -> None:
    deployment = start(deployed)
    drive(deployed, deployment, Gateways(deployed), passes=2)
    more = deployed.delivery.evidence(deployment.id)
    with deployed.engine.begin() as connection:
        connection.execute(
            update(schema.evidence)
            .where(schema.evidence.c.deployment == deployment.id)
            .values(summary=(more + more).encode())
        )
    found = replays(deployed).replay(deployment.id)
    assert not found.evidence_equal
    assert not found.exact
    assert found.mismatches == ()


def test_replay_without_a_part_of_the_ledger_says_which(deployed: World) -> None:
    deployment = start(deployed)
    gateways = Gateways(deployed)
    drive(deployed, deployment, gateways, passes=6)
    segment = sorted((deployed.ledger / gateways.writers[0].name).glob("*.log"))[0]
    segment.unlink()
    with pytest.raises(NotFound, match="segment 0 of the log"):
        replays(deployed).replay(deployment.id)


def test_replay_finds_an_event_that_was_changed(deployed: World) -> None:
    deployment = start(deployed)
    gateways = Gateways(deployed)
    drive(deployed, deployment, gateways, passes=6)
    segment = sorted((deployed.ledger / gateways.writers[1].name).glob("*.log"))[0]
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)
    assert not replays(deployed).replay(deployment.id).exact


def test_replay_of_an_unknown_deployment_is_not_found(deployed: World) -> None:
    with pytest.raises(NotFound):
        replays(deployed).replay("nothing")


# ------------------------------------------------------------------ what if


def test_whatif_with_the_own_policy_decides_the_same(deployed: World) -> None:
    deployment = start(deployed, shadow=False, labels=False, max_hours=1.0)
    ended = drive(deployed, deployment, Gateways(deployed), passes=60, failing=0.0)
    found = replays(deployed).whatif(deployment.id, {})
    assert [item.step for item in found.passed] == [item.step for item in found.recorded_passed]
    assert [item.requests for item in found.passed] == [
        item.requests for item in found.recorded_passed
    ]
    latest = deployed.delivery.latest_verdict(deployment.id)
    assert latest is not None
    assert found.recorded_outcome is (latest.outcome if ended.live else ended.verdict)
    assert found.recorded_requests == latest.requests


def test_whatif_with_a_looser_policy_passes_sooner(deployed: World) -> None:
    deployment = start(deployed, shadow=False, labels=False)
    drive(deployed, deployment, Gateways(deployed), passes=30, failing=0.0)
    recorded, looser = (
        replays(deployed).whatif(deployment.id, policy)
        for policy in ({}, {"error_odds": 20.0, "error_points": 0.3, "latency_ratio": 5.0})
    )
    assert recorded.passed
    assert len(looser.passed) >= len(recorded.passed)
    assert looser.passed[0].requests < recorded.passed[0].requests


def test_whatif_of_a_rollback_under_a_stricter_budget(deployed: World) -> None:
    deployment = start(deployed, shadow=False, labels=False)
    ended = drive(deployed, deployment, Gateways(deployed), passes=10, failing=0.3)
    assert ended.phase is Phase.ROLLED_BACK or ended.live
    found = replays(deployed).whatif(deployment.id, {"service_level": 0.9})
    assert "service_level" not in found.reason


def test_whatif_waits_for_least_requests(deployed: World) -> None:
    deployment = start(deployed, shadow=False, labels=False, min_requests=25)
    drive(deployed, deployment, Gateways(deployed), passes=20, failing=0.0)
    loose = {"error_odds": 50.0, "error_points": 0.9, "latency_ratio": 50.0}
    found = replays(deployed).whatif(deployment.id, {**loose, "min_requests": 1_500})
    assert found.passed[0].requests >= 1_500
    assert found.passed[1].requests >= 3_000


def test_whatif_begins_its_first_step_when_that_began(deployed: World) -> None:
    deployment = start(deployed, shadow=False, labels=False, min_seconds=3_600.0)
    table = schema.deployments
    drive(deployed, deployment, Gateways(deployed), passes=8, failing=0.0)
    with deployed.engine.begin() as connection:
        # Two hours passed until its versions were loaded: no time of the first step.
        connection.execute(
            update(table)
            .where(table.c.id == deployment.id)
            .values(created_at=deployment.created_at - timedelta(hours=2))
        )
    loose = {"error_odds": 50.0, "error_points": 0.9, "latency_ratio": 50.0}
    assert replays(deployed).whatif(deployment.id, loose).passed == ()
    sooner = replays(deployed).whatif(deployment.id, {**loose, "min_seconds": 0.0})
    assert len(sooner.passed) > 0


def test_whatif_says_after_how_many_batches_it_did_not_ask(
    deployed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = start(deployed, shadow=False, labels=False)
    drive(deployed, deployment, Gateways(deployed), passes=8, failing=0.0)
    every = replays(deployed).whatif(deployment.id, {})
    assert every.skipped == 0
    monkeypatch.setattr("serinus.delivery.folding.replay._MOST_LOOKS", 5)
    seldom = replays(deployed).whatif(deployment.id, {})
    folds = replays(deployed).replay(deployment.id).folds
    assert folds - 5 <= seldom.skipped < folds
    assert seldom.requests == every.requests


@pytest.mark.parametrize(
    ("policy", "named"),
    [
        ({"shares": [0.5], "unit": "entity"}, ["shares", "unit"]),
        ({"replicas": 4, "batch": 2}, ["replicas", "batch"]),
        ({"error_odd": 2.0, "colour": "red"}, ["error_odd", "colour"]),
        ({"error_odds": "high"}, ["error_odds"]),
        ({"error_odds": 0.5}, ["error_odds"]),
        ({"eror_odds": 2.0}, ["eror_odds: there is no such field; did you mean error_odds?"]),
    ],
)
def test_whatif_refuses_a_policy_naming_each_fault(
    deployed: World, policy: dict[str, object], named: list[str]
) -> None:
    deployment = start(deployed)
    with pytest.raises(InvalidInput) as caught:
        replays(deployed).whatif(deployment.id, policy)
    for name in named:
        assert name in str(caught.value)
