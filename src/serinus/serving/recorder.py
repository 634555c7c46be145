"""Settled rows -> events in the ledger -> requests that wake up, in this order and no other.

An answer leaves only after its event is in the ledger; if the ledger does not take the events,
nobody is answered.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from serinus.errors import SerinusError
from serinus.ledger.writer import Writer
from serinus.serving.counters import Counters
from serinus.serving.rows import Row
from serinus.wire import Event, Failure, Prediction


class Recorder:
    """The one way into the ledger for a worker.

    Args:
        writer: the worker's own.
        counters: what was answered how fast.
    """

    def __init__(self, writer: Writer, counters: Counters) -> None:
        self._writer = writer
        self._counters = counters
        self.error: SerinusError | None = None

    def append(self, events: Sequence[Event]) -> list[bytes]:
        """Write events; their ids.

        Raises:
            SerinusError: the ledger did not take them; ``error`` is this until a write succeeds.
        """
        try:
            made = self._writer.append(events)
        except SerinusError as error:
            self.error = error
            self._counters.ledger_errors += 1
            raise
        self.error = None
        return made

    def record(self, rows: list[Row]) -> None:
        """Write what became of rows, count it, and wake the requests that waited for it."""
        now = time.perf_counter_ns()
        try:
            made = self.append([_event(row, now) for row in rows])
        except SerinusError as error:
            for row in rows:
                row.error = error
                row.ticket.settle()
            return
        for row, id in zip(rows, made, strict=True):
            row.id = id
            self._counters.count(row, (now - row.started) / 1e9)
            row.ticket.settle()


def _event(row: Row, now: int) -> Event:
    latency_us = (now - row.started) // 1_000
    version = row.answered_by.version if row.answered_by is not None else ""
    if row.output is None:
        return Failure(row.at, row.assignment, version, row.failure, latency_us)
    return Prediction(
        row.at,
        row.assignment,
        version,
        row.live.features(row.features, version),
        row.output,
        latency_us,
        row.fallback,
    )
