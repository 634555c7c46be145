from __future__ import annotations

from tests.api.running import MODEL, Faces
from tests.cli.calling import serinus

from serinus.registry.types import Stage


def test_monitor_tells_advice_and_windows(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)

    def call(*arguments: str):
        return serinus("monitor", *arguments, home=faces.app.settings.home, control=faces.url)

    status = call("status", "--json").json
    assert status["monitoring"]["models"] == {MODEL: "NO_ACTION_NEEDED"}
    assert status["recommendations"][MODEL]["reasons"]
    assert "NO_ACTION_NEEDED" in call("status").out
    assert call("drift", MODEL, "--json").json == {"drift": []}
    assert "No window has closed yet" in call("performance", MODEL).out
    assert call("drift", "nobody").code == 2
