"""What is loaded, kept and let go of while tables change."""

from __future__ import annotations

import asyncio
import shutil
import threading
from functools import partial
from pathlib import Path

import pytest
from tests.serving.conftest import route
from tests.serving.loading.applying import applied, apply, loader, several, tables

from serinus import clock
from serinus.serving.asking.lanes import Lane
from serinus.serving.loading import loader as loaders
from serinus.serving.loading import memory
from serinus.serving.loading.absent import BY_HAND
from serinus.serving.loading.snapshot import Snapshot
from serinus.wire import MANIFEST_FILE, Route, Target

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")


def test_loader_loads_each_version_once(folders):
    async def scenario():
        loading = loader()
        first, second, third = tables(
            [route(folders, "good")],
            [route(folders, "good", "yes", share=0.1)],
            [route(folders, "yes")],
        )
        one = await apply(loading, first, Snapshot())
        two = await apply(loading, second, one)
        three = await apply(loading, third, two)
        assert two.routes["mood"].champion is one.routes["mood"].champion
        assert three.routes["mood"].champion is two.routes["mood"].challenger
        assert three.ready == ("mood@yes",)
        assert [snapshot.routes["mood"].revision for snapshot in (one, two, three)] == [1, 2, 3]
        assert loading.find("mood", "good") is one.routes["mood"].champion

    asyncio.run(scenario())


def test_loader_does_not_wait_for_ever(folders, monkeypatch):
    release = threading.Event()
    load = loaders.artifacts.load

    def hanging(name, target, *more):
        if target.version == "yes":
            release.wait(20)
        return load(name, target, *more)

    monkeypatch.setattr(loaders.artifacts, "load", hanging)
    monkeypatch.setattr(loaders, "LOAD_SECONDS", 5.0)

    async def scenario():
        loading = loader()
        first, second, third = tables(
            [route(folders, "good")], [route(folders, "yes")], [route(folders, "no")]
        )
        snapshot = await apply(loading, first, Snapshot())
        monkeypatch.setattr(loaders, "LOAD_SECONDS", 0.05)
        snapshot = await apply(loading, second, snapshot)
        assert snapshot.ready == ("mood@good",)
        assert "within" in snapshot.failed["mood@yes"]
        monkeypatch.setattr(loaders, "LOAD_SECONDS", 5.0)
        snapshot = await apply(loading, third, snapshot)
        assert snapshot.ready == ("mood@no",)
        release.set()

    asyncio.run(scenario())


def test_loader_keeps_a_few_idle_versions_only(folders, monkeypatch):
    monkeypatch.setattr(loaders, "surplus", partial(memory.surplus, kept_idle=1))

    async def scenario():
        loading = loader()
        names = ["good", "yes", "no", "slow"]
        await applied(loading, *tables(*[[route(folders, name)] for name in names]))
        kept = [name for name in names if loading.find("mood", name)]
        assert kept == ["no", "slow"]

    asyncio.run(scenario())


def test_loader_swaps_before_it_loads_and_drops_what_is_no_longer_wanted(folders, monkeypatch):
    release = threading.Event()
    load = loaders.artifacts.load

    def held(name, target, *more):
        if target.version == "yes":
            release.wait(20)
        return load(name, target, *more)

    monkeypatch.setattr(loaders.artifacts, "load", held)

    async def scenario():
        loading = loader()
        first, second, third = tables(
            [route(folders, "good")],
            [route(folders, "good", "yes", share=1.0)],
            [route(folders, "no")],
        )
        one = await apply(loading, first, Snapshot())
        loading.fetch(second)
        two = loading.snapshot(second, one)
        assert (two.revision, two.ready, two.loading) == (2, ("mood@good",), ("mood@yes",))
        assert two.routes["mood"].router.assign("x").share == 0.0
        # The newer table does not wait for the load that the older one began, and drops it.
        three = await apply(loading, third, two)
        assert (three.revision, three.ready, three.loading) == (3, ("mood@no",), ())
        release.set()
        await asyncio.sleep(0.05)
        assert loading.find("mood", "yes") is None
        # Wanted again, it is loaded again.
        four = await apply(loading, second, three)
        assert four.ready == ("mood@good", "mood@yes")

    asyncio.run(scenario())


@pytest.mark.parametrize("is_wanted", [True, False])
def test_loader_of_a_late_load_takes_it_or_closes_it(folders, monkeypatch, is_wanted):
    release, closed, begun = threading.Event(), [], []
    load, close = loaders.artifacts.load, Lane.close

    def hanging(name, target, *more):
        begun.append(target.version)
        release.wait(20)
        return load(name, target, *more)

    monkeypatch.setattr(loaders.artifacts, "load", hanging)
    monkeypatch.setattr(loaders, "LOAD_SECONDS", 0.05)
    monkeypatch.setattr(Lane, "close", lambda lane: (closed.append(lane.version), close(lane)))

    async def scenario():
        loading = loader()
        first, second = tables([route(folders, "good")], [])
        snapshot = await apply(loading, first, Snapshot())
        assert "within" in snapshot.failed["mood@good"]
        # Asked for again, it is not begun a second time.
        loading.fetch(first if is_wanted else second)
        await loading.loaded()
        release.set()
        async with asyncio.timeout(10):
            while not (closed or loading.find("mood", "good")):
                await asyncio.sleep(0.01)
        assert begun == ["good"]
        assert closed == ([] if is_wanted else ["good"])
        assert loading.snapshot(first, snapshot).ready == (("mood@good",) if is_wanted else ())

    asyncio.run(scenario())


def test_loader_has_ready_what_is_to_be_warm_and_asks_it_nothing(folders):
    async def scenario():
        first, second = tables(
            [several(folders, "good", "yes", warm=["no"])], [route(folders, "no")]
        )
        loading = loader()
        snapshot = await apply(loading, first, Snapshot())
        live = snapshot.routes["mood"]
        assert snapshot.ready == ("mood@good", "mood@yes", "mood@no")
        assert "no" not in [lane.version for lane in live.answering]
        switched = await apply(loading, second, snapshot)
        assert switched.routes["mood"].champion is live.warm[0]

    asyncio.run(scenario())


def test_loader_waits_for_no_end_that_changes_nothing(folders, tmp_path):
    """An end that is over would have another snapshot made at every look, for ever."""
    shutil.copy(Path(folders["good"]) / MANIFEST_FILE, tmp_path)
    now = clock.epoch_us()
    broken = Route("mood", Target("9.9.9", str(tmp_path)), default="no", alone_until=now - 1)

    async def scenario():
        loading = loader()
        lost, held = tables(
            [broken], [route(folders, "good", default="no", alone_until=now + 60_000_000)]
        )
        snapshot = await apply(loading, lost, Snapshot())
        assert snapshot.routes["mood"].absent == snapshot.failed["mood@9.9.9"]
        assert snapshot.lasts_until == 0
        snapshot = await apply(loading, held, snapshot)
        assert snapshot.routes["mood"].absent == BY_HAND
        assert snapshot.lasts_until == now + 60_000_000

    asyncio.run(scenario())
