"""Gateway workers in the store: the last word of each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Connection, insert, select, update

from serinus import clock
from serinus.delivery import turns
from serinus.delivery.reconcile import WorkerView
from serinus.store import schema
from serinus.wire import WorkerStatus

_WORKERS = schema.gateway_workers
_log = structlog.get_logger(__name__)


def read(connection: Connection, now: datetime, within: float) -> tuple[WorkerView, ...]:
    """The gateway workers that reported in the last ``within`` seconds.

    One that was killed is among them until that is over, beside the one that took its place: every
    process reports under a name of its own, and silence is all that tells that it is gone.
    """
    rows = connection.execute(
        select(_WORKERS)
        .where(_WORKERS.c.at >= now - timedelta(seconds=within))
        .order_by(_WORKERS.c.worker)
    )
    return tuple(
        WorkerView(
            row.worker, row.revision, tuple(row.ready), dict(row.failed), dict(row.circuits or {})
        )
        for row in rows
    )


def last_report(connection: Connection) -> datetime | None:
    """When any gateway worker reported last; None if none ever has."""
    query = select(_WORKERS.c.at).order_by(_WORKERS.c.at.desc()).limit(1)
    return connection.execute(query).scalar()


def write(connection: Connection, statuses: Iterable[WorkerStatus]) -> None:
    """Keep what workers reported; a status that cannot be kept stops no other."""
    for status in statuses:
        try:
            with connection.begin_nested():
                _write(connection, status)
        except Exception as error:
            if turns.is_everybodys(error):
                raise
            _log.exception("a worker's status cannot be kept", worker=status.worker)


def _write(connection: Connection, status: WorkerStatus) -> None:
    values = {
        "revision": status.revision,
        "ready": list(status.ready),
        "failed": status.failed,
        "circuits": status.circuits,
        "at": clock.from_epoch_us(status.at),
    }
    here = _WORKERS.c.worker == status.worker
    if connection.execute(update(_WORKERS).where(here).values(**values)).rowcount == 0:
        connection.execute(insert(_WORKERS).values(worker=status.worker, **values))
