"""From the ledger into the store: what is waited for, until when, and exactly once."""

from __future__ import annotations

import pytest
from tests.delivery.conftest import World
from tests.delivery.experiments.living import SECOND, Lab

from serinus.delivery.experiments import measuring, repository
from serinus.delivery.experiments.repository import State
from serinus.delivery.types import Deployment
from serinus.ledger.files.reader import Reader
from serinus.store.engine import reading
from serinus.wire import Label, Prediction, WorkerStatus

# Where what is kept of one experiment is kept of another, one of them is tried on both databases.
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def lab(world: World) -> Lab:
    return Lab(world)


def state(lab: Lab, begun: Deployment) -> State:
    with reading(lab.world.engine) as connection:
        found = repository.load(connection, begun.id)
    assert found is not None
    return found


def test_everything_was_read_until_the_gateway_that_is_furthest_behind() -> None:
    def word(writer: bytes, at: int) -> tuple[bytes, WorkerStatus]:
        return writer + bytes(12), WorkerStatus(at, "w", 1, (), {})

    records = [word(b"aaaa", 50), word(b"bbbb", 20), word(b"aaaa", 90), word(b"bbbb", 30)]
    assert measuring.read_through(records) == 30
    assert measuring.read_through([]) == 0


@ON_SQLITE
def test_label_after_its_window_counts_as_none(lab: Lab) -> None:
    begun = lab.start(label_window_seconds=60.0)
    route = lab.world.delivery.routing().routes["fraud"]
    lab.send(40, wrong=(0.1, 0.1), worth=(0.0, 0.0))
    lab.look()
    identity, event = _predictions(lab)[0]
    late = event.at + 61 * SECOND
    lab.world.write(
        [Label(late, identity, 0, event.at, event.assignment, event.version, event.output)]
    )
    lab.at = late
    lab.pass_time(30)
    found = state(lab, begun).sums
    assert route.deployment == begun.id
    assert sum(told.requests for told in found.told.values()) == 40
    assert sum(told.labelled for told in found.told.values()) == 0
    assert found.units == 0


def _predictions(lab: Lab) -> list[tuple[bytes, Prediction]]:
    batch = Reader(lab.world.ledger).read({}, 10_000)
    return [(item.id, item.event) for item in batch.records if isinstance(item.event, Prediction)]


def test_requests_that_wait_are_settled_in_their_order(lab: Lab) -> None:
    begun = lab.start(label_window_seconds=600.0)
    lab.send(10, wrong=(0.1, 0.1), worth=(0.0, 0.0))
    lab.send(50, wrong=(0.1, 0.1))
    lab.look()
    # The first ten have no label yet, so nobody behind them counts.
    assert state(lab, begun).sums.units == 0
    lab.pass_time(700)
    found = state(lab, begun).sums
    assert found.units == 50
    assert sum(told.requests for told in found.told.values()) == 60


@ON_SQLITE
def test_a_second_controller_counts_nothing_twice(lab: Lab) -> None:
    begun = lab.start()
    lab.send(100, wrong=(0.1, 0.1))
    lab.look()
    before = state(lab, begun).sums.encode()
    again = Lab.controller(lab.world)
    again.run_once()
    again.run_once()
    assert state(lab, begun).sums.encode() == before


@ON_SQLITE
def test_nothing_is_remembered_of_requests_after_the_end(lab: Lab) -> None:
    begun = lab.start(auto_promote=False, min_requests=100)
    lab.send(400, wrong=(0.1, 0.1))
    lab.look()
    assert state(lab, begun).sums.units == 100
    with reading(lab.world.engine) as connection:
        assert repository.oldest(connection, begun.id) is None
        assert repository.units(connection, begun.id, range(10)) == {}


@ON_SQLITE
def test_latency_needs_no_label(lab: Lab) -> None:
    begun = lab.start(metric="latency", min_requests=5_000)
    lab.send(100, wrong=(0.1, 0.1), worth=(0.0, 0.0))
    lab.look()
    found = state(lab, begun).sums
    assert found.units == 100
    assert sum(sum(bins.values()) for bins in found.spread.values()) == 100
