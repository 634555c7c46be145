"""The shadow: the challenger's answers to requests that the champion has had already.

What the champion failed is mirrored as well: were only the challenger's failures ever counted,
a twin of the champion would look worse than it.

It runs only in the challenger's own thread, behind the rows that a client waits for; what does
not fit into its bounded queue is shed, first and counted.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from serinus import clock
from serinus.errors import SerinusError
from serinus.serving.counters import Counters
from serinus.serving.lanes import Lane
from serinus.serving.recorder import Told, Written
from serinus.serving.rows import Row
from serinus.serving.types import Outcome
from serinus.wire import Arm, Event, Output, Shadow

CALL_ROWS = 64

Write: TypeAlias = Callable[[Sequence[Event], Told], None]


@dataclass(frozen=True)
class _Pair:
    """A row that waits for its shadow, and the champion's answer to it; None if that failed."""

    row: Row
    champion: Output | None


class Mirror:
    """Feeds challengers with copies of answered rows.

    Args:
        max_rows: how many may wait.
        counters: where shed and mirrored rows are counted.
        write: events into the ledger.
    """

    def __init__(self, max_rows: int, counters: Counters, write: Write) -> None:
        self._queues: dict[Lane, deque[_Pair]] = {}
        self._waiting = 0
        self._max_rows = max_rows
        self._counters = counters
        self._write = write
        self._random = random.Random()

    @property
    def waiting(self) -> int:
        """How many rows wait for their shadow."""
        return self._waiting

    def take(self, rows: Iterable[Row]) -> bool:
        """Take settled rows, those that are to be mirrored; whether there were any."""
        return sum([self._offer(row) for row in rows if row.live.mirrors]) > 0

    def feed(self) -> None:
        """Give each challenger that is free its next rows."""
        for lane in [lane for lane in self._queues if not lane.busy]:
            queue = self._queues[lane]
            self._call(lane, [queue.popleft() for _ in range(min(len(queue), CALL_ROWS))])
            if not queue:
                del self._queues[lane]

    def _offer(self, row: Row) -> bool:
        live = row.live
        share, lane = live.route.mirror, live.challenger
        # Without an id it is not in the ledger: there is no event that a shadow could be of.
        if lane is None or not row.id:
            return False
        if row.assignment.arm is not Arm.CHAMPION or not row.assignment.deployment:
            return False
        if share < 1.0 and self._random.random() >= share:
            return False
        if self._waiting >= self._max_rows:
            self._counters.shed += 1
            return False
        self._waiting += 1
        lane.pending += 1
        self._queues.setdefault(lane, deque()).append(_Pair(row, row.output))
        return True

    def _call(self, lane: Lane, pairs: list[_Pair]) -> None:
        def answered(outcomes: list[Outcome], seconds: float) -> None:
            each_us = round(seconds * 1e6 / len(pairs))
            self._waiting -= len(pairs)
            lane.pending -= len(pairs)
            self._write(
                [
                    _shadow(pair, lane.version, outcome, each_us)
                    for pair, outcome in zip(pairs, outcomes, strict=True)
                ],
                self._count,
            )

        features = [pair.row.live.features(pair.row.features, lane.version) for pair in pairs]
        lane.answer_aside(features, answered)

    def _count(self, made: Written) -> None:
        lost = sum(isinstance(one, SerinusError) for one in made)
        self._counters.shed += lost
        self._counters.mirrored += len(made) - lost


def _shadow(pair: _Pair, version: str, outcome: Outcome, latency_us: int) -> Shadow:
    return Shadow(
        at=clock.epoch_us(),
        prediction=pair.row.id,
        assignment=msgspec.structs.replace(pair.row.assignment, arm=Arm.SHADOW),
        version=version,
        champion=pair.champion,
        output=None if isinstance(outcome, str) else outcome,
        latency_us=latency_us,
        failure=outcome if isinstance(outcome, str) else "",
    )
