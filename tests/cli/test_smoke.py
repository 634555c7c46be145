from __future__ import annotations

from tests.api.running import MODEL, Faces
from tests.cli.calling import serinus

from serinus.registry.types import Stage


def test_smoke_names_what_does_not_answer(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.app.delivery.publish()

    answer = serinus(
        "smoke", "--endpoint", "http://127.0.0.1:9", "--json",
        home=faces.app.settings.home, control=faces.url,
    )  # fmt: skip

    assert answer.code == 1
    assert answer.json["passed"] is False
    outcome = {check["name"]: check["passed"] for check in answer.json["checks"]}
    assert outcome == {
        "control plane": False,
        "gateway": False,
        "routing": True,
        f"prediction by {MODEL}": False,
    }
