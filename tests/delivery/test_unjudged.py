"""A deployment that the judge cannot judge holds up nobody, and says so once."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs
from tests.delivery.conftest import World
from tests.delivery.test_controller import Passes, Traffic, start

from serinus.delivery.experiments import steering
from serinus.delivery.types import Deployment, Verdict
from serinus.registry.types import Stage


def test_deployment_that_cannot_be_judged_is_told_once_and_keeps_no_pass_going(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.register("1.0.0", stage=Stage.PRODUCTION)
    world.register("1.1.0")
    deployment = start(world)
    tried: list[str] = []

    def broken(subject: Deployment, _evidence: object) -> Verdict:
        tried.append(subject.id)
        raise ValueError("no number")

    passes = Passes(world, monkeypatch)
    good = steering.verdict_of
    monkeypatch.setattr(steering, "verdict_of", broken)
    Traffic(world).send(10)
    with capture_logs() as told:
        for _ in range(10):
            world.controller.step()
        assert world.controller._rests()
        assert tried == [deployment.id]
        passes.later += 31.0
        world.controller.step()
        assert tried == [deployment.id] * 2
        # What is new of it may be judged.
        Traffic(world).send(10)
        world.controller.step()
        assert tried == [deployment.id] * 3
        monkeypatch.setattr(steering, "verdict_of", good)
        passes.later += 31.0
        world.controller.step()
    assert [item["log_level"] for item in told if "could not" in item["event"]] == ["error"]
    seen = world.delivery.latest_verdict(deployment.id)
    assert seen is not None
    assert seen.requests > 0
