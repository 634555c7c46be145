from __future__ import annotations

import msgspec
from tests.api.running import MANIFEST, MODEL, Faces
from tests.cli.calling import serinus

from serinus.registry.types import Stage


def test_smoke_names_what_does_not_answer(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.app.delivery.tables.publish()

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


def test_smoke_skips_a_model_without_an_example(faces: Faces) -> None:
    bare = msgspec.structs.replace(MANIFEST, example={})
    faces.register("1.0.0", stage=Stage.PRODUCTION, manifest=bare)
    faces.app.delivery.tables.publish()

    options = ("smoke", "--endpoint", "http://127.0.0.1:9")
    answer = serinus(*options, home=faces.app.settings.home, control=faces.url)

    line = next(line for line in answer.out.splitlines() if f"prediction by {MODEL}" in line)
    assert "no example, skipped" in line
    assert "FAILED" not in line
