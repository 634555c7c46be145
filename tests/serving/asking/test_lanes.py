import asyncio
import threading
import time

import pytest
from tests.serving import scripted

from serinus.serving.asking import lanes
from serinus.wire import Output

ROW = (1.0, 2.0, 3.0, 4.0)


def aside(lane, rows):
    """What a call in the lane's thread answers, awaitable."""
    future = asyncio.get_running_loop().create_future()
    lane.answer_aside(rows, lambda outcomes, seconds: future.set_result(outcomes))
    return future


def test_lane_that_is_trusted_and_cheap_is_called_in_the_loop():
    async def scenario():
        runtime = scripted.saying(1)
        lane = scripted.lane("1", runtime)
        lane.measure()
        assert lane.is_inline(10)
        assert lane.answer_here([ROW])[0] == [Output(1)]
        assert runtime.threads[-1] is threading.main_thread()

    asyncio.run(scenario())


def test_lane_has_to_prove_itself_in_its_own_thread():
    async def scenario():
        runtime = scripted.saying(1)
        lane = scripted.lane("1", runtime, inline=False)
        for _ in range(lanes.PROVING_CALLS):
            assert not lane.is_inline(1)
            assert await aside(lane, [ROW]) == [Output(1)]
        assert lane.is_inline(1)
        assert threading.main_thread() not in runtime.threads

    asyncio.run(scenario())


def test_lane_is_called_in_the_loop_only_where_its_rivals_are_too():
    async def scenario():
        champion, challenger = (scripted.lane(name, scripted.saying(1)) for name in "12")
        challenger.mistrust()
        champion.rivals, challenger.rivals = (challenger,), (champion,)
        assert champion.is_inline(1)
        assert challenger.is_inline(1)
        # Too dear for a challenger, not for a champion: now both go aside.
        challenger._call_seconds = 2 * lanes.CHALLENGER_INLINE_SECONDS
        assert not champion.is_inline(1)
        assert not challenger.is_inline(1)
        champion.rivals = ()
        assert champion.is_inline(1)

    asyncio.run(scenario())


def test_lane_leaves_a_rival_at_work_to_itself_for_a_few_calls_of_its_own():
    async def scenario():
        held = scripted.Held(1)
        champion, challenger = scripted.lane("1", scripted.saying(1)), scripted.lane("2", held)
        champion.rivals = (challenger,)
        champion._call_seconds, champion._row_seconds = 0.1, 0.01
        assert champion.wait_seconds(0.0) == 0.0
        begun = aside(challenger, [ROW] * 10)
        at = challenger._called_at
        patient = lanes.PATIENT_CALLS * 0.2 + lanes.PATIENT_SECONDS
        assert champion.wait_seconds(at) == pytest.approx(patient)
        assert champion.wait_seconds(at + patient) == 0.0
        held.release.set()
        await begun
        assert champion.wait_seconds(at) == 0.0

    asyncio.run(scenario())


@pytest.mark.parametrize("steady", [True, False])
def test_lane_is_charged_with_work_or_with_time(steady):
    """What only reckons is not slow because the machine is; what waits by itself is."""

    def answer(rows):
        time.sleep(0.02)
        return [Output(1)] * len(rows)

    async def scenario():
        runtime = scripted.Scripted(answer)
        runtime.is_steady = steady
        lane = scripted.lane("1", runtime)
        _, own = lane.answer_here([ROW])
        assert (own >= 0.02) is not steady
        future = asyncio.get_running_loop().create_future()
        lane.answer_aside([ROW], lambda _, seconds: future.set_result(seconds))
        assert (await future >= 0.02) is not steady

    asyncio.run(scenario())


def test_lane_that_is_dear_is_never_called_in_the_loop():
    async def scenario():
        runtime = scripted.Scripted(lambda rows: (threading.Event().wait(0.006), [Output(1)])[1])
        lane = scripted.lane("1", runtime)
        lane.measure()
        assert not lane.is_inline(1)

    asyncio.run(scenario())


def test_lane_that_was_slow_once_has_to_prove_itself_again(monkeypatch):
    monkeypatch.setattr(lanes, "SLOW_SECONDS", 0.0)

    async def scenario():
        lane = scripted.lane("1", scripted.saying(1))
        lane.answer_here([ROW])
        assert not lane.is_inline(1)

    asyncio.run(scenario())


def test_lane_row_that_raises_fails_alone():
    def answer(rows):
        if any(row[0] < 0 for row in rows):
            raise ValueError("negative\nand more")
        return [Output(1)] * len(rows)

    async def scenario():
        lane = scripted.lane("1", scripted.Scripted(answer))
        bad = (-1.0, 0.0, 0.0, 0.0)
        expected = [Output(1), "ValueError: negative", Output(1)]
        assert lane.answer_here([ROW, bad, ROW])[0] == expected
        assert await aside(lane, [ROW, bad, ROW]) == expected

    asyncio.run(scenario())


def test_lane_model_that_exits_fails_its_row_only():
    def answer(rows):
        raise SystemExit(3)

    async def scenario():
        lane = scripted.lane("1", scripted.Scripted(answer))
        assert lane.answer_here([ROW, ROW])[0] == ["SystemExit: 3"] * 2
        assert await aside(lane, [ROW]) == ["SystemExit: 3"]

    asyncio.run(scenario())


def test_lane_answers_of_another_number_are_no_answers():
    async def scenario():
        lane = scripted.lane("1", scripted.Scripted(lambda rows: [Output(1)]))
        assert lane.answer_here([ROW, ROW])[0] == ["1 answers to 2 rows"] * 2

    asyncio.run(scenario())


def test_lane_that_takes_too_long_is_stuck_until_it_returns():
    async def scenario():
        free = asyncio.Event()
        runtime = scripted.Held(1)
        lane = scripted.lane("1", runtime, timeout=0.02, freed=free.set)
        assert await aside(lane, [ROW, ROW]) == [lanes.TIMEOUT] * 2
        assert lane.stuck
        assert lane.busy
        assert not free.is_set()
        runtime.release.set()
        await asyncio.wait_for(free.wait(), 5)
        assert not lane.stuck
        assert not lane.busy
        assert await aside(lane, [ROW]) == [Output(1)]

    asyncio.run(scenario())


def test_reason_is_one_short_line():
    assert lanes.reason(ValueError("a\nb")) == "ValueError: a"
    assert len(lanes.reason(ValueError("x" * 1_000))) == 200


def test_lane_remembers_answers_but_not_during_a_deployment():
    async def scenario():
        runtime = scripted.saying(1)
        loop = asyncio.get_running_loop()
        lane = lanes.Lane(
            "1", runtime, loop, timeout_seconds=5, freed=lambda: None, remembered_rows=10
        )
        row = [(1.0, 0.0, 0.0, 0.0)]
        for allowed, calls in ((True, 1), (True, 1), (False, 2), (False, 3), (True, 3)):
            lane.remember(allowed=allowed)
            assert lane.answer_here(row)[0] == [Output(1)]
            assert len(runtime.calls) == calls

    asyncio.run(scenario())


def test_lane_of_a_new_role_has_a_new_circuit():
    async def scenario():
        lane = scripted.lane("1", scripted.saying(1))
        lane.mistrust()
        lane.breaker.note(0, 100, 0.0)
        opened = lane.breaker
        lane.mistrust()
        assert lane.breaker is opened
        lane.trust()
        assert lane.breaker is not opened

    asyncio.run(scenario())
