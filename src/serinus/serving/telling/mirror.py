"""The shadow: the challenger's answers to requests that the champion has had already.

What the champion failed is mirrored as well: were only the challenger's failures ever counted,
a twin of the champion would look worse than it.

It runs only in the challenger's own thread, behind the rows that a client waits for; what does
not fit into its bounded queue is shed, first and counted. Some of these requests are answered once
more by the champion's clone, a second instance of it with a thread of its own, since the first one
has clients: what the two say differently is noise.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import msgspec

from serinus import clock
from serinus.errors import SerinusError
from serinus.serving.asking.lanes import Lane
from serinus.serving.asking.live import LiveRoute
from serinus.serving.asking.rows import Row
from serinus.serving.telling.counters import Counters
from serinus.serving.telling.recorder import Told, Written
from serinus.serving.types import Outcome
from serinus.wire import Arm, Event, Output, Shadow

CALL_ROWS = 64

Write: TypeAlias = Callable[[Sequence[Event], Told], None]


@dataclass(frozen=True)
class _Pair:
    """A row that waits to be scored again, and the champion's answer to it; None if that failed.

    ``is_cloned`` says whether the champion is to answer it once more after the challenger.
    """

    row: Row
    champion: Output | None
    is_cloned: bool


FindClone: TypeAlias = Callable[[LiveRoute], "Lane | None"]
"""Another instance of a route's champion, None while there is none: the first one has clients."""


class Mirror:
    """Feeds challengers with copies of answered rows, and clones of champions with some of these.

    Args:
        max_rows: how many may wait.
        counters: where shed and mirrored rows are counted.
        write: events into the ledger.
        find_clone: finds who answers for the champion once more.
    """

    def __init__(
        self, max_rows: int, counters: Counters, write: Write, find_clone: FindClone
    ) -> None:
        self._queues: dict[tuple[Arm, Lane], deque[_Pair]] = {}
        self._waiting = {Arm.SHADOW: 0, Arm.CLONE: 0}
        # What is less important is shed first.
        self._most = {Arm.SHADOW: max_rows, Arm.CLONE: max_rows // 4}
        self._counters = counters
        self._write = write
        self._find_clone = find_clone
        self._random = random.Random()

    @property
    def waiting(self) -> int:
        """How many rows wait for their shadow or clone."""
        return sum(self._waiting.values())

    def take(self, rows: Iterable[Row]) -> bool:
        """Take settled rows, those that are to be mirrored; whether there were any."""
        return sum([self._offer(row) for row in rows if row.live.mirrors]) > 0

    def feed(self) -> None:
        """Give each lane that is free its next rows."""
        for arm, lane in [place for place in self._queues if not place[1].busy]:
            queue = self._queues[arm, lane]
            self._call(arm, lane, [queue.popleft() for _ in range(min(len(queue), CALL_ROWS))])
            if not queue:
                del self._queues[arm, lane]

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
        clone = live.route.clone
        is_cloned = clone > 0.0 and self._random.random() < clone
        # What another answered for it, the champion has failed.
        pair = _Pair(row, None if row.fallback else row.output, is_cloned)
        return self._put(Arm.SHADOW, lane, pair)

    def _put(self, arm: Arm, lane: Lane | None, pair: _Pair) -> bool:
        if lane is None or self._waiting[arm] >= self._most[arm]:
            self._counters.shed += 1
            return False
        self._waiting[arm] += 1
        lane.pending += 1
        self._queues.setdefault((arm, lane), deque()).append(pair)
        return True

    def _call(self, arm: Arm, lane: Lane, pairs: list[_Pair]) -> None:
        def answered(outcomes: list[Outcome], seconds: float) -> None:
            each_us = round(seconds * 1e6 / len(pairs))
            self._waiting[arm] -= len(pairs)
            lane.pending -= len(pairs)
            self._write(
                [
                    _event(arm, pair, lane.version, outcome, each_us)
                    for pair, outcome in zip(pairs, outcomes, strict=True)
                ],
                partial(self._count, arm),
            )
            # Behind the shadows in the ledger: who meets a clone has met its shadow.
            if arm is Arm.SHADOW:
                for pair in pairs:
                    if pair.is_cloned:
                        self._put(Arm.CLONE, self._find_clone(pair.row.live), pair)

        features = [pair.row.live.features(pair.row.features, lane.version) for pair in pairs]
        lane.answer_aside(features, answered)

    def _count(self, arm: Arm, made: Written) -> None:
        lost = sum(isinstance(one, SerinusError) for one in made)
        self._counters.shed += lost
        if arm is Arm.SHADOW:
            self._counters.mirrored += len(made) - lost
        else:
            self._counters.cloned += len(made) - lost


def _event(arm: Arm, pair: _Pair, version: str, outcome: Outcome, latency_us: int) -> Shadow:
    return Shadow(
        at=clock.epoch_us(),
        prediction=pair.row.id,
        assignment=msgspec.structs.replace(pair.row.assignment, arm=arm),
        version=version,
        champion=pair.champion,
        output=None if isinstance(outcome, str) else outcome,
        latency_us=latency_us,
        failure=outcome if isinstance(outcome, str) else "",
    )
