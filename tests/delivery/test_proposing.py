from __future__ import annotations

import pytest
from tests.delivery.conftest import World

from serinus.delivery.types import DeploymentSpec
from serinus.errors import InvalidInput
from serinus.registry.types import Stage


def spec(**fields: object) -> DeploymentSpec:
    return DeploymentSpec(model="fraud", challenger="1.1.0", **fields)  # type: ignore[arg-type]


def test_propose_tells_the_versions_and_changes_nothing(world: World) -> None:
    world.register("1.0.0", stage=Stage.PRODUCTION)
    world.register("1.1.0")

    found = world.delivery.planner.propose(spec(), salt="d7")

    assert found.champion is not None
    assert (found.champion.version, found.challenger.version) == ("1.0.0", "1.1.0")
    assert found.proposal.plan.salt == "d7"
    assert world.delivery.list(None, limit=10, after=None) == []


def test_accept_refuses_what_could_not_decide(world: World) -> None:
    world.register("1.0.0", stage=Stage.PRODUCTION)
    world.register("1.1.0")

    with pytest.raises(InvalidInput, match="could not decide"):
        world.delivery.planner.accept(spec(unit="entity", entities=300), salt="d7")
