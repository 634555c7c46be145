import asyncio
import time
from statistics import median

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving import scripted

from serinus.errors import Overloaded
from serinus.serving.asking import batching, lanes
from serinus.serving.asking.batching import Batcher
from serinus.serving.asking.breaker import Circuit
from serinus.wire import Arm, BreakerRules, Output

ROWS = BreakerRules().rows


class Bench:
    """A batcher whose settled rows are noted in groups, as they would be recorded."""

    def __init__(self, **limits):
        self.groups = []
        self.batcher = Batcher(asyncio.get_running_loop(), self.record, **limits)

    def record(self, rows):
        self.groups.append(rows)
        for row in rows:
            row.ticket.settle()

    async def answered(self, rows):
        for row in rows:
            self.batcher.submit(row)
        await scripted.settled(rows)
        return rows


def test_batcher_rows_of_one_turn_share_one_call_and_one_record():
    async def scenario():
        bench, runtime = Bench(), scripted.saying(1)
        live = scripted.live_route(scripted.lane("1", runtime))
        rows = await bench.answered([scripted.row(live, first=float(n)) for n in range(20)])
        assert [len(call) for call in runtime.calls] == [20]
        assert [len(group) for group in bench.groups] == [20]
        assert [row.features[0] for row in bench.groups[0]] == [float(n) for n in range(20)]
        assert {row.output for row in rows} == {Output(1)}

    asyncio.run(scenario())


def test_batcher_rows_that_come_during_a_call_share_the_next_one():
    async def scenario():
        bench, runtime = Bench(), scripted.Held(1)
        lane = scripted.lane("1", runtime, inline=False, freed=bench.batcher.wake)
        live = scripted.live_route(lane)
        rows = [scripted.row(live) for _ in range(10)]
        bench.batcher.submit(rows[0])
        await asyncio.sleep(0)
        for row in rows[1:]:
            bench.batcher.submit(row)
        await asyncio.sleep(0)
        assert bench.batcher.waiting == 9
        runtime.release.set()
        await scripted.settled(rows)
        assert [len(call) for call in runtime.calls] == [1, 9]
        assert bench.batcher.waiting == 0

    asyncio.run(scenario())


def test_batcher_gives_what_a_challenger_fails_to_the_champion():
    async def scenario():
        bench = Bench()
        champion, challenger = scripted.saying(1), scripted.raising("no idea")
        live = scripted.live_route(
            scripted.lane("1", champion), scripted.lane("2", challenger), share=0.5
        )
        rows = [scripted.row(live, arm) for arm in (Arm.CHALLENGER, Arm.CHAMPION)]
        await bench.answered(rows)
        assert [row.output for row in rows] == [Output(1), Output(1)]
        assert [row.fallback for row in rows] == ["RuntimeError: no idea", ""]
        assert [row.answered_by.version for row in rows] == ["1", "1"]

    asyncio.run(scenario())


def test_batcher_row_that_nobody_can_answer_says_why():
    async def scenario():
        bench = Bench()
        live = scripted.live_route(
            scripted.lane("1", scripted.raising("champion too")),
            scripted.lane("2", scripted.raising()),
            share=0.5,
        )
        [row] = await bench.answered([scripted.row(live, Arm.CHALLENGER)])
        assert row.output is None
        assert row.failure == "RuntimeError: champion too"
        assert row.fallback == "RuntimeError: broken"

    asyncio.run(scenario())


def test_batcher_gives_what_a_champion_fails_to_the_former_one():
    async def scenario(stands_in):
        bench = Bench()
        live = scripted.live_route(
            scripted.lane("2", scripted.raising("new")),
            scripted.lane("1", scripted.saying(1)),
            stands_in=stands_in,
        )
        live.challenger.mistrust()
        [row] = await bench.answered([scripted.row(live)])
        for _ in range(2 * ROWS):
            await bench.answered([scripted.row(live)])
        assert live.challenger.breaker.circuit is Circuit.CLOSED
        return row

    row = asyncio.run(scenario(stands_in=True))
    assert (row.output, row.answered_by.version) == (Output(1), "1")
    assert (row.fallback, row.failure) == ("RuntimeError: new", "")
    row = asyncio.run(scenario(stands_in=False))
    assert (row.output, row.failure, row.fallback) == (None, "RuntimeError: new", "")


def test_batcher_row_that_champion_and_former_one_fail_ends():
    async def scenario():
        bench = Bench()
        silent = scripted.Scripted(lambda rows: [""] * len(rows))
        live = scripted.live_route(
            scripted.lane("2", silent), scripted.lane("1", silent), stands_in=True
        )
        [row] = await bench.answered([scripted.row(live)])
        assert (row.fallback, row.failure) == (batching.UNTOLD, batching.UNTOLD)

    asyncio.run(scenario())


def test_batcher_asks_each_of_several_challengers_for_its_own_rows():
    async def scenario():
        bench = Bench()
        made = [scripted.saying(number) for number in (1, 2)]
        broken = scripted.lane("4", scripted.raising("four"))
        live = scripted.live_route(
            scripted.lane("1", scripted.saying(0)),
            scripted.lane("2", made[0]),
            others=[scripted.lane("3", made[1]), broken, None],
        )
        broken.mistrust()
        rows = [scripted.row(live, Arm.CHALLENGER, variant=place) for place in range(4)]
        await bench.answered(rows)
        assert [row.output.value for row in rows] == [1, 2, 0, 0]
        assert [row.answered_by.version for row in rows] == ["2", "3", "1", "1"]
        # A challenger that is not loaded leaves its share with the champion: that is no fallback.
        assert [row.fallback for row in rows] == ["", "", "RuntimeError: four", ""]
        for _ in range(ROWS):
            await bench.answered([scripted.row(live, Arm.CHALLENGER, variant=2)])
        circuits = [lane.breaker.circuit for lane in live.challengers if lane is not None]
        assert circuits == [Circuit.CLOSED, Circuit.CLOSED, Circuit.OPEN]

    asyncio.run(scenario())


def test_batcher_does_not_wait_for_a_stuck_challenger():
    async def scenario():
        bench, held = Bench(), scripted.Held(2)
        challenger = scripted.lane("2", held, timeout=0.02, inline=False)
        live = scripted.live_route(scripted.lane("1", scripted.saying(1)), challenger, share=0.5)
        [first] = await bench.answered([scripted.row(live, Arm.CHALLENGER)])
        assert first.fallback == lanes.TIMEOUT
        turns = asyncio.get_running_loop().time()
        [second] = await bench.answered([scripted.row(live, Arm.CHALLENGER)])
        assert asyncio.get_running_loop().time() - turns < 0.02
        assert (second.fallback, second.output) == (lanes.TIMEOUT, Output(1))
        held.release.set()

    asyncio.run(scenario())


def test_batcher_refuses_more_rows_than_can_wait():
    async def scenario():
        bench, held = Bench(max_waiting=3), scripted.Held(1)
        lane = scripted.lane("1", held, inline=False, freed=bench.batcher.wake)
        live = scripted.live_route(lane)
        rows = [scripted.row(live) for _ in range(10)]
        bench.batcher.submit(rows[0])
        await asyncio.sleep(0)
        for row in rows[1:]:
            bench.batcher.submit(row)
        await scripted.settled(rows[4:])
        assert {row.failure for row in rows[4:]} == {batching.OVERLOADED}
        held.release.set()
        await scripted.settled(rows[:4])
        assert [row.output for row in rows[:4]] == [Output(1)] * 4

    asyncio.run(scenario())


def test_batcher_admits_no_more_than_can_be_answered_in_time():
    async def scenario():
        bench, held = Bench(max_waiting=3), scripted.Held(1)
        lane = scripted.lane("1", held, inline=False, freed=bench.batcher.wake)
        live = scripted.live_route(lane)
        bench.batcher.admit(live, 3, 1.0)
        rows = [scripted.row(live) for _ in range(4)]
        for row in rows:
            bench.batcher.submit(row)
            await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="3 rows are waiting") as caught:
            bench.batcher.admit(live, 1, 1.0)
        assert caught.value.retry_after >= 1
        held.release.set()
        await scripted.settled(rows)
        bench.batcher.admit(live, 1, 1.0)

    asyncio.run(scenario())


def test_batcher_does_not_ask_for_rows_that_nobody_waits_for():
    async def scenario():
        bench, runtime = Bench(), scripted.saying(1)
        live = scripted.live_route(scripted.lane("1", runtime))
        rows = [scripted.row(live) for _ in range(3)]
        late = scripted.row(live)
        late.ticket.deadline = time.perf_counter() - 1.0
        late.started -= 10**9
        await bench.answered([late, *rows])
        assert [len(call) for call in runtime.calls] == [3]
        assert (late.output, late.failure) == (None, batching.OVERDUE)

    asyncio.run(scenario())


def test_batcher_opens_the_circuit_of_what_only_the_challenger_fails():
    async def scenario(champion, opens):
        bench = Bench()
        live = scripted.live_route(
            scripted.lane("1", champion), scripted.lane("2", scripted.raising("mine")), share=0.5
        )
        live.challenger.mistrust()
        rows = [scripted.row(live, Arm.CHALLENGER) for _ in range(ROWS)]
        await bench.answered(rows)
        assert (live.challenger.breaker.circuit is Circuit.OPEN) is opens
        assert live.champion.breaker.circuit is Circuit.CLOSED
        assert {row.fallback for row in rows} == {"RuntimeError: mine"}

    asyncio.run(scenario(scripted.saying(1), opens=True))
    # What fails both is an outage, or a row that nobody can answer.
    asyncio.run(scenario(scripted.raising("too"), opens=False))


def test_batcher_deadlines_and_crowds_open_no_circuit():
    async def scenario():
        bench = Bench()
        live = scripted.live_route(
            scripted.lane("1", scripted.saying(1)),
            scripted.lane("2", scripted.saying(2)),
            share=0.5,
        )
        live.challenger.mistrust()
        rows = [scripted.row(live, Arm.CHALLENGER) for _ in range(2 * ROWS)]
        for row in rows:
            row.ticket.deadline = time.perf_counter() - 1.0
            row.started -= 10**9
        await bench.answered(rows)
        async with asyncio.timeout(5):
            while not all(row.failure for row in rows):
                await asyncio.sleep(0)
        assert {row.failure for row in rows} == {batching.OVERDUE}
        assert live.challenger.breaker.circuit is Circuit.CLOSED

    asyncio.run(scenario())


def test_batcher_fault_of_its_own_leaves_nobody_waiting(monkeypatch):
    def broken(_self, _rows):
        raise AttributeError("a mistake of ours")

    async def scenario():
        bench = Bench()
        live = scripted.live_route(scripted.lane("1", scripted.saying(1)))
        monkeypatch.setattr(lanes.Lane, "is_inline", broken)
        rows = await bench.answered([scripted.row(live) for _ in range(3)])
        assert {row.failure for row in rows} == {"AttributeError: a mistake of ours"}

    asyncio.run(scenario())


def test_batcher_records_champions_before_it_asks_a_challenger():
    async def scenario():
        order = []

        def asked(rows):
            order.append("challenger asked")
            return [Output(2)] * len(rows)

        challenger = scripted.lane("2", scripted.Scripted(asked))
        challenger.mistrust()
        live = scripted.live_route(scripted.lane("1", scripted.saying(1)), challenger, share=0.5)

        def record(rows):
            order.append([str(row.assignment.arm) for row in rows])
            for row in rows:
                row.ticket.settle()

        batcher = Batcher(asyncio.get_running_loop(), record)
        rows = [scripted.row(live, arm) for arm in (Arm.CHALLENGER, Arm.CHAMPION)]
        for row in rows:
            batcher.submit(row)
        await scripted.settled(rows)
        assert order == [["champion"], "challenger asked", ["challenger"]]

    asyncio.run(scenario())


@settings(max_examples=50)
@given(
    st.lists(
        st.sampled_from(
            [(arm, first) for arm in (Arm.CHAMPION, Arm.CHALLENGER) for first in (1.0, -1.0)]
        )
    ),
    st.booleans(),
)
def test_batcher_settles_each_row_once_with_its_own_answer(plan, inline):
    def answer(rows):
        if any(row[0] < 0 for row in rows):
            raise ValueError("negative")
        return [Output(2)] * len(rows)

    async def scenario():
        bench = Bench()

        def wake():
            bench.batcher.wake()

        champion = scripted.lane("1", scripted.saying(1), freed=wake)
        challenger = scripted.lane("2", scripted.Scripted(answer), inline=inline, freed=wake)
        live = scripted.live_route(champion, challenger, share=0.5)
        rows = await bench.answered([scripted.row(live, arm, first=first) for arm, first in plan])
        settled = [row for group in bench.groups for row in group]
        assert sorted(map(id, settled)) == sorted(map(id, rows))
        for row, (arm, first) in zip(rows, plan, strict=True):
            by_challenger = arm is Arm.CHALLENGER and first > 0
            assert row.output == Output(2 if by_challenger else 1)
            assert bool(row.fallback) == (arm is Arm.CHALLENGER and first < 0)

    asyncio.run(scenario())


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "aside"])
def test_batcher_charges_rows_with_their_own_calls_alone(inline):
    """A challenger is asked behind its champion in each turn, and that is none of its slowness."""
    spent = {}

    def slow(version):
        def answer(rows):
            started = time.thread_time()
            while time.thread_time() - started < 0.02:
                pass
            spent.setdefault(version, []).append(time.thread_time() - started)
            return [Output(1)] * len(rows)

        return scripted.Scripted(answer)

    async def scenario():
        bench = Bench()
        challenger = scripted.lane("2", slow("2"), inline=inline, freed=bench.batcher.wake)
        challenger.is_champion = False
        live = scripted.live_route(scripted.lane("1", slow("1")), challenger, share=0.5)
        off = {"1": [], "2": []}
        for _ in range(5):
            arms = (Arm.CHALLENGER, Arm.CHAMPION)
            for row in await bench.answered([scripted.row(live, arm) for arm in arms]):
                version = row.answered_by.version
                off[version].append(row.took / 1e9 - spent[version][-1])
        assert all(0.0 <= median(some) < 0.01 for some in off.values()), off

    asyncio.run(scenario())


def rivals(bench, *runtimes, inline=False):
    """A route whose champion and challengers share live traffic."""
    made = [
        scripted.lane(str(place), runtime, inline=inline, freed=bench.batcher.wake)
        for place, runtime in enumerate(runtimes, 1)
    ]
    for lane in made[1:]:
        lane.is_champion = False
    made[0].is_champion = True
    common = lanes.Round()
    for lane in made:
        lane.round = common
        lane.rivals = tuple(other for other in made if other is not lane)
    return scripted.live_route(made[0], made[1], others=made[2:], share=0.5)


def test_batcher_calls_those_that_are_compared_one_after_the_other():
    """Else the one that is asked less often would look slower: it meets the other more often."""
    under_way, met = [], []

    def alone(rows):
        under_way.append(1)
        met.append(len(under_way))
        time.sleep(0.002)
        under_way.pop()
        return [Output(1)] * len(rows)

    async def scenario():
        bench = Bench()
        live = rivals(bench, *(scripted.Scripted(alone) for _ in range(3)))
        for lane in live.answering:
            lane._call_seconds = 1.0
        rows = []
        for number in range(60):
            arm = Arm.CHALLENGER if number % 3 else Arm.CHAMPION
            rows.append(scripted.row(live, arm, variant=number % 3 - 1 if number % 3 else 0))
            bench.batcher.submit(rows[-1])
            await asyncio.sleep(0.0005)
        await scripted.settled(rows)
        assert all(row.output for row in rows)

    asyncio.run(scenario())
    assert len(met) > 3
    assert set(met) == {1}


def test_batcher_asks_those_that_are_compared_in_rounds():
    """Who comes second takes not what came meanwhile, and who always has rows leaves a turn."""
    calls = []

    def noted(version):
        def answer(rows):
            calls.append((version, [int(row[0]) for row in rows]))
            time.sleep(0.005)
            return [Output(1)] * len(rows)

        return scripted.Scripted(answer)

    async def scenario():
        bench = Bench()
        live = rivals(bench, noted("champion"), noted("challenger"))
        for lane in live.answering:
            lane._call_seconds = 1.0
        rows = []

        def submit(number):
            for arm in (Arm.CHAMPION, Arm.CHALLENGER):
                rows.append(scripted.row(live, arm, first=float(number)))
                bench.batcher.submit(rows[-1])

        submit(0)
        await asyncio.sleep(0)
        assert live.champion.busy
        submit(1)
        submit(2)
        await scripted.settled(rows)

    asyncio.run(scenario())
    assert calls == [
        ("champion", [0]), ("challenger", [0]), ("champion", [1, 2]), ("challenger", [1, 2]),
    ]  # fmt: skip


def test_batcher_waits_for_no_challenger_longer_than_the_champion_would_take():
    async def scenario():
        bench, held = Bench(), scripted.Held(2)
        live = rivals(bench, scripted.saying(1), held)
        behind = scripted.row(live, Arm.CHALLENGER)
        bench.batcher.submit(behind)
        await asyncio.sleep(0)
        assert live.challenger.busy
        started = time.perf_counter()
        [row] = await bench.answered([scripted.row(live)])
        assert time.perf_counter() - started >= 0.5 * lanes.PATIENT_SECONDS
        assert (row.output, live.challenger.busy) == (Output(1), True)
        held.release.set()
        await scripted.settled([behind])

    asyncio.run(scenario())


def test_batcher_is_woken_at_the_earliest_of_times_however_near_they_are():
    """uvloop tells no time of what is less than a millisecond away."""

    async def scenario():
        bench = Bench()
        for seconds in (0.5, 0.000_2, 0.000_4, 0.000_1):
            bench.batcher._wake_in(seconds)
        assert bench.batcher._rings_at <= asyncio.get_running_loop().time() + 0.000_1
        while bench.batcher._alarm is not None:
            await asyncio.sleep(0.001)
        bench.batcher._wake_in(0.000_2)
        assert bench.batcher._alarm is not None

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(scenario(), 0.4))
