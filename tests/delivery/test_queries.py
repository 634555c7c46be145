"""What can be looked at; most of it is looked at by the tests of what changes it."""

from __future__ import annotations

import pytest
from tests.delivery.conftest import World

from serinus.delivery.types import DeploymentSpec, Phase
from serinus.errors import NotFound
from serinus.registry.types import Stage


def test_counts_of_a_deployment_that_saw_nothing_are_zero(world: World) -> None:
    world.register("1.0.0", stage=Stage.PRODUCTION)
    world.register("1.1.0")
    begun = world.delivery.create(DeploymentSpec(model="fraud", challenger="1.1.0"), actor="ann")
    counts = world.delivery.status(begun.id).counts
    assert set(counts.requests.values()) == {0}
    assert (counts.share, counts.mirror, counts.delayed) == (0.0, 0.0, 0)
    assert counts.revision == world.delivery.routing().revision
    assert world.delivery.latest_verdict(begun.id) is None
    assert [row.to_phase for row in world.delivery.history(begun.id)] == [Phase.PENDING]


@pytest.mark.parametrize("look", ["get", "history", "evidence", "status", "latest_verdict"])
def test_looking_at_an_unknown_deployment_names_where_to_find_ids(world: World, look: str) -> None:
    with pytest.raises(NotFound, match="serinus deployments list"):
        getattr(world.delivery, look)("nothing")
