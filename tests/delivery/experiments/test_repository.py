"""Experiments in the store: states, entities, and requests that wait."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Engine

from serinus.delivery.experiments import repository
from serinus.delivery.experiments.fold import Draw, UnitSums
from serinus.delivery.experiments.repository import State
from serinus.delivery.experiments.sums import Sums
from serinus.delivery.experiments.types import Allocation, Grouping, Setup

MADE = Allocation(2, (1,), (0.5, 0.0), (0.9, 0.0))
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SETUP = Setup("classification", (0, "b"), 1, (Grouping("age", 0, cuts=(1.5,)),))


def test_state_comes_back_as_it_was(engine: Engine) -> None:
    state = State(SETUP, (0.2, 0.0), {1: "It failed."}, Sums(began_at=7), (MADE,))
    with engine.begin() as connection:
        assert repository.load(connection, "d1") is None
        repository.save(connection, "d1", state, NOON)
        repository.save(connection, "d1", state, NOON)
        found = repository.load(connection, "d1")
        assert found is not None
        assert found == state
        assert repository.shares(connection, ["d1", "d2"]) == {"d1": (0.2, 0.0)}


def test_counting_and_steering_overwrite_nothing_of_each_other(engine: Engine) -> None:
    with engine.begin() as connection:
        repository.save(connection, "d1", State(SETUP, (0.5,), {}, Sums()), NOON)
        stale = State(SETUP, (0.9,), {0: "It failed."}, Sums(), (MADE,))
        repository.save_sums(connection, "d1", Sums(began_at=9), NOON)
        repository.save_steering(connection, "d1", stale, NOON)
        found = repository.load(connection, "d1")
    assert found is not None
    assert (found.shares, found.allocated, found.sums.began_at) == ((0.9,), 2, 9)


def test_entities_are_kept_and_changed(engine: Engine) -> None:
    one = UnitSums(1, 0, 2.0, 3.0, 0.5, (1, 2))
    with engine.begin() as connection:
        repository.save_units(connection, "d1", {-5: one})
        repository.save_units(connection, "d1", {-5: UnitSums(1, 0, 4.0, 5.0, 0.5, (1, 2))})
        found = repository.units(connection, "d1", range(-600, 600))
        assert found == {-5: UnitSums(1, 0, 4.0, 5.0, 0.5, (1, 2))}
        repository.forget(connection, "d1")
        assert repository.units(connection, "d1", [-5]) == {}


def test_requests_wait_in_their_order_whichever_came_first(engine: Engine) -> None:
    draws = {bytes([n]) * 16: (n * 100, Draw(n % 2, (0.5,), 0, 1)) for n in range(1, 6)}
    with engine.begin() as connection:
        # The third's label was read before the request, the fourth's never comes.
        repository.wait(connection, "d1", {}, {bytes([3]) * 16: (300, 1)})
        told = {bytes([n]) * 16: (n * 100, 1) for n in (1, 2, 5)}
        repository.wait(connection, "d1", draws, told)
        repository.wait(connection, "d1", {}, {bytes([1]) * 16: (100, 0)})
        (page,) = list(repository.settled(connection, "d1", 0))
        assert [(item.at, item.outcome) for item in page] == [(100, 1), (200, 1), (300, 1)]
        assert repository.oldest(connection, "d1") == 400
        (rest,) = list(repository.settled(connection, "d1", 400))
        assert [(item.at, item.outcome) for item in rest] == [(400, None), (500, 1)]
        assert repository.oldest(connection, "d1") is None
