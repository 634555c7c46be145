import json

import msgspec

from serinus import wire
from serinus.bench import artifact, recipes
from serinus.serving.runtimes import artifacts


def routes_of(home):
    table = msgspec.json.decode((home / "routing.json").read_bytes(), type=wire.RoutingTable)
    return table.routes


def test_artifact_serves_what_the_recipe_says(home):
    route = routes_of(home)["logistic"]
    assert route.share == artifact.CANARY_SHARE
    rows = [tuple(row) for row in recipes.asked()[:32].tolist()]
    for seed, target in enumerate((route.champion, route.challenger)):
        runtime = artifacts.load("logistic", target)
        assert [field.name for field in runtime.manifest.inputs] == list(recipes.NAMES)
        expected = recipes.fit("logistic", seed=seed).predict(recipes.asked()[:32]).tolist()
        assert [output.value for output in runtime.answer(rows)] == expected


def test_artifact_is_packaged_as_registration_does(home):
    assert artifact.form(home, "logistic") == "onnx"


def test_artifact_models_alone_have_no_canary(home):
    routes = routes_of(home)
    assert list(routes) == ["logistic", *artifact.alone_names(2)]
    alone = [routes[name] for name in artifact.alone_names(2)]
    assert all(route.challenger is None for route in alone)
    assert len({route.champion.uri for route in alone}) == 2
    for route in alone:
        assert artifacts.load(route.model, route.champion).manifest.model == route.model


def test_bodies_are_all_different_and_batches_full():
    bodies = artifact.bodies()
    assert len(set(bodies)) == recipes.ROWS
    assert set(json.loads(bodies[0])["features"]) == set(recipes.NAMES)
    batches = artifact.batches()
    assert len(batches) == artifact.BATCHES
    assert len(set(batches)) > 1
    assert all(len(json.loads(batch)["requests"]) == artifact.BATCH_ROWS for batch in batches)
    # The gateway's own limit of a body, by default.
    assert max(map(len, batches)) < 1_000_000
