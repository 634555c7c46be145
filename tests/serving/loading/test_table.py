import asyncio
import threading
from functools import partial

import msgspec
import pytest
from tests.serving import samples
from tests.serving.conftest import route

from serinus import wire
from serinus.errors import InvalidInput
from serinus.serving.asking.lanes import Lane
from serinus.serving.loading import memory, table
from serinus.serving.loading.table import Loader, RoutingFile, Snapshot
from serinus.wire import BreakerRules, Route, RoutingTable, Target, Variant

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")


def loader():
    loop = asyncio.get_running_loop()

    def make(version, runtime):
        return Lane(version, runtime, loop, timeout_seconds=5, freed=lambda: None)

    return Loader(loop, make, lambda: None)


def tables(*routes):
    return [
        RoutingTable(revision, {item.model: item for item in group})
        for revision, group in enumerate(routes, 1)
    ]


async def apply(loading, given, before):
    """What is in force once all that can be loaded is."""
    loading.fetch(given)
    snapshot = loading.snapshot(given, before)
    await loading.loaded()
    return loading.snapshot(given, snapshot)


async def applied(loading, *given):
    snapshot = Snapshot()
    for item in given:
        snapshot = await apply(loading, item, snapshot)
    return snapshot


def test_routing_file_is_read_only_when_it_has_changed(tmp_path):
    file = RoutingFile(tmp_path / "routing.json")
    assert file.read() is None
    assert not file.has_changed()
    for revision in (1, 2):
        part = tmp_path / "part"
        part.write_bytes(msgspec.json.encode(RoutingTable(revision, {})))
        part.replace(tmp_path / "routing.json")
        assert file.has_changed()
        assert file.read() == RoutingTable(revision, {})
        assert not file.has_changed()


@pytest.mark.parametrize("content", [b"", b"{", b'{"revision":"x"}', b"\xff"])
def test_routing_file_of_nonsense_is_refused(tmp_path, content):
    (tmp_path / "routing.json").write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        RoutingFile(tmp_path / "routing.json").read()
    assert "routing.json" in caught.value.where


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


def test_loader_serves_the_champion_alone_if_its_challenger_cannot_be_loaded(folders, tmp_path):
    async def scenario():
        broken = Route(
            "mood",
            Target("good", folders["good"]),
            Target("9.9.9", str(tmp_path)),
            share=0.5,
            deployment="d",
        )
        [given] = tables([broken])
        snapshot = await applied(loader(), given)
        live = snapshot.routes["mood"]
        assert live.challenger is None
        assert live.router.assign("x").share == 0.0
        assert set(snapshot.failed) == {"mood@9.9.9"}
        assert "manifest" in snapshot.failed["mood@9.9.9"]

    asyncio.run(scenario())


def test_loader_keeps_the_route_before_if_a_champion_cannot_be_loaded(folders, tmp_path):
    async def scenario():
        first, second = tables(
            [route(folders, "good")], [Route("mood", Target("9.9.9", str(tmp_path)))]
        )
        snapshot = await applied(loader(), first, second)
        assert snapshot.revision == 2
        assert snapshot.routes["mood"].revision == 1
        assert snapshot.ready == ("mood@good",)
        assert set(snapshot.failed) == {"mood@9.9.9"}

    asyncio.run(scenario())


def test_loader_drops_a_model_that_the_table_does_not_name(folders):
    async def scenario():
        first, second = tables([route(folders, "good")], [route(folders, "numbers")])
        snapshot = await applied(loader(), first, second)
        assert set(snapshot.routes) == {"numbers"}

    asyncio.run(scenario())


def test_loader_gives_each_version_the_inputs_that_it_takes(folders):
    async def scenario():
        [given] = tables([route(folders, "good", "fewer", share=0.5)])
        live = (await applied(loader(), given)).routes["mood"]
        request = live.decoder.single(b'{"features":{"age":61,"home town":"Ulm"}}')
        assert live.features(request.features, "good") == (61.0, None, "Ulm")
        assert live.features(request.features, "fewer") == (None, 61.0)

    asyncio.run(scenario())


def test_loader_refuses_a_challenger_of_other_types(folders, tmp_path):
    async def scenario():
        other = (msgspec.structs.replace(samples.INPUTS[0], type="long"), *samples.INPUTS[1:])
        about = samples.manifest(inputs=other, example={})
        uri = samples.save(tmp_path / "other", samples.obedient(), about)
        given = Route("mood", Target("good", folders["good"]), Target("other", uri), share=0.5)
        snapshot = await applied(loader(), *tables([given]))
        assert snapshot.routes["mood"].challenger is None
        assert "long" in snapshot.failed["mood@other"]

    asyncio.run(scenario())


def test_loader_does_not_wait_for_ever(folders, monkeypatch):
    release = threading.Event()
    load = table.artifacts.load

    def hanging(name, target, *more):
        if target.version == "yes":
            release.wait(20)
        return load(name, target, *more)

    monkeypatch.setattr(table.artifacts, "load", hanging)
    monkeypatch.setattr(table, "LOAD_SECONDS", 5.0)

    async def scenario():
        loading = loader()
        first, second, third = tables(
            [route(folders, "good")], [route(folders, "yes")], [route(folders, "no")]
        )
        snapshot = await apply(loading, first, Snapshot())
        monkeypatch.setattr(table, "LOAD_SECONDS", 0.05)
        snapshot = await apply(loading, second, snapshot)
        assert snapshot.ready == ("mood@good",)
        assert "within" in snapshot.failed["mood@yes"]
        monkeypatch.setattr(table, "LOAD_SECONDS", 5.0)
        snapshot = await apply(loading, third, snapshot)
        assert snapshot.ready == ("mood@no",)
        release.set()

    asyncio.run(scenario())


def test_loader_keeps_a_few_idle_versions_only(folders, monkeypatch):
    monkeypatch.setattr(table, "surplus", partial(memory.surplus, kept_idle=1))

    async def scenario():
        loading = loader()
        names = ["good", "yes", "no", "slow"]
        await applied(loading, *tables(*[[route(folders, name)] for name in names]))
        kept = [name for name in names if loading.find("mood", name)]
        assert kept == ["no", "slow"]

    asyncio.run(scenario())


def test_loader_swaps_before_it_loads_and_drops_what_is_no_longer_wanted(folders, monkeypatch):
    release = threading.Event()
    load = table.artifacts.load

    def held(name, target, *more):
        if target.version == "yes":
            release.wait(20)
        return load(name, target, *more)

    monkeypatch.setattr(table.artifacts, "load", held)

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
    load, close = table.artifacts.load, Lane.close

    def hanging(name, target, *more):
        begun.append(target.version)
        release.wait(20)
        return load(name, target, *more)

    monkeypatch.setattr(table.artifacts, "load", hanging)
    monkeypatch.setattr(table, "LOAD_SECONDS", 0.05)
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


def several(folders, *names, warm=(), **more):
    """A route of the model of mood with several challengers of a tenth each."""
    others = tuple(
        Variant(Target(name, folders.get(name, "/nowhere")), 0.5 + place / 10, 0.1)
        for place, name in enumerate(names[2:])
    )
    made = route(folders, names[0], names[1], share=0.1, deployment="d", others=others, **more)
    targets = tuple(Target(name, folders[name]) for name in warm)
    return msgspec.structs.replace(made, warm=targets)


def test_loader_serves_several_challengers_at_their_places(folders):
    async def scenario():
        [given] = tables([several(folders, "good", "yes", "no", "missing", "fewer")])
        snapshot = await applied(loader(), given)
        live = snapshot.routes["mood"]
        served = [lane and lane.version for lane in live.challengers]
        assert served == ["yes", "no", None, "fewer"]
        # What cannot be asked leaves its share with the champion, and the others their places.
        assert live.router.assign("x").shares == (0.1, 0.1, 0.0, 0.1)
        assert snapshot.ready == ("mood@good", "mood@yes", "mood@no", "mood@fewer")
        assert set(snapshot.failed) == {"mood@missing"}
        assert live.projections == {"fewer": (1, 0)}
        assert not any(lane.is_champion for lane in live.challengers if lane)

    asyncio.run(scenario())


def test_loader_lets_those_that_share_live_traffic_know_of_each_other(folders):
    async def scenario():
        loading = loader()
        seen = []
        given = tables(
            [several(folders, "good", "yes", "no")],
            [route(folders, "good", "yes", share=0.5)],
            [route(folders, "good", "yes", mirror=1.0)],
        )
        snapshot = Snapshot()
        for item in given:
            snapshot = await apply(loading, item, snapshot)
            lanes = [loading.find("mood", name) for name in ("good", "yes", "no")]
            seen.append([sorted(rival.version for rival in lane.rivals) for lane in lanes])
        assert seen == [
            [["no", "yes"], ["good", "no"], ["good", "yes"]],
            [["yes"], ["good"], []],
            # Who answers nobody is compared with nobody.
            [[], [], []],
        ]

    asyncio.run(scenario())


def test_loader_leaves_out_only_the_challenger_that_asks_for_other_types(folders, tmp_path):
    async def scenario():
        other = samples.manifest(inputs=(wire.Field("age", "string"),), example={"age": "old"})
        uri = samples.save(tmp_path / "other", samples.obedient(answer="no"), other)
        known = folders | {"other": uri}
        [given] = tables([several(known, "good", "yes", "other", "no")])
        loading = loader()
        snapshot = await applied(loading, given)
        served = [lane and lane.version for lane in snapshot.routes["mood"].challengers]
        assert served == ["yes", None, "no"]
        assert set(snapshot.failed) == {"mood@other"}

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


def test_loader_gives_versions_the_breaker_rules_of_their_route(folders):
    async def scenario():
        rules = BreakerRules(rows=7)
        plain, ruled = (
            several(folders, "good", "yes", "no", breaker=some) for some in (BreakerRules(), rules)
        )
        loading = loader()
        snapshot = await applied(loading, *tables([plain], [ruled]))
        lanes = snapshot.routes["mood"].answering
        assert [lane.breaker.rules for lane in lanes] == [rules] * 3

    asyncio.run(scenario())


@pytest.mark.parametrize(("given", "in_force"), [("yes", "yes"), ("maybe", None)])
def test_loader_puts_a_default_in_force_that_the_model_could_say(folders, given, in_force):
    async def scenario():
        snapshot = await applied(loader(), *tables([route(folders, "good", default=given)]))
        assert snapshot.routes["mood"].route.default == in_force

    asyncio.run(scenario())


def test_loader_makes_a_decoder_anew_only_for_other_inputs(folders):
    async def scenario():
        alone, both = route(folders, "fewer"), route(folders, "fewer", "good", deployment="d")
        loading, snapshot, made = loader(), Snapshot(), []
        for given in tables([alone], [alone], [both], [alone]):
            snapshot = await apply(loading, given, snapshot)
            made.append(snapshot.routes["mood"].decoder)
        assert made[0] is made[1]
        assert made[1] is not made[2]
        assert [len(one.inputs) for one in made] == [2, 2, 3, 2]

    asyncio.run(scenario())
