"""What an experiment does by itself, and what a kill in between leaves behind."""

from __future__ import annotations

import pytest
from tests.delivery.conftest import World
from tests.delivery.experiments.living import Lab

from serinus import clock
from serinus.delivery import repository as deployments
from serinus.delivery.experiments import steering
from serinus.delivery.types import Outcome, Phase
from serinus.delivery.verdicts.evidence import Measure
from serinus.store.engine import reading
from serinus.wire import Arm

# What differs between databases is tried in test_service and test_repository.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def lab(world: World) -> Lab:
    return Lab(world)


def test_steering_twice_decides_the_same(lab: Lab) -> None:
    begun = lab.start(others=("1.2.0",), split=(0.3, 0.3), min_requests=500, approvals=True)
    lab.send(600, wrong=(0.4, 0.4, 0.05))
    lab.world.controller._consumer.fold()  # the look at it is taken here
    for _ in range(2):
        found = steering.steer(lab.world.engine, lab.now(begun), lambda _: None, clock.now())
        assert found is not None
        assert found.winner == "1.2.0"
        assert found.decision is not None
        assert (found.decision.phase, found.decision.verdict) == (Phase.PAUSED, Outcome.PROMOTE)
    # Until it is promoted, nobody moves.
    lab.world.delivery.publish()
    route = lab.world.delivery.routing().routes["fraud"]
    assert route.challenger is not None
    assert route.challenger.version == "1.1.0"
    assert [item.target.version for item in route.others] == ["1.2.0"]


def test_crown_brings_the_evidence_along(lab: Lab) -> None:
    begun = lab.start(others=("1.2.0",), split=(0.3, 0.3), min_requests=5_000)
    lab.send(300, wrong=(0.1, 0.1, 0.1), failing=(0.0, 0.0, 0.1))
    lab.look(1)
    with reading(lab.world.engine) as connection:
        mine = deployments.evidence(connection, begun.id)
        other = deployments.evidence(connection, f"{begun.id}+1")
    assert mine != other
    assert other.total(Measure.ERROR, Arm.CHALLENGER, 1) > 0
    with lab.world.engine.begin() as connection:
        crowned = steering.crown(connection, begun.id, "1.2.0", clock.now())
        assert deployments.evidence(connection, begun.id) == other
        assert deployments.evidence(connection, f"{begun.id}+0") == mine
        assert steering.crown(connection, begun.id, "1.2.0", clock.now()) == crowned
    assert lab.now(begun).challenger == "1.2.0"


def test_paused_experiment_goes_on_measuring_and_does_not_end(lab: Lab) -> None:
    begun = lab.start()
    lab.world.delivery.pause(begun.id, actor="ada", reason="a look")
    lab.send(700, wrong=(0.3, 0.1))
    lab.look()
    assert lab.now(begun).phase is Phase.PAUSED
    assert lab.experiments.evaluate(begun.id).winner == "1.1.0"
    lab.world.delivery.resume(begun.id, actor="ada", reason="")
    lab.look()
    assert lab.now(begun).phase is Phase.SUCCEEDED


def test_canary_is_not_steered(lab: Lab) -> None:
    begun = lab.world.delivery.create({"model": "fraud", "challenger": "1.1.0"}, actor="test")
    assert steering.steer(lab.world.engine, begun, lambda _: None, clock.now()) is None
