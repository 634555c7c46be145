"""Who has which part of the traffic, and where."""

from __future__ import annotations

import pytest
from tests.delivery.conftest import World
from tests.delivery.experiments.living import Lab

from serinus.delivery.experiments import repository, traffic
from serinus.delivery.experiments.sums import Shares
from serinus.delivery.types import Phase
from serinus.store.engine import reading

# What differs between databases is tried in test_service and test_repository.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def lab(world: World) -> Lab:
    return Lab(world)


def set_shares(lab: Lab, deployment: str, shares: Shares) -> None:
    with lab.world.engine.begin() as connection:
        state = repository.load(connection, deployment)
        assert state is not None
        state.shares = shares
        repository.save(
            connection, deployment, state, lab.now(lab.world.delivery.get(deployment)).updated_at
        )


@pytest.mark.parametrize(("unit", "start"), [("entity", 0.3), ("request", 0.0)])
def test_split_keeps_places_by_entity_and_follows_shares_by_request(
    lab: Lab, unit: str, start: float
) -> None:
    begun = lab.start(others=("1.2.0",), split=(0.3, 0.2), unit=unit)
    with reading(lab.world.engine) as connection:
        planned = traffic.splits(connection, [begun])[begun.id]
    assert (planned.share, planned.others[0].start, planned.others[0].share) == (0.3, 0.3, 0.2)
    set_shares(lab, begun.id, (0.0, 0.2))
    with reading(lab.world.engine) as connection:
        split = traffic.splits(connection, [begun])[begun.id]
    assert (split.share, split.others[0].start, split.others[0].share) == (0.0, start, 0.2)
    assert split.others[0].target.version == "1.2.0"


def test_split_is_of_experiments_alone(lab: Lab) -> None:
    canary = lab.world.delivery.create({"model": "fraud", "challenger": "1.1.0"}, actor="test")
    with reading(lab.world.engine) as connection:
        assert traffic.splits(connection, [canary]) == {}
    assert traffic.first(canary) == "1.1.0"


def test_every_challenger_is_loaded_before_an_experiment_begins(lab: Lab) -> None:
    asked = {"model": "fraud", "challenger": "1.1.0", "strategy": "ab_test", "others": ["1.2.0"]}
    begun = lab.world.delivery.create(asked, actor="test")
    route = lab.world.delivery.routing().routes["fraud"]
    assert [target.version for target in route.warm] == ["1.2.0"]
    lab.world.report("1.0.0", "1.1.0")
    lab.look(1)
    assert lab.now(begun).phase is Phase.PENDING
    lab.world.report("1.0.0", "1.1.0", "1.2.0")
    lab.look(1)
    assert lab.now(begun).phase is Phase.RUNNING
