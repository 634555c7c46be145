"""The shadow report over HTTP."""

from __future__ import annotations

import httpx
from tests.api.running import MODEL, Faces
from tests.delivery.shadows import traffic

from serinus.registry.types import Stage


def test_shadow_report_is_told(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    with faces.client as client:
        begun = client.deploy(MODEL, "1.1.0").id
        faces.report("1.0.0", "1.1.0")
        traffic.write(faces.writer, 400, deployment=begun, failing=0.0)
        faces.app.controller.run_once()
        found = client.shadow_report(begun)
        part = client.shadow_report(begun, pairs=100)
    assert (found.pairs, found.of) == (400, 400)
    assert (part.pairs, part.of) == (100, 400)
    assert "answer" in found.conclusion
    assert found.differing.flips > 0
    assert found.segments[0].feature == "amount"


def test_shadow_of_nothing_is_404_and_no_pairs_422(faces: Faces) -> None:
    assert httpx.get(f"{faces.url}/deployments/none/shadow").status_code == 404
    assert httpx.get(f"{faces.url}/deployments/none/shadow?pairs=0").status_code == 422
