import json

import msgspec
import pytest

from serinus import wire
from serinus.bench import artifact
from serinus.serving.runtimes import artifacts


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_artifact_models_can_be_served(tmp_path):
    body = json.loads(artifact.make(tmp_path))
    table = msgspec.json.decode((tmp_path / "routing.json").read_bytes(), type=wire.RoutingTable)
    assert set(table.routes) == {artifact.ALONE, artifact.CANARY}
    assert table.routes[artifact.CANARY].share == artifact.CANARY_SHARE
    for name, route in table.routes.items():
        for target in filter(None, (route.champion, route.challenger)):
            runtime = artifacts.load(name, target)
            names = [field.name for field in runtime.manifest.inputs]
            assert len(names) == artifact.FEATURES
            [output] = runtime.answer([tuple(body["features"][name] for name in names)])
            assert output.value in (0, 1)
