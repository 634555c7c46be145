"""What can be looked at; most of it is looked at by the tests of what changes it."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from tests.delivery import samples
from tests.delivery.conftest import World
from tests.delivery.samples import NOON

from serinus.delivery.reconcile import Decision
from serinus.delivery.records import deployments, evidence, journal, looks
from serinus.delivery.types import DeploymentSpec, Outcome, Phase, Verdict
from serinus.errors import NotFound
from serinus.ledger.types import Batch, Offset
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


def test_history_keeps_the_order_of_the_moves_though_the_clock_was_set_back(world: World) -> None:
    """Among them what an experiment dropped stands after the fold that showed it."""
    hours = iter([12, 11, 13, 10])
    subject = samples.deployment(phase=Phase.PENDING)
    steps = [Phase.RUNNING, Phase.PAUSED, Phase.RUNNING, Phase.ABORTED]
    with world.engine.begin() as connection:
        deployments.add(connection, subject)
        for fold, phase in enumerate(steps):
            at = NOON.replace(hour=next(hours))
            to = Decision(phase, 0, Outcome.CONTINUE, f"move {fold}")
            subject = deployments.move(connection, subject, to, actor="t", at=at)
            offsets = Batch([], {"w": Offset(0, fold)})
            journal.note(connection, {}, offsets, NOON, ["d1"])
            verdict = Verdict(Outcome.ROLLBACK, f"drop {fold}", 1, 0.0, ())
            place = msgspec.structs.replace(subject, id="d1+0", challenger="1.1.0")
            at -= timedelta(hours=4)
            looks.add(connection, [(place, verdict, evidence.folded(connection, "d1"))], at)
    told = [
        item.reason.removeprefix("1.1.0 was dropped: ") for item in world.delivery.history("d1")
    ]
    expected = [f"{what} {number}" for number in range(4) for what in ("move", "drop")]
    assert told == ["", *expected]


@pytest.mark.parametrize("look", ["get", "history", "evidence", "status", "latest_verdict"])
def test_looking_at_an_unknown_deployment_names_where_to_find_ids(world: World, look: str) -> None:
    with pytest.raises(NotFound, match="serinus deployments list"):
        getattr(world.delivery, look)("nothing")
