import json

import msgspec
import pytest

from serinus import wire
from serinus.bench import artifact, recipes
from serinus.serving.runtimes import artifacts


def table_of(home):
    return msgspec.json.decode((home / "routing.json").read_bytes(), type=wire.RoutingTable)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("kind", recipes.KINDS)
def test_artifact_serves_what_the_recipe_says(tmp_path, kind):
    artifact.make(tmp_path, (kind,))
    route = table_of(tmp_path).routes[kind]
    assert route.share == artifact.CANARY_SHARE
    rows = [tuple(row) for row in recipes.asked()[:32].tolist()]
    for seed, target in enumerate((route.champion, route.challenger)):
        runtime = artifacts.load(kind, target)
        assert [field.name for field in runtime.manifest.inputs] == list(recipes.NAMES)
        expected = recipes.fit(kind, seed=seed).predict(recipes.asked()[:32]).tolist()
        assert [output.value for output in runtime.answer(rows)] == expected


def test_artifact_models_alone_have_no_canary(tmp_path):
    artifact.make(tmp_path, (), alone=2)
    routes = table_of(tmp_path).routes
    assert list(routes) == artifact.alone_names(2)
    assert all(route.challenger is None for route in routes.values())
    assert len({route.champion.uri for route in routes.values()}) == 2


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
