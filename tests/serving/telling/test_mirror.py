import asyncio

from tests.serving import scripted

from serinus.errors import Unavailable
from serinus.serving.telling.counters import Counters
from serinus.serving.telling.mirror import CALL_ROWS, Mirror
from serinus.wire import Arm, Output


class Bench:
    def __init__(self, runtime, *, max_rows=1_000, mirror=1.0, **more):
        self.events, self.counters = [], Counters()
        self.refuses = False
        self.clone = None
        self.mirror = Mirror(max_rows, self.counters, self.write, lambda _: self.clone)
        self.challenger = scripted.lane("2", runtime, freed=self.mirror.feed)
        champion = scripted.lane("1", scripted.saying(1))
        self.live = scripted.live_route(champion, self.challenger, mirror=mirror, **more)

    def write(self, events, told):
        if self.refuses:
            told([Unavailable("full")] * len(events))
            return
        self.events += events
        told([bytes(16)] * len(events))

    def answered(self, count, arm=Arm.CHAMPION):
        rows = [scripted.row(self.live, arm, first=float(n)) for n in range(count)]
        for number, row in enumerate(rows):
            row.output, row.id = Output(1), bytes([number % 256]) * 16
        return rows

    async def run(self, rows):
        self.mirror.take(rows)
        self.mirror.feed()
        while self.mirror.waiting:
            await asyncio.sleep(0.001)


def test_mirror_pairs_both_answers_to_the_same_request():
    async def scenario():
        bench = Bench(scripted.saying(0))
        rows = bench.answered(CALL_ROWS + 5)
        await bench.run(rows)
        assert [event.prediction for event in bench.events] == [row.id for row in rows]
        event = bench.events[0]
        assert (event.champion, event.output) == (Output(1), Output(0))
        assert (event.version, event.assignment.arm) == ("2", Arm.SHADOW)
        assert event.assignment.deployment == "d"
        assert bench.counters.mirrored == CALL_ROWS + 5
        assert [len(call) for call in bench.challenger.runtime.calls] == [CALL_ROWS, 5]

    asyncio.run(scenario())


def test_mirror_tells_how_a_shadow_failed():
    async def scenario():
        bench = Bench(scripted.raising("no idea"))
        await bench.run(bench.answered(2))
        assert [(e.output, e.failure) for e in bench.events] == [
            (None, "RuntimeError: no idea")
        ] * 2

    asyncio.run(scenario())


def test_mirror_of_a_twin_counts_the_failures_of_both():
    """An A/A shadow: what breaks the one breaks the other, and both are told."""

    async def scenario():
        bench = Bench(scripted.raising("a bad row"))
        rows = bench.answered(3)
        rows[1].output, rows[1].failure = None, "RuntimeError: a bad row"
        await bench.run(rows)
        assert [event.champion for event in bench.events] == [Output(1), None, Output(1)]
        assert [event.output for event in bench.events] == [None] * 3
        assert bench.events[1].prediction == rows[1].id

    asyncio.run(scenario())


def test_mirror_takes_only_what_the_champion_had_under_a_deployment():
    async def scenario():
        bench = Bench(scripted.saying(0))
        rows = bench.answered(3, Arm.CHALLENGER) + bench.answered(2)
        rows[3].id, rows[3].error = b"", Unavailable("the ledger is full")
        rows[4].assignment = bench.live.router.force(Arm.CHAMPION)
        assert not bench.mirror.take(rows)
        assert bench.mirror.waiting == 0

    asyncio.run(scenario())


def test_mirror_sheds_what_it_has_no_room_for():
    async def scenario():
        held = scripted.Held(0)
        bench = Bench(held, max_rows=10)
        bench.mirror.take(bench.answered(25))
        assert bench.mirror.waiting == 10
        assert bench.counters.shed == 15
        bench.mirror.feed()
        held.release.set()
        while bench.mirror.waiting:
            await asyncio.sleep(0.001)
        assert len(bench.events) == 10

    asyncio.run(scenario())


def test_mirror_takes_its_share():
    async def scenario():
        bench = Bench(scripted.saying(0), max_rows=10_000, mirror=0.25)
        bench.mirror.take(bench.answered(4_000))
        assert 850 < bench.mirror.waiting < 1_150

    asyncio.run(scenario())


def test_mirror_of_a_ledger_that_refuses_counts_what_is_lost():
    async def scenario():
        bench = Bench(scripted.saying(0))
        bench.refuses = True
        await bench.run(bench.answered(4))
        assert (bench.counters.shed, bench.counters.mirrored) == (4, 0)

    asyncio.run(scenario())


def test_mirror_has_the_champion_answer_once_more_behind_the_shadow():
    async def scenario():
        bench = Bench(scripted.saying(0), clone=1.0)
        bench.clone = scripted.lane("1", scripted.saying(3), freed=bench.mirror.feed)
        rows = bench.answered(5)
        await bench.run(rows)
        arms = [event.assignment.arm for event in bench.events]
        assert arms == [Arm.SHADOW] * 5 + [Arm.CLONE] * 5
        clones = bench.events[5:]
        assert [event.prediction for event in clones] == [row.id for row in rows]
        assert {(e.version, e.champion, e.output) for e in clones} == {("1", Output(1), Output(3))}
        assert (bench.counters.mirrored, bench.counters.cloned, bench.counters.shed) == (5, 5, 0)
        assert bench.clone.pending == bench.challenger.pending == 0
        # The instance that has clients was not asked.
        assert bench.live.champion.runtime.calls == []

    asyncio.run(scenario())


def test_mirror_clones_its_share_and_sheds_clones_first():
    async def scenario():
        bench = Bench(scripted.saying(0), max_rows=4_000, clone=0.5)
        bench.clone = scripted.lane("1", scripted.saying(3), freed=bench.mirror.feed)
        await bench.run(bench.answered(1_000))
        assert 400 < bench.counters.cloned < 600
        crowded = Bench(scripted.saying(0), max_rows=400, clone=1.0)
        held = scripted.Held(3)
        crowded.clone = scripted.lane("1", held)
        crowded.mirror.take(crowded.answered(400))
        crowded.mirror.feed()
        while crowded.counters.mirrored < 400:
            await asyncio.sleep(0.001)
        assert crowded.counters.shed == 300
        held.release.set()

    asyncio.run(scenario())


def test_mirror_without_a_clone_yet_counts_what_it_would_have_answered():
    async def scenario():
        bench = Bench(scripted.saying(0), clone=1.0)
        await bench.run(bench.answered(3))
        assert [event.assignment.arm for event in bench.events] == [Arm.SHADOW] * 3
        assert (bench.counters.cloned, bench.counters.shed) == (0, 3)

    asyncio.run(scenario())


def test_mirror_pairs_what_a_former_champion_answered_as_the_champions_failure():
    async def scenario():
        bench = Bench(scripted.saying(0), stands_in=True)
        [row] = bench.answered(1)
        row.fallback, row.answered_by = "RuntimeError: new", bench.challenger
        await bench.run([row])
        [event] = bench.events
        assert (event.champion, event.output) == (None, Output(0))

    asyncio.run(scenario())
