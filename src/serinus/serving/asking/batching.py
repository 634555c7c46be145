"""All rows of one turn of the event loop share one model call per version and one record.

The flow: ``submit`` puts a row into its lane and asks for a turn; the turn calls each lane that
has rows, champions first, so that no challenger delays their answers; a row that its challenger
failed waits for the champion's next turn, and one that a champion failed goes to the former one
where that is kept warm; what is settled is recorded together, and then the requests are answered.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable

from serinus.errors import Overloaded
from serinus.serving.asking import lanes
from serinus.serving.asking.lanes import Lane
from serinus.serving.asking.live import LiveRoute
from serinus.serving.asking.rows import Row
from serinus.serving.types import Features, Outcome

OVERLOADED = "too many rows are waiting"
OVERDUE = "the deadline passed before it was asked"
UNTOLD = "the version did not say why"
EARLIEST_LIMIT_SECONDS = 0.001
"""The shortest deadline that a request may ask for."""

# What a version cannot help: its circuit is not opened for it.
_NO_FAULT = frozenset({OVERLOADED, OVERDUE})

_log = logging.getLogger("serinus.serving")

Record = Callable[[list[Row]], None]


class Batcher:
    """Gathers rows by version and answers them.

    Args:
        loop: the event loop.
        record: is given the rows that are settled, together, and wakes their requests.
        max_waiting: how many rows may wait for one version.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, record: Record, max_waiting: int = 8_192
    ) -> None:
        self._loop = loop
        self._record = record
        self._max_waiting = max_waiting
        self._waiting: dict[Lane, deque[Row]] = {}
        self._has_turn = False
        self._alarm: asyncio.Handle | None = None
        self._rings_at = math.inf

    @property
    def waiting(self) -> int:
        """How many rows wait for a model."""
        return sum(len(rows) for rows in self._waiting.values())

    def admit(self, live: LiveRoute, rows: int, seconds: float) -> None:
        """See that so many more rows can be answered within so many seconds.

        Raises:
            Overloaded: they cannot; nothing was done for them.
        """
        queue = self._waiting.get(live.champion)
        ahead = len(queue) if queue is not None else 0
        if ahead == 0:
            return
        wait = live.champion.expected_seconds(ahead + rows)
        if ahead + rows > self._max_waiting or wait > seconds:
            raise Overloaded(
                f"{ahead} rows are waiting already, which takes about {wait:.3g} s",
                where=live.route.model,
                remedy="Send again later, or start more workers.",
                retry_after=max(1, math.ceil(wait)),
            )

    def submit(self, row: Row) -> None:
        """Have a row answered by the version that it was assigned to."""
        assigned = row.assignment
        self._put(row.live.lane(assigned.arm, assigned.variant), row)

    def submit_many(self, rows: Iterable[Row]) -> None:
        """Have several rows answered, each by the version that it was assigned to."""
        by_lane: dict[Lane, list[Row]] = {}
        for row in rows:
            assigned = row.assignment
            lane = row.live.lane(assigned.arm, assigned.variant)
            by_lane.setdefault(lane, []).append(row)
        for lane, some in by_lane.items():
            self._waiting.setdefault(lane, deque()).extend(some)
            lane.pending += len(some)
        self.wake()

    def wake(self) -> None:
        """Take a turn soon: rows came, or a lane has become free."""
        if not self._has_turn:
            self._has_turn = True
            self._loop.call_soon(self._turn)

    def _put(self, lane: Lane, row: Row) -> None:
        rows = self._waiting.get(lane)
        if rows is None:
            rows = self._waiting[lane] = deque()
        rows.append(row)
        lane.pending += 1
        if not self._has_turn:
            self._has_turn = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._has_turn = False
        # A lane that has proven itself as a champion comes before those that have not.
        for is_champion in (True, False):
            settled: list[Row] = []
            for lane in [each for each in self._waiting if each.is_champion is is_champion]:
                self._serve(lane, settled)
                if not self._waiting[lane]:
                    del self._waiting[lane]
            if settled:
                self._record(settled)

    def _serve(self, lane: Lane, settled: list[Row]) -> None:
        queue = self._waiting[lane]
        while queue and not lane.busy and (count := self._ready_rows(lane, queue)):
            rows = [queue.popleft() for _ in range(count)]
            rows = self._in_time(lane, rows, settled)
            if not rows:
                continue
            self._ask(lane, rows, settled)
        if lane.stuck:
            self._refuse(lane, len(queue), lanes.TIMEOUT, settled)
        elif len(queue) > self._max_waiting:
            self._refuse(lane, len(queue) - self._max_waiting, OVERLOADED, settled)

    def _ask(self, lane: Lane, rows: list[Row], settled: list[Row]) -> None:
        try:
            features = _features(lane, rows)
            if not lane.is_inline(len(rows)):
                self._call_aside(lane, rows, features)
                return
            outcomes, seconds = lane.answer_here(features)
            _charge(rows, seconds)
        except Exception as error:
            # A fault of our own, since a model's is an outcome: nobody must wait for it in vain.
            _log.exception("rows could not be given to %s", lane.version)
            outcomes = [lanes.reason(error)] * len(rows)
        self._settle(lane, rows, outcomes, settled)

    def _ready_rows(self, lane: Lane, queue: deque[Row]) -> int:
        """How many of its rows a lane may be called with now; 0 leaves its turn to a rival."""
        count = min(len(queue), lanes.MAX_CALL_ROWS)
        if not lane.rivals:
            return count
        now = time.perf_counter()
        seconds = lane.wait_seconds(now)
        if seconds > 0.0:
            self._wake_in(seconds)
            return 0
        return count if lane.is_inline(count) else self._rows_of_round(lane, queue, count, now)

    def _rows_of_round(self, lane: Lane, queue: deque[Row], count: int, now: float) -> int:
        """How many rows came in time for the round that a lane and its rivals are in.

        All that wait when a round begins are answered in it, those of each lane in one call. If
        the lane that comes second took what came meanwhile, it would have the larger calls, and
        whoever never came to an end would leave no turn to the others.
        """
        if queue[0].started > lane.round.until:
            for rival in lane.rivals:
                rows = self._waiting.get(rival)
                is_due = rows and rows[0].started <= lane.round.until
                # One that cannot begin either is not waited for.
                if is_due and not (rival.busy or rival.wait_seconds(now)):
                    self.wake()
                    return 0
            lane.round.until = round(now * 1e9)
        due = itertools.takewhile(lambda row: row.started <= lane.round.until, queue)
        return max(1, sum(1 for _ in itertools.islice(due, count)))

    def _wake_in(self, seconds: float) -> None:
        when = self._loop.time() + seconds
        if self._rings_at <= when:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        # Kept beside the handle: uvloop's knows no time where it is less than a millisecond away.
        self._rings_at = when
        self._alarm = self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._alarm, self._rings_at = None, math.inf
        self.wake()

    def _in_time(self, lane: Lane, rows: list[Row], settled: list[Row]) -> list[Row]:
        """The rows that somebody still waits for; the others are settled without a call."""
        now = time.perf_counter()
        # Rows came in the order in which they wait, so the first tells whether any is late.
        if rows[0].started * 1e-9 + EARLIEST_LIMIT_SECONDS > now:
            return rows
        late = [row for row in rows if row.ticket.deadline < now]
        if not late:
            return rows
        for row in late:
            row.ticket.expire()
        self._settle(lane, late, [OVERDUE] * len(late), settled)
        return [row for row in rows if row.ticket.deadline >= now]

    def _call_aside(self, lane: Lane, rows: list[Row], features: list[Features]) -> None:
        def answered(outcomes: list[Outcome], seconds: float) -> None:
            _charge(rows, seconds)
            settled: list[Row] = []
            self._settle(lane, rows, outcomes, settled)
            if settled:
                self._record(settled)

        lane.answer_aside(features, answered)

    def _refuse(self, lane: Lane, count: int, why: str, settled: list[Row]) -> None:
        queue = self._waiting[lane]
        rows = [queue.pop() for _ in range(count)]
        self._settle(lane, rows, [why] * count, settled)

    def _settle(
        self, lane: Lane, rows: list[Row], outcomes: list[Outcome], settled: list[Row]
    ) -> None:
        lane.pending -= len(rows)
        now = time.monotonic()
        for row, outcome in zip(rows, outcomes, strict=True):
            row.answered_by = lane
            if not isinstance(outcome, str):
                row.output = outcome
                settled.append(row)
                if row.fallback:
                    _blame(row, lane, now)
                elif not lane.is_champion:
                    lane.breaker.note(1, 0, now)
            elif not row.fallback and (other := row.live.stand_in(lane)) is not None:
                row.fallback = outcome or UNTOLD
                self._put(other, row)
            else:
                row.failure = outcome or UNTOLD
                settled.append(row)


def _charge(rows: list[Row], seconds: float) -> None:
    took = round(seconds * 1e9)
    for row in rows:
        row.took += took


def _blame(row: Row, lane: Lane, now: float) -> None:
    """Count the failure of a challenger that the champion answered for."""
    if lane is row.live.champion and row.fallback not in _NO_FAULT:
        row.live.lane(row.assignment.arm, row.assignment.variant).breaker.note(0, 1, now)


def _features(lane: Lane, rows: list[Row]) -> list[Features]:
    return [
        row.live.features(row.features, lane.version) if row.live.projections else row.features
        for row in rows
    ]
