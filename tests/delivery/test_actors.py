"""Who asks is kept in every history: what none can keep is refused by all, and nothing changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.delivery.conftest import World

from serinus.delivery.rollback.service import Rollbacks
from serinus.errors import InvalidInput
from serinus.registry.types import Stage

LONG = "x" * 201
Ask = Callable[[World, str], object]
BEFORE: dict[str, Ask] = {
    "create": lambda world, who: world.delivery.create(
        {"model": "fraud", "challenger": "1.1.0"}, actor=who
    ),
    "place": lambda world, who: world.delivery.place(
        "fraud", "1.1.0", Stage.STAGING, actor=who, reason=""
    ),
    "roll_back": lambda world, who: Rollbacks(world.delivery).roll_back(
        "fraud", "0.9.0", actor=who, reason=""
    ),
    "set_default": lambda world, who: Rollbacks(world.delivery).set_default(
        "fraud", 0, actor=who, reason=""
    ),
}


@pytest.mark.parametrize("what", sorted(BEFORE))
def test_actor_that_no_history_keeps_is_refused(world: World, what: str) -> None:
    world.register("0.9.0", stage=Stage.PRODUCTION)
    world.register("1.0.0", stage=Stage.PRODUCTION)
    world.register("1.1.0")
    before = world.delivery.tables.publish().revision
    with pytest.raises(InvalidInput, match="too long") as refusal:
        BEFORE[what](world, LONG)
    assert refusal.value.faults == ("actor: has 201 characters, may have 200",)
    assert world.delivery.tables.publish().revision == before
    BEFORE[what](world, LONG[:200])


def test_actor_that_no_history_keeps_moves_no_deployment(world: World) -> None:
    world.register("1.0.0", stage=Stage.PRODUCTION)
    world.register("1.1.0")
    begun = world.delivery.create({"model": "fraud", "challenger": "1.1.0"}, actor="ann")
    with pytest.raises(InvalidInput, match="too long"):
        world.delivery.abort(begun.id, actor=LONG, reason="")
    assert world.delivery.get(begun.id).live
    world.delivery.abort(begun.id, actor=LONG[:200], reason="")
