"""All rows of one turn of the event loop share one model call per version and one record.

The flow: ``submit`` puts a row into its lane and asks for a turn; the turn calls each lane that
has rows; a row that its challenger failed waits for the champion's next turn; whatever is
settled is recorded together, and then the requests wake up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from serinus.serving import lanes
from serinus.serving.lanes import Lane
from serinus.serving.rows import Row
from serinus.serving.types import Features, Outcome

MAX_WAITING = 8_192
OVERLOADED = "too many rows are waiting"

Record = Callable[[list[Row]], None]


class Batcher:
    """Gathers rows by version and answers them.

    Args:
        loop: the event loop.
        record: is given the rows that are settled, together, and wakes their requests.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, record: Record) -> None:
        self._loop = loop
        self._record = record
        self._waiting: dict[Lane, deque[Row]] = {}
        self._has_turn = False

    @property
    def waiting(self) -> int:
        """How many rows wait for a model."""
        return sum(len(rows) for rows in self._waiting.values())

    def submit(self, row: Row) -> None:
        """Have a row answered by the version that it was assigned to."""
        self._put(row.live.lane(row.assignment.arm), row)

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
        self.wake()

    def _turn(self) -> None:
        self._has_turn = False
        settled: list[Row] = []
        for lane in list(self._waiting):
            self._serve(lane, settled)
        for lane in [lane for lane, rows in self._waiting.items() if not rows]:
            del self._waiting[lane]
        if settled:
            self._record(settled)

    def _serve(self, lane: Lane, settled: list[Row]) -> None:
        queue = self._waiting[lane]
        while queue and not lane.busy:
            rows = [queue.popleft() for _ in range(min(len(queue), lanes.MAX_CALL_ROWS))]
            if lane.is_inline(len(rows)):
                self._settle(lane, rows, lane.answer_here(_features(lane, rows)), settled)
            else:
                self._call_aside(lane, rows)
        if lane.stuck:
            self._refuse(lane, len(queue), lanes.TIMEOUT, settled)
        elif len(queue) > MAX_WAITING:
            self._refuse(lane, len(queue) - MAX_WAITING, OVERLOADED, settled)

    def _call_aside(self, lane: Lane, rows: list[Row]) -> None:
        def answered(outcomes: list[Outcome], _seconds: float) -> None:
            settled: list[Row] = []
            self._settle(lane, rows, outcomes, settled)
            if settled:
                self._record(settled)

        lane.answer_aside(_features(lane, rows), answered)

    def _refuse(self, lane: Lane, count: int, why: str, settled: list[Row]) -> None:
        queue = self._waiting[lane]
        rows = [queue.pop() for _ in range(count)]
        self._settle(lane, rows, [why] * count, settled)

    def _settle(
        self, lane: Lane, rows: list[Row], outcomes: list[Outcome], settled: list[Row]
    ) -> None:
        for row, outcome in zip(rows, outcomes, strict=True):
            row.answered_by = lane
            if not isinstance(outcome, str):
                row.output = outcome
                settled.append(row)
            elif lane is not row.live.champion:
                row.fallback = outcome
                self._put(row.live.champion, row)
            else:
                row.failure = outcome
                settled.append(row)


def _features(lane: Lane, rows: list[Row]) -> list[Features]:
    return [row.live.features(row.features, lane.version) for row in rows]
