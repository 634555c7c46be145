"""Pairs through store and controller: taken back in the soak, and replayed bit for bit."""

from __future__ import annotations

import pytest
from tests.delivery.conftest import World
from tests.delivery.shadows import traffic

from serinus.delivery.folding.consumer import Consumer
from serinus.delivery.folding.replay import Replays
from serinus.delivery.types import DeploymentSpec, Outcome, Phase
from serinus.delivery.verdicts.evidence import SOAK, Measure
from serinus.ledger.files.reader import Reader
from serinus.registry.types import Stage
from serinus.wire import Arm, Assignment, Output, Shadow


def begin(world: World, **fields: object) -> str:
    world.register("1.0.0", stage=Stage.PRODUCTION)
    world.register("1.1.0")
    spec = DeploymentSpec(model="fraud", challenger="1.1.0", **fields)  # type: ignore[arg-type]
    return world.delivery.create(spec, actor="test").id


def pairs_of_the_soak(world: World, begun: str, count: int, *, failing: bool) -> None:
    """The new version answers or fails, and the former one answers what it was asked."""
    steps = len(world.delivery.get(begun).plan.steps)
    given = Assignment("fraud", Arm.SHADOW, 0.0, 9, begun, steps)
    world.writer.append(
        [
            Shadow(n, n.to_bytes(16), given, "1.0.0", None if failing else Output(0), Output(0), 9)
            for n in range(count)
        ]
    )


@pytest.mark.parametrize("failing", [True, False])
def test_soak_is_ended_by_what_the_former_champion_could_answer(
    world: World, failing: bool
) -> None:
    begun = begin(world, soak_seconds=600.0)
    world.report("1.0.0", "1.1.0")
    world.controller.run_once()
    traffic.write(world.writer, 500, deployment=begun, flips_above=200.0, failing=0.0)
    world.controller.run_once()
    world.delivery.promote(begun, actor="test", reason="")
    assert world.delivery.get(begun).phase is Phase.SOAKING
    pairs_of_the_soak(world, begun, 20, failing=failing)
    world.controller.run_once()
    found = world.delivery.get(begun)
    assert found.phase is (Phase.ROLLED_BACK if failing else Phase.SOAKING)
    if failing:
        assert found.reason.startswith("Errors in shadow and soak: on the same 520 requests")
        assert "on the 20 since it has all traffic 100.00 points worse" in found.reason
    soak = world.delivery.evidence(begun).tables[Measure.PAIR_ERROR][SOAK]
    assert soak[1].tolist()[-1] == 20


def test_whatif_judges_the_recorded_soak_too(world: World) -> None:
    """The gates are passed on the same pairs; who asks for more proof of harm finds none in it."""
    begun = begin(world, soak_seconds=600.0, strategy="blue_green", labels=False)
    world.report("1.0.0", "1.1.0")
    world.controller.run_once()
    traffic.write(world.writer, 500, deployment=begun, flips_above=200.0, failing=0.0)
    world.controller.run_once()
    assert world.delivery.get(begun).phase is Phase.SOAKING
    pairs_of_the_soak(world, begun, 20, failing=True)
    world.controller.run_once()
    assert world.delivery.get(begun).phase is Phase.ROLLED_BACK
    replays = Replays(world.engine, Reader(world.ledger))

    own = replays.whatif(begun, {})
    blind = replays.whatif(begun, {"soak_seconds": 0.0})

    assert own.outcome is own.recorded_outcome is Outcome.ROLLBACK
    assert own.requests == own.recorded_requests
    assert own.reason == own.recorded_reason
    assert "20 requests and pairs of the recorded soak" in own.compared
    assert "They prove harm." in own.compared
    assert blind.outcome is Outcome.PROMOTE
    assert blind.requests == own.requests - 20
    assert "20 requests and pairs recorded after its promotion were left out" in blind.compared
    assert blind.compared.endswith("The recorded rollback fell in the recorded soak.")


def test_replay_of_cloned_pairs_is_exact_wherever_batches_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pair and its clone are read by different batches, and replayed in just these."""
    begun = begin(world, disagreement=0.3)
    world.report("1.0.0", "1.1.0")
    world.controller.run_once()
    traffic.write(world.writer, 300, deployment=begun, clone=0.7, noise=0.05, failing=0.0, batch=50)
    monkeypatch.setattr("serinus.delivery.folding.consumer.BATCH", 7)
    consumer = Consumer(world.engine, Reader(world.ledger))
    while consumer.fold():
        pass
    evidence = world.delivery.evidence(begun)
    assert 180 < evidence.total(Measure.PAIR_FLOOR) < 240
    world.controller.run_once()
    found = Replays(world.engine, Reader(world.ledger)).replay(begun)
    assert found.exact
    assert found.folds > 50
