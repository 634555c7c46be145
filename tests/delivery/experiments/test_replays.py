"""Experiments computed again from the ledger: verdicts, evidence, sums and allocations."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import select, update
from tests.delivery.conftest import World
from tests.delivery.experiments.living import Lab

from serinus.delivery.experiments import repository
from serinus.delivery.folding import consumer as consumers
from serinus.delivery.folding.replay import Replay, Replays
from serinus.delivery.types import Phase
from serinus.ledger.files.reader import Reader
from serinus.store import schema
from serinus.store.engine import reading

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
THREE = {"others": ("1.2.0",), "split": (0.3, 0.3)}


@pytest.fixture
def lab(world: World, monkeypatch: pytest.MonkeyPatch) -> Lab:
    # Batches that end between a request and its label, and every look kept.
    monkeypatch.setattr(consumers, "BATCH", 83)
    monkeypatch.setattr("serinus.delivery.controller._KEEP_SECONDS", 0.0)
    return Lab(world)


def replay(lab: Lab, identity: str) -> Replay:
    found = Replays(lab.world.engine, Reader(lab.world.ledger)).replay(identity)
    assert found.mismatches == ()
    assert found.evidence_equal
    return found


def test_replay_of_a_dropped_challenger_and_a_winner_behind_it_is_exact(lab: Lab) -> None:
    """The first is dropped for harm, the second wins, is crowned, and has its soak."""
    begun = lab.start(**THREE, min_requests=900, soak_seconds=60.0, label_window_seconds=1e4)
    lab.send(300, wrong=(0.4, 0.4, 0.1), failing=(0.0, 0.7, 0.0))
    lab.look(1)
    lab.world.controller = Lab.controller(lab.world)
    lab.look()
    assert lab.world.delivery.routing().routes["fraud"].share == 0.0
    lab.send(800, wrong=(0.4, 0.4, 0.1), failing=(0.0, 0.7, 0.01))
    lab.look()
    now = lab.now(begun)
    assert (now.phase, now.challenger) == (Phase.SOAKING, "1.2.0")
    lab.send(100, wrong=(0.1, 0.1, 0.1))
    lab.look()
    found = replay(lab, begun.id)
    assert found.folds > 20
    assert found.looks >= 10
    with reading(lab.world.engine) as connection:
        table = schema.verdicts
        judged = connection.execute(select(table.c.deployment, table.c.challenger, table.c.verdict))
        assert (f"{begun.id}+0", "1.1.0", "rollback") in judged.all()


@ON_SQLITE
def test_replay_of_a_retried_experiment_of_two_is_exact(lab: Lab) -> None:
    begun = lab.start(min_requests=500)
    lab.send(200, wrong=(0.3, 0.1), worth=(0.0, 0.0))
    lab.send(100, wrong=(0.3, 0.1))
    lab.look()
    lab.world.delivery.abort(begun.id, actor="ada", reason="a look")
    lab.world.delivery.retry(begun.id, actor="ada", reason="go on")
    lab.look()
    lab.send(600, wrong=(0.3, 0.1))
    lab.look()
    assert lab.now(begun).phase is Phase.SUCCEEDED
    replay(lab, begun.id)


def test_replay_of_adaptive_allocation_is_exact(lab: Lab) -> None:
    begun = lab.start(allocation="thompson", min_requests=3_000, label_window_seconds=1e4)
    for _ in range(3):
        lab.send(400, wrong=(0.4, 0.1))
        lab.look()
    with reading(lab.world.engine) as connection:
        state = repository.load(connection, begun.id)
    assert state is not None
    assert state.allocations[-1].after[0] > 0.9
    replay(lab, begun.id)
    # A look that would have allocated otherwise is told.
    table = schema.experiments
    forged = msgspec.structs.replace(state.allocations[-1], after=(0.2,))
    with lab.world.engine.begin() as connection:
        rows = msgspec.to_builtins((*state.allocations[:-1], forged))
        connection.execute(update(table).values(allocations=rows))
    found = Replays(lab.world.engine, Reader(lab.world.ledger)).replay(begun.id)
    (mismatch,) = found.mismatches
    assert mismatch.recorded.startswith("shares (0.2,) after look")


@ON_SQLITE
def test_replay_finds_sums_that_were_changed(lab: Lab) -> None:
    begun = lab.start()
    lab.send(150, wrong=(0.3, 0.1))
    lab.look()
    replay(lab, begun.id)
    with lab.world.engine.begin() as connection:
        state = repository.load(connection, begun.id)
        assert state is not None
        state.sums.told[0].requests += 1
        repository.save_sums(connection, begun.id, state.sums, begun.created_at)
    assert not Replays(lab.world.engine, Reader(lab.world.ledger)).replay(begun.id).exact
