"""What becomes of a table's routes with what is loaded, and with what is not."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from tests.serving import samples
from tests.serving.conftest import route
from tests.serving.loading.applying import applied, apply, loader, several, tables

from serinus import wire
from serinus.serving.loading.snapshot import Snapshot
from serinus.wire import BreakerRules, Route, Target

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")


def test_routes_serve_the_champion_alone_if_its_challenger_cannot_be_loaded(folders, tmp_path):
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


def test_routes_keep_the_route_before_if_a_champion_cannot_be_loaded(folders, tmp_path):
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


def test_routes_drop_a_model_that_the_table_does_not_name(folders):
    async def scenario():
        first, second = tables([route(folders, "good")], [route(folders, "numbers")])
        snapshot = await applied(loader(), first, second)
        assert set(snapshot.routes) == {"numbers"}

    asyncio.run(scenario())


def test_routes_give_each_version_the_inputs_that_it_takes(folders):
    async def scenario():
        [given] = tables([route(folders, "good", "fewer", share=0.5)])
        live = (await applied(loader(), given)).routes["mood"]
        request = live.decoder.single(b'{"features":{"age":61,"home town":"Ulm"}}')
        assert live.features(request.features, "good") == (61.0, None, "Ulm")
        assert live.features(request.features, "fewer") == (None, 61.0)

    asyncio.run(scenario())


def test_routes_refuse_a_challenger_of_other_types(folders, tmp_path):
    async def scenario():
        other = (msgspec.structs.replace(samples.INPUTS[0], type="long"), *samples.INPUTS[1:])
        about = samples.manifest(inputs=other, example={})
        uri = samples.save(tmp_path / "other", samples.obedient(), about)
        given = Route("mood", Target("good", folders["good"]), Target("other", uri), share=0.5)
        snapshot = await applied(loader(), *tables([given]))
        assert snapshot.routes["mood"].challenger is None
        assert "long" in snapshot.failed["mood@other"]

    asyncio.run(scenario())


def test_routes_serve_several_challengers_at_their_places(folders):
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


def test_routes_let_those_that_share_live_traffic_know_of_each_other(folders):
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


def test_routes_leave_out_only_the_challenger_that_asks_for_other_types(folders, tmp_path):
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


def test_routes_give_versions_the_breaker_rules_of_their_route(folders):
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
def test_routes_put_a_default_in_force_that_the_model_could_say(folders, given, in_force):
    async def scenario():
        snapshot = await applied(loader(), *tables([route(folders, "good", default=given)]))
        assert snapshot.routes["mood"].route.default == in_force

    asyncio.run(scenario())


def test_routes_make_a_decoder_anew_only_for_other_inputs(folders):
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
