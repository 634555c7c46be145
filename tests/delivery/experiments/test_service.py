"""Whole experiments, from events in the ledger to a promoted winner."""

from __future__ import annotations

import pytest
from tests.delivery.conftest import World
from tests.delivery.experiments.living import Lab

from serinus.delivery.experiments.types import Action, View
from serinus.delivery.types import Phase
from serinus.errors import Conflict, InvalidInput, NotFound

# Where what is kept of one experiment is kept of another, one of them is tried on both databases.
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def lab(world: World) -> Lab:
    return Lab(world)


@ON_SQLITE
def test_better_challenger_is_promoted_at_the_planned_end(lab: Lab) -> None:
    begun = lab.start()
    assert begun.phase is Phase.RUNNING
    lab.send(300, wrong=(0.3, 0.1))
    lab.look()
    before = lab.experiments.evaluate(begun.id)
    assert before.view is View.BEFORE_THE_END
    assert all(item.p_value is None for item in before.findings)
    assert "No p-value yet" in before.validity
    lab.send(400, wrong=(0.3, 0.1))
    lab.look()
    ended = lab.now(begun)
    assert ended.phase is Phase.SUCCEEDED
    assert lab.world.registry.champion("fraud").version == "1.1.0"  # type: ignore[union-attr]
    report = lab.experiments.evaluate(begun.id)
    assert report.view is View.AT_THE_END
    assert report.winner == "1.1.0"
    assert report.progress.units == 600
    assert report.findings[0].p_adjusted is not None
    assert report.findings[0].p_adjusted < 0.001
    assert report.recommendation.action is Action.PROMOTE


@ON_SQLITE
def test_equal_challenger_leaves_the_champion(lab: Lab) -> None:
    begun = lab.start()
    lab.send(700, wrong=(0.2, 0.2))
    lab.look()
    ended = lab.now(begun)
    assert ended.phase is Phase.SUCCEEDED
    assert lab.world.registry.champion("fraud").version == "1.0.0"  # type: ignore[union-attr]
    assert "no difference is proven" in ended.reason
    report = lab.experiments.evaluate(begun.id)
    assert report.recommendation.action is Action.NO_DIFFERENCE


@ON_SQLITE
def test_harmful_challenger_is_rolled_back_before_the_end(lab: Lab) -> None:
    begun = lab.start(min_requests=100_000)
    lab.send(400, wrong=(0.1, 0.1), failing=(0.0, 0.5))
    lab.look()
    assert lab.now(begun).phase is Phase.ROLLED_BACK


@ON_SQLITE
def test_winner_waits_for_a_person_where_it_is_not_promoted_by_itself(lab: Lab) -> None:
    begun = lab.start(auto_promote=False)
    lab.send(700, wrong=(0.3, 0.1))
    lab.look()
    assert lab.now(begun).phase is Phase.PAUSED
    done = lab.experiments.promote_winner(begun.id, version=None, actor="ada", reason="")
    assert done.phase is Phase.SOAKING
    assert "Winner of the experiment" in done.reason
    again = lab.experiments.promote_winner(begun.id, version="1.1.0", actor="ada", reason="")
    assert again.phase is Phase.SOAKING


def test_best_of_several_becomes_the_deployments_challenger(lab: Lab) -> None:
    begun = lab.start(others=("1.2.0",), split=(0.3, 0.3), min_requests=900)
    lab.send(1_000, wrong=(0.4, 0.4, 0.1))
    lab.look()
    ended = lab.now(begun)
    assert (ended.phase, ended.challenger) == (Phase.SUCCEEDED, "1.2.0")
    assert lab.world.registry.champion("fraud").version == "1.2.0"  # type: ignore[union-attr]
    report = lab.experiments.evaluate(begun.id)
    assert [item.state for item in report.findings] == ["undecided", "better"]


def test_harmful_one_of_several_is_dropped_and_the_others_stay(lab: Lab) -> None:
    begun = lab.start(others=("1.2.0",), split=(0.3, 0.3), min_requests=2_000)
    lab.send(600, wrong=(0.2, 0.2, 0.2), failing=(0.0, 0.6, 0.0))
    lab.look()
    running = lab.now(begun)
    assert running.phase is Phase.RUNNING
    route = lab.world.delivery.routing().routes["fraud"]
    assert route.share == 0.0
    assert [item.share for item in route.others] == [0.3]
    report = lab.experiments.evaluate(begun.id)
    assert report.arms[1].dropped
    assert report.arms[0].share == pytest.approx(0.7)
    lab.send(600, wrong=(0.2, 0.2, 0.2), failing=(0.0, 0.0, 0.6))
    lab.look()
    ended = lab.now(begun)
    assert ended.phase is Phase.ROLLED_BACK


@ON_SQLITE
def test_requests_without_value_count_once_their_time_is_over(lab: Lab) -> None:
    begun = lab.start(metric="conversion", label_window_seconds=30.0)
    lab.send(700, wrong=(0.1, 0.1), worth=(0.1, 0.3))
    lab.look()
    assert lab.now(begun).phase is Phase.RUNNING
    lab.pass_time(60)
    report = lab.experiments.evaluate(begun.id)
    assert report.view is View.AT_THE_END
    assert report.arms[0].value == pytest.approx(0.1, abs=0.05)
    assert report.winner == "1.1.0"


def test_entities_are_the_units_where_they_are_drawn(lab: Lab) -> None:
    begun = lab.start(unit="entity", min_requests=80)
    for _ in range(4):
        lab.send(150, wrong=(0.3, 0.1), entities=60)
        lab.look(1)
    report = lab.experiments.evaluate(begun.id)
    assert report.counted_by == "entity"
    assert report.progress.units == 60
    assert sum(arm.requests for arm in report.arms) == 600


@ON_SQLITE
def test_shares_follow_what_was_learnt(lab: Lab) -> None:
    begun = lab.start(allocation="thompson", min_requests=3_000, label_window_seconds=1e4)
    for _ in range(4):
        lab.send(400, wrong=(0.4, 0.1))
        lab.look()
    assert lab.now(begun).phase is Phase.RUNNING
    assert lab.world.delivery.routing().routes["fraud"].share > 0.9
    report = lab.experiments.evaluate(begun.id)
    assert any("adaptive" in note for note in report.notes)
    assert report.winner == "1.1.0"


@ON_SQLITE
def test_history_has_every_experiment(lab: Lab) -> None:
    begun = lab.start()
    lab.send(700, wrong=(0.2, 0.2))
    lab.look()
    assert [item.id for item in lab.experiments.page(None, limit=5, after=None)] == [begun.id]
    assert lab.experiments.page("fraud", limit=5, after=begun.id) == []
    assert lab.experiments.page(None, limit=5, after=None, live=True) == []


@ON_SQLITE
def test_winner_that_nobody_is_cannot_be_promoted(lab: Lab) -> None:
    begun = lab.start()
    with pytest.raises(Conflict, match="no challenger is proven better"):
        lab.experiments.promote_winner(begun.id, version=None, actor="ada", reason="")
    with pytest.raises(NotFound):
        lab.experiments.evaluate("nothing")


@ON_SQLITE
def test_deployment_of_another_strategy_is_no_experiment(lab: Lab) -> None:
    begun = lab.world.delivery.create({"model": "fraud", "challenger": "1.1.0"}, actor="test")
    with pytest.raises(InvalidInput, match="strategy canary"):
        lab.experiments.evaluate(begun.id)
