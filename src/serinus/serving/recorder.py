"""Settled rows -> events in the ledger -> requests that wake up, in this order and no other.

An answer leaves only after its event is in the ledger; if the ledger does not take the events,
nobody is answered. An event that cannot be written refuses its own row and no other's. Whatever
happens, every request is woken.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from serinus.errors import InvalidInput, SerinusError
from serinus.ledger.types import Writer
from serinus.serving.counters import Counters
from serinus.serving.rows import Row
from serinus.wire import Event, Failure, Prediction

_log = logging.getLogger("serinus.serving")


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
            InvalidInput: one of them cannot be written; none was.
            SerinusError: the ledger did not take them; ``error`` is this until a write succeeds.
        """
        try:
            made = self._writer.append(events)
        except InvalidInput:
            raise
        except SerinusError as error:
            self.error = error
            self._counters.ledger_errors += 1
            raise
        self.error = None
        return made

    def append_each(self, events: Sequence[Event]) -> list[bytes | SerinusError]:
        """Write what can be written of some events: for each its id, or why it was refused.

        If they cannot be written together, each half is tried for itself, and so on: one bad
        event among n costs about 2 log n writes, not n.
        """
        try:
            return list(self.append(events))
        except InvalidInput as error:
            fault: SerinusError = error
        except SerinusError as error:
            return [error] * len(events)
        except Exception as error:
            _log.exception("an event cannot be written")
            fault = InvalidInput(f"the event cannot be written ({type(error).__name__})")
        if len(events) <= 1:
            return [fault] * len(events)
        half = len(events) // 2
        return self.append_each(events[:half]) + self.append_each(events[half:])

    def record(self, rows: list[Row]) -> None:
        """Write what became of rows, count it, and wake the requests that waited for it."""
        now = time.perf_counter_ns()
        try:
            made = self.append_each([_event(row, now) for row in rows])
            for row, result in zip(rows, made, strict=True):
                if isinstance(result, SerinusError):
                    row.error = result
                else:
                    row.id = result
                    self._counters.count(row, (now - row.started) / 1e9)
        except Exception:
            # A fault of our own: those whose rows are not recorded must hear of it, not wait.
            _log.exception("rows could not be recorded")
            for row in rows:
                if not row.id:
                    row.error = SerinusError("the gateway failed; see its log")
        finally:
            for row in rows:
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
