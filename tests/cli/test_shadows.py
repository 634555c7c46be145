"""The shadow report in a terminal."""

from __future__ import annotations

from tests.api.running import MODEL, Faces
from tests.cli.calling import serinus
from tests.delivery.shadows import traffic

from serinus.registry.types import Stage


def test_shadow_shows_the_conclusion_and_where_they_differ(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    with faces.client as client:
        begun = client.deploy(MODEL, "1.1.0", disagreement=0.5).id
    faces.report("1.0.0", "1.1.0")
    traffic.write(faces.writer, 1_000, deployment=begun, clone=1.0)
    faces.app.controller.run_once()
    home = faces.app.settings.home
    told = serinus("deployments", "shadow", begun, home=home, control=faces.url)
    assert told.code == 0
    words = " ".join(told.out.split())
    assert words.startswith("The two answer")
    assert "Where they differ" in words
    assert "amount" in words
    assert "Answers: champion by challenger" in words
    assert "1,000 of 1,000 pairs were read." in words
    as_json = serinus(
        "deployments", "shadow", MODEL, "--pairs", "100", "--json", home=home, control=faces.url
    )
    assert as_json.json["pairs"] == 100
    assert as_json.json["conclusion"].startswith("The two answer")
