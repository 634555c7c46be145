"""Settled rows -> events in the ledger -> answers, in this order and no other.

An answer leaves only after its event is in the ledger; if the ledger does not take the events,
nobody is answered, unless the gateway was told to answer all the same. An event that cannot be
written refuses its own row and no other's. Whatever happens, every request is told.

A ledger that takes microseconds is written in the event loop. One that has to wait for a disk or
a network is written in a thread of its own, and whatever comes meanwhile shares its next write.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

from serinus.errors import InvalidInput, SerinusError
from serinus.ledger.types import Writer
from serinus.serving.asking.rows import Row
from serinus.serving.telling.counters import Counters
from serinus.serving.threads import Hand
from serinus.wire import Event, Failure, Prediction

Written: TypeAlias = "list[bytes | SerinusError]"
"""For each event its id, or why it is not in the ledger."""
Told: TypeAlias = Callable[[Written], None]

MOST_EVENTS = 4_096
"""So many go into one write of a slow ledger; a single larger piece goes as it is."""

_log = logging.getLogger("serinus.serving")


def _nothing(_rows: list[Row]) -> None:
    """What is done after rows are recorded, where nobody asks for anything."""


class Recorder:
    """The one way into the ledger for a worker; ``waiting_rows`` are on their way into it.

    Args:
        writer: the worker's own.
        counters: what was answered how fast.
        loop: the event loop; all methods are called in it.
        answers_unrecorded: whether answers leave though the ledger does not take their events.
    """

    def __init__(
        self,
        writer: Writer,
        counters: Counters,
        loop: asyncio.AbstractEventLoop,
        *,
        answers_unrecorded: bool = False,
    ) -> None:
        self._writer = writer
        self._counters = counters
        self._unrecorded = answers_unrecorded
        self._hand = None if writer.is_quick else Hand(loop, "ledger")
        self._queue: deque[tuple[Sequence[Event], Told]] = deque()
        self._is_writing = False
        self.waiting_rows = 0
        self.error: SerinusError | None = None

    def write(self, events: Sequence[Event], told: Told) -> None:
        """Write events, in their order; ``told`` is called in the loop, once they are written."""
        if self._hand is None:
            told(self._noted(append_each(self._writer, events)))
            return
        self._queue.append((events, told))
        if not self._is_writing:
            self._write_aside(self._hand)

    def record(self, rows: list[Row], then: Callable[[list[Row]], None] = _nothing) -> None:
        """Write what became of rows, count it, and answer the requests that waited for it.

        ``then`` is called once that is done: with a slow ledger, later.
        """
        try:
            events = [_event(row) for row in rows]
        except Exception:
            # A fault of our own: those whose rows are not recorded must hear of it, not wait.
            _log.exception("rows could not be recorded")
            self._settle(rows, [SerinusError("the gateway failed; see its log")] * len(rows))
            return

        def told(made: Written) -> None:
            self.waiting_rows -= len(rows)
            self._settle(rows, made)
            then(rows)

        self.waiting_rows += len(rows)
        self.write(events, told)

    def close(self) -> None:
        """Let the thread go, if there is one."""
        if self._hand is not None:
            self._hand.close()

    @property
    def waiting(self) -> int:
        """How many writes wait for the one that is under way."""
        return len(self._queue) + self._is_writing

    def _write_aside(self, hand: Hand) -> None:
        batch = [self._queue.popleft()]
        size = len(batch[0][0])
        while self._queue and size + len(self._queue[0][0]) <= MOST_EVENTS:
            batch.append(self._queue.popleft())
            size += len(batch[-1][0])
        self._is_writing = True
        events = [event for some, _ in batch for event in some]

        def done(made: Written | None, error: Exception | None) -> None:
            self._is_writing = False
            if made is None:
                _log.error("the ledger's writer failed: %s", error)
                made = [SerinusError("the gateway failed; see its log")] * len(events)
            self._noted(made)
            start = 0
            for some, told in batch:
                try:
                    told(made[start : start + len(some)])
                except Exception:
                    _log.exception("what waited for the ledger failed")
                start += len(some)
            if self._queue and not self._is_writing:
                self._write_aside(hand)

        hand.run(lambda: append_each(self._writer, events), done)

    def _noted(self, made: Written) -> Written:
        """Take note of whether the ledger takes events; ``error`` is why not, until it does."""
        refused = [
            one
            for one in made
            if isinstance(one, SerinusError) and not isinstance(one, InvalidInput)
        ]
        if refused:
            self.error = refused[0]
            self._counters.ledger_errors += 1
        elif made:
            self.error = None
        return made

    def _settle(self, rows: list[Row], made: Written) -> None:
        now = time.perf_counter_ns()
        for row, result in zip(rows, made, strict=True):
            try:
                self._tell(row, result, now)
            except Exception:
                _log.exception("a row could not be answered")

    def _tell(self, row: Row, result: bytes | SerinusError, now: int) -> None:
        if not isinstance(result, SerinusError):
            row.id = result
        elif self._unrecorded and not isinstance(result, InvalidInput):
            self._counters.unrecorded += 1
        else:
            row.error = result
        if row.error is None:
            self._counters.count(row, (now - row.started) / 1e9)
        row.ticket.settle()


def append_each(writer: Writer, events: Sequence[Event]) -> Written:
    """Write what can be written of some events: for each its id, or why it was refused.

    If they cannot be written together, each half is tried for itself, and so on: one bad event
    among n costs about 2 log n writes, not n.
    """
    try:
        made: Written = list(writer.append(events))
    except InvalidInput as error:
        fault: SerinusError = error
    except SerinusError as error:
        return [error] * len(events)
    except Exception as error:
        _log.exception("an event cannot be written")
        fault = InvalidInput(f"the event cannot be written ({type(error).__name__})")
    else:
        if len(made) == len(events):
            return made
        fault = SerinusError("the ledger lost count; see the gateway's log")
        _log.error("%d events were given to the ledger and %d ids came", len(events), len(made))
        return [fault] * len(events)
    if len(events) <= 1:
        return [fault] * len(events)
    half = len(events) // 2
    return append_each(writer, events[:half]) + append_each(writer, events[half:])


def _event(row: Row) -> Event:
    latency_us = row.took // 1_000
    version = row.answered_by.version if row.answered_by is not None else ""
    live = row.live
    features = live.features(row.features, version) if live.projections else row.features
    if row.output is None:
        # Who has left was answered nothing.
        default = None if row.ticket.is_over else row.default
        told = (version, row.failure, latency_us, row.fallback, default, features)
        return Failure(row.at, row.assignment, *told)
    return Prediction(
        row.at, row.assignment, version, features, row.output, latency_us, row.fallback
    )
