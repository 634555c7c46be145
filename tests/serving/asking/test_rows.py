import asyncio
import time

from tests.serving import scripted

from serinus import clock
from serinus.serving.asking.rows import arrival


def test_row_came_when_it_was_made_and_has_no_outcome_yet():
    async def scenario():
        before = clock.epoch_us(), time.perf_counter_ns()
        row = scripted.row(scripted.live_route(scripted.lane("1", scripted.saying(1))))
        after = arrival()
        assert before[0] <= row.at <= after[0]
        assert before[1] <= row.started <= after[1]
        assert (row.output, row.failure, row.error, row.answered_by) == (None, "", None, None)

    asyncio.run(scenario())


def test_row_has_its_routes_default_only_once_it_failed():
    async def scenario():
        lane = scripted.lane("1", scripted.saying(1))
        row = scripted.row(scripted.live_route(lane, default="no"))
        assert row.default is None
        row.failure = "it broke"
        assert row.default == "no"
        without = scripted.row(scripted.live_route(lane))
        without.failure = "it broke"
        assert without.default is None

    asyncio.run(scenario())
