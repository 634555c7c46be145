"""Gateway workers in the store."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine, insert, select
from structlog.testing import capture_logs
from tests.delivery.samples import NOON

from serinus import clock
from serinus.delivery.records import workers
from serinus.store import schema
from serinus.wire import WorkerStatus

LATER = NOON + timedelta(minutes=5)


def test_workers_are_those_that_reported_lately(engine: Engine) -> None:
    rows = [
        {"worker": name, "revision": 1, "ready": ["fraud@1.0.0"], "failed": {}, "at": at}
        for name, at in (("old", NOON), ("new", LATER))
    ]
    with engine.begin() as connection:
        assert workers.last_report(connection) is None
        connection.execute(insert(schema.gateway_workers), rows)
        assert workers.last_report(connection) == LATER
        (view,) = workers.read(connection, LATER + timedelta(seconds=3), 10.0)
    assert (view.worker, view.ready, view.failed) == ("new", ("fraud@1.0.0",), {})


def test_the_last_word_of_each_is_kept_and_one_that_cannot_be_stops_nobody(engine: Engine) -> None:
    at = clock.to_epoch_us(LATER)
    good = [WorkerStatus(at, "w", number, ("fraud@1.0.0",), {}) for number in (1, 2)]
    endless = WorkerStatus(1 << 62, "x", 1, (), {})
    with engine.begin() as connection, capture_logs() as said:
        workers.write(connection, [endless, *good])
        table = schema.gateway_workers
        kept = connection.execute(select(table.c.worker, table.c.revision)).all()
    assert [tuple(row) for row in kept] == [("w", 2)]
    assert [line["worker"] for line in said] == ["x"]


def test_killed_worker_is_counted_beside_its_successor_until_it_was_silent(engine: Engine) -> None:
    at = clock.to_epoch_us(NOON)
    with engine.begin() as connection:
        workers.write(connection, [WorkerStatus(at, "killed", 1, (), {})])
        workers.write(connection, [WorkerStatus(at + 4_000_000, "successor", 1, (), {})])
        told = [
            [view.worker for view in workers.read(connection, NOON + timedelta(seconds=late), 10.0)]
            for late in (5, 11)
        ]
    assert told == [["killed", "successor"], ["successor"]]
