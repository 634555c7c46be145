"""What an experiment does by itself, and what a kill in between leaves behind."""

from __future__ import annotations

import time

import msgspec
import pytest
from tests.delivery.conftest import World
from tests.delivery.experiments.living import Lab

from serinus import clock
from serinus.delivery.experiments import repository, steering
from serinus.delivery.records import deployments, evidence
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
    lab.world.delivery.tables.publish()
    route = lab.world.delivery.routing().routes["fraud"]
    assert route.challenger is not None
    assert route.challenger.version == "1.1.0"
    assert [item.target.version for item in route.others] == ["1.2.0"]


def test_crown_brings_the_evidence_along(lab: Lab) -> None:
    begun = lab.start(others=("1.2.0",), split=(0.3, 0.3), min_requests=5_000)
    lab.send(300, wrong=(0.1, 0.1, 0.1), failing=(0.0, 0.0, 0.1))
    lab.look(1)
    with reading(lab.world.engine) as connection:
        mine = evidence.get(connection, begun.id)
        other = evidence.get(connection, f"{begun.id}+1")
    assert mine != other
    assert other.total(Measure.ERROR, Arm.CHALLENGER, 1) > 0
    with lab.world.engine.begin() as connection:
        crowned = steering.crown(connection, begun.id, "1.2.0", clock.now())
        assert evidence.get(connection, begun.id) == other
        assert evidence.get(connection, f"{begun.id}+0") == mine
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


def test_crowned_challenger_that_turns_out_harmful_waits_for_nobody(lab: Lab) -> None:
    begun = lab.start(others=("1.2.0",), split=(0.3, 0.3), min_requests=500, approvals=True)
    lab.send(600, wrong=(0.4, 0.3, 0.05))
    lab.look()
    waiting = lab.now(begun)
    assert (waiting.phase, waiting.challenger) == (Phase.PAUSED, "1.2.0")
    assert waiting.waits_for_approval
    lab.send(600, wrong=(0.4, 0.3, 0.05), failing=(0.0, 0.0, 0.5))
    lab.look()
    with reading(lab.world.engine) as connection:
        moves = deployments.history(connection, begun.id)
    assert any(move.reason.startswith("1.2.0 is out: Errors") for move in moves)
    # The measuring was over, so without it the experiment comes to its end.
    ended = lab.now(begun)
    assert (ended.phase, ended.verdict) == (Phase.SUCCEEDED, Outcome.PROMOTE)
    assert "1.2.0" not in ended.reason
    assert lab.world.delivery.routing().routes["fraud"].champion.version == "1.0.0"


def test_quiet_experiment_is_loaded_once(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = lab.start(others=("1.2.0",), split=(0.3, 0.3), min_requests=5_000)
    lab.send(300, wrong=(0.1, 0.1, 0.1))
    lab.look()
    loaded = []
    load = repository.load
    monkeypatch.setattr(
        repository, "load", lambda connection, key: loaded.append(key) or load(connection, key)
    )
    lab.look(5)
    assert loaded == []
    lab.send(100, wrong=(0.1, 0.1, 0.1), worth=(0.0, 0.0, 0.0))
    lab.look(5)
    # Once to count, and once to steer.
    assert set(loaded) == {begun.id}
    assert len(loaded) <= 4


def test_pass_over_two_hundred_quiet_experiments_costs_little(lab: Lab) -> None:
    begun = lab.start(others=("1.2.0",), split=(0.3, 0.3), min_requests=5_000)
    lab.send(300, wrong=(0.1, 0.1, 0.1))
    lab.look()
    engine, known = lab.world.engine, lab.now(begun)
    trials = [msgspec.structs.replace(known, id=f"t{number}") for number in range(200)]
    steers = steering.Steering()
    with engine.begin() as connection:
        state = repository.load(connection, begun.id)
        assert state is not None
        for trial in trials:
            repository.save(connection, trial.id, state, clock.now())
            evidence.begin(connection, trial)

    def seconds() -> float:
        began = time.process_time()
        with reading(engine) as connection:
            steers.look(connection, trials)
        for trial in trials:
            steers.steer(engine, trial, lambda _: None, clock.now())
        return time.process_time() - began

    first, quiet = seconds(), min(seconds() for _ in range(3))
    assert quiet < 0.1
    assert quiet < first / 10
