"""Experiments that end early, are taken up again, or are asked for what they cannot give."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import func, select
from tests.delivery.conftest import World
from tests.delivery.experiments.living import Lab

from serinus import clock
from serinus.delivery.experiments import repository
from serinus.delivery.experiments.types import Action, View
from serinus.delivery.rollback.service import Rollbacks
from serinus.delivery.types import Phase
from serinus.errors import Conflict
from serinus.store import schema
from serinus.store.engine import reading

# What differs between databases is tried in test_service and test_replays.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
THREE = {"others": ("1.2.0",), "split": (0.3, 0.3)}
EVENLY = (0.2, 0.2, 0.2)


@pytest.fixture
def lab(world: World) -> Lab:
    return Lab(world)


def rows(lab: Lab, identity: str) -> dict[str, int]:
    """How many rows each table keeps of single requests or entities of a deployment."""
    found = {}
    with reading(lab.world.engine) as connection:
        for table in (schema.awaiting, schema.evidence_units, schema.experiment_units):
            here = table.c.deployment.startswith(identity)
            query = select(func.count()).select_from(table).where(here)
            found[table.name] = connection.execute(query).scalar_one()
    return found


def test_nothing_is_left_of_an_experiment_that_nobody_can_retry(lab: Lab) -> None:
    asked = {"unit": "entity", "metric": "conversion", "label_window_seconds": 1e4}
    begun = lab.start(**THREE, **asked)
    lab.send(90, wrong=EVENLY, worth=(1.0, 1.0, 1.0), entities=60)
    lab.send(90, wrong=EVENLY, worth=(0.0, 0.0, 0.0), entities=60)
    lab.look()
    assert min(rows(lab, begun.id).values()) > 30
    waiting = rows(lab, f"{begun.id}+1")
    assert min(waiting["awaiting"], waiting["evidence_units"]) > 30
    lab.world.delivery.abort(begun.id, actor="ada", reason="")
    kept = rows(lab, begun.id)
    assert kept.pop("awaiting") == 0
    assert min(kept.values()) > 30
    lab.start()
    assert set(rows(lab, begun.id).values()) == {0}


def test_aborted_experiment_goes_on_with_what_it_knows(lab: Lab) -> None:
    begun = lab.start(**THREE)
    lab.send(300, wrong=(0.5, 0.5, 0.1))
    lab.look()
    lab.world.delivery.abort(begun.id, actor="ada", reason="a look")
    early = lab.experiments.evaluate(begun.id)
    assert (early.view, early.progress.due) == (View.BEFORE_THE_END, None)
    assert early.validity.startswith("It ended before its planned end, after look 6 of 11.")
    before = lab.world.delivery.evidence(begun.id)
    lab.world.delivery.retry(begun.id, actor="ada", reason="go on")
    lab.look()
    assert lab.now(begun).phase is Phase.RUNNING
    assert lab.world.delivery.evidence(begun.id) == before
    assert lab.experiments.evaluate(begun.id).progress.units == 300
    lab.send(400, wrong=(0.5, 0.5, 0.1))
    lab.look()
    ended = lab.now(begun)
    assert (ended.phase, ended.challenger) == (Phase.SUCCEEDED, "1.2.0")


def test_experiment_that_ended_early_with_nothing_proven_keeps_the_champion(lab: Lab) -> None:
    begun = lab.start()
    lab.send(100, wrong=(0.2, 0.2))
    lab.look()
    lab.world.delivery.abort(begun.id, actor="ada", reason="")
    advice = lab.experiments.evaluate(begun.id).recommendation
    assert advice.action is Action.KEEP
    assert "ended before its planned end" in advice.sentence


def test_experiment_without_a_harmless_challenger_cannot_be_retried(lab: Lab) -> None:
    begun = lab.start(**THREE, min_requests=5_000)
    lab.send(600, wrong=EVENLY, failing=(0.0, 0.6, 0.6))
    lab.look()
    assert lab.now(begun).phase is Phase.ROLLED_BACK
    with pytest.raises(Conflict, match="its evidence would end it at once"):
        lab.world.delivery.retry(begun.id, actor="ada", reason="")
    assert lab.experiments.evaluate(begun.id).recommendation.action is Action.KEEP


def test_dropped_challenger_stays_out_of_a_retry(lab: Lab) -> None:
    begun = lab.start(**THREE, min_requests=5_000)
    lab.send(600, wrong=EVENLY, failing=(0.0, 0.6, 0.0))
    lab.look()
    lab.world.delivery.abort(begun.id, actor="ada", reason="")
    lab.world.delivery.retry(begun.id, actor="ada", reason="")
    lab.look()
    route = lab.world.delivery.routing().routes["fraud"]
    assert (route.share, [item.share for item in route.others]) == (0.0, [0.3])


def test_winner_is_promoted_by_hand_once_and_not_after_it_was_taken_back(lab: Lab) -> None:
    begun = lab.start(**THREE, min_requests=900, auto_promote=False, soak_seconds=60.0)
    lab.send(1_000, wrong=(0.4, 0.4, 0.1))
    lab.look()
    for _ in range(2):
        done = lab.experiments.promote_winner(begun.id, version=None, actor="ada", reason="")
        assert (done.phase, done.challenger) == (Phase.SOAKING, "1.2.0")
    with pytest.raises(Conflict, match=r"1\.1\.0 is not the winner"):
        lab.experiments.promote_winner(begun.id, version="1.1.0", actor="ada", reason="")
    Rollbacks(lab.world.delivery).roll_back("fraud", None, actor="ada", reason="")
    lab.look()
    with pytest.raises(Conflict, match="this experiment has ended"):
        lab.experiments.promote_winner(begun.id, version=None, actor="ada", reason="")


def test_winner_that_was_dropped_while_it_waited_is_promoted_by_nobody(lab: Lab) -> None:
    begun = lab.start(**THREE, min_requests=900, auto_promote=False)
    lab.send(1_000, wrong=(0.4, 0.4, 0.1))
    lab.look()
    delivery = lab.world.delivery
    waiting = delivery.get(begun.id)
    assert (waiting.phase, waiting.challenger) == (Phase.PAUSED, "1.2.0")
    with lab.world.engine.begin() as connection:
        state = repository.load(connection, begun.id)
        assert state is not None
        place = waiting.challengers.index("1.2.0")
        harmed = replace(state, dropped={place: "It raises."})
        repository.save_steering(connection, begun.id, harmed, clock.now())
    for command in (delivery.approve, delivery.promote):
        with pytest.raises(Conflict, match=r"1\.2\.0 was dropped") as refusal:
            command(begun.id, actor="ada", reason="")
        assert refusal.value.remedy
    assert delivery.get(begun.id).phase is Phase.PAUSED


def test_experiment_that_the_champion_won_has_nobody_to_promote_or_retry(lab: Lab) -> None:
    begun = lab.start(min_requests=300)
    lab.send(400, wrong=(0.2, 0.2))
    lab.look()
    with pytest.raises(Conflict, match="no challenger is proven better") as refused:
        lab.experiments.promote_winner(begun.id, version=None, actor="ada", reason="")
    assert "Keep 1.0.0" in refused.value.remedy
    with pytest.raises(Conflict):
        lab.world.delivery.retry(begun.id, actor="ada", reason="")
