"""Giving all traffic to a version."""

from __future__ import annotations

from tests.delivery.conftest import World
from tests.delivery.rollback.simulation import rollback

from serinus import clock
from serinus.delivery.rollback import handover, repository
from serinus.delivery.rollback.types import State
from serinus.registry.types import Stage


def test_route_is_stage_state_and_revision_in_one_transaction(champion: World) -> None:
    """A version that stood nowhere passes through Staging."""
    made = rollback(state=State.WARMING, to="1.1.0", taken_back="1.0.0", routed_at=None, revision=0)
    now = clock.now()
    with champion.engine.begin() as connection:
        repository.add(connection, made)
        routed, table = handover.route(champion.delivery, connection, made, "it is loaded", now)
    assert table.routes["fraud"].champion.version == "1.1.0"
    assert (routed.state, routed.revision, routed.routed_at) == (State.ROUTED, table.revision, now)
    stages = [change.to_stage for change in champion.registry.history("fraud", 2)]
    assert stages == [Stage.PRODUCTION, Stage.ARCHIVED]
    handover.tell(champion.delivery, routed, table)
    assert champion.delivery.tables.publisher.ahead_of(0) == table.revision
