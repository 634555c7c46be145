import asyncio

import pytest
from tests.serving import scripted

from serinus import clock
from serinus.errors import InvalidInput, Unavailable
from serinus.serving.loading import apart
from serinus.serving.loading.apart import Apart, Key, Loaded
from serinus.wire import Arm, Target

KEY = Key(Arm.STAGING, "numbers", Target("1.0.0", "-"))
OTHER = Key(Arm.CLONE, "numbers", Target("1.0.0", "-"))


class Bench:
    """Versions of ten bytes each that load at once, or as they are told."""

    def __init__(self, *, room=100.0, fails=False):
        self.opened, self.room = [], room
        self.fails = fails
        self.lanes = []
        loop = asyncio.get_running_loop()
        self.apart = Apart(loop, self.open, lambda _: 10, lambda: self.room - self.apart.size)

    def open(self, key):
        self.opened.append(key)
        if self.fails:
            raise InvalidInput("it is broken")
        return Loaded(self.lanes.pop(), 10)

    def add(self):
        self.lanes.append(scripted.lane("1.0.0", scripted.saying(1), inline=False))


def run(scenario, **given):
    async def inside():
        bench = Bench(**given)
        for _ in range(4):
            bench.add()
        await scenario(bench)

    asyncio.run(inside())


def test_apart_loads_a_version_when_it_is_first_asked_for():
    async def scenario(bench):
        assert bench.apart.find(KEY) is None
        assert not bench.apart.is_loaded(KEY)
        lane = await bench.apart.wait(KEY, 5.0)
        assert await bench.apart.wait(KEY, 5.0) is bench.apart.find(KEY) is lane
        assert bench.opened == [KEY]
        assert bench.apart.size == 10

    run(scenario)


def test_apart_loads_a_version_for_each_role_by_itself():
    async def scenario(bench):
        assert await bench.apart.wait(KEY, 5.0) is not await bench.apart.wait(OTHER, 5.0)
        assert bench.opened == [KEY, OTHER]

    run(scenario)


def test_apart_tells_why_a_version_cannot_be_loaded_and_tries_again_later(monkeypatch):
    async def scenario(bench):
        for _ in range(2):
            with pytest.raises(Unavailable, match="it is broken"):
                await bench.apart.wait(KEY, 5.0)
        assert bench.opened == [KEY]
        bench.fails = False
        later = clock.monotonic() + apart.RETRY_SECONDS
        monkeypatch.setattr(clock, "monotonic", lambda: later)
        await bench.apart.wait(KEY, 5.0)

    run(scenario, fails=True)


def test_apart_loads_nothing_that_there_is_no_room_for():
    async def scenario(bench):
        with pytest.raises(Unavailable, match="no room for its 10 bytes"):
            await bench.apart.wait(KEY, 5.0)
        assert bench.opened == []

    run(scenario, room=9.0)


def test_apart_lets_go_of_what_is_not_wanted_idle_or_in_the_way(monkeypatch):
    async def scenario(bench):
        async def after(change, wanted):
            await bench.apart.wait(KEY, 5.0)
            change()
            bench.apart.sweep(wanted)
            return bench.apart.is_loaded(KEY)

        assert await after(lambda: None, {KEY})
        assert not await after(lambda: None, {OTHER})
        assert not await after(lambda: setattr(bench, "room", 5.0), {KEY})
        bench.room = 100.0
        now = clock.monotonic()
        idle = now + apart.IDLE_SECONDS + 1.0
        assert not await after(lambda: monkeypatch.setattr(clock, "monotonic", lambda: idle), {KEY})

    run(scenario)


def test_apart_keeps_what_rows_wait_for():
    async def scenario(bench):
        lane = await bench.apart.wait(KEY, 5.0)
        lane.pending = 1
        bench.apart.sweep(set())
        assert bench.apart.is_loaded(KEY)

    run(scenario)


def test_apart_waits_no_longer_than_it_is_told():
    async def scenario(bench):
        held = scripted.Held(1)
        bench.apart._open = lambda _: held.answer([()])
        with pytest.raises(Unavailable, match="is being loaded"):
            await bench.apart.wait(KEY, 0.02)
        held.release.set()

    run(scenario)
