from __future__ import annotations

from tests.api.running import MODEL, Faces
from tests.api.test_interventions import pass_gate
from tests.cli.calling import Answer, serinus

from serinus.registry.types import Stage


def call(faces: Faces, *arguments: str) -> Answer:
    return serinus(*arguments, home=faces.app.settings.home, control=faces.url)


def test_approve_and_retry(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    with faces.client as client:
        begun = client.deploy(MODEL, "1.1.0", approvals=True).id
    faces.report("1.0.0", "1.1.0")
    refused = call(faces, "deployments", "approve", begun)
    assert refused.code == 2
    assert "no gate waits" in refused.err
    pass_gate(faces, begun)
    answer = call(faces, "deployments", "approve", begun, "--reason", "fine", "--json")
    assert (answer.json["phase"], answer.json["step"]) == ("running", 1)
    assert call(faces, "deployments", "abort", MODEL, "--json").json["phase"] == "aborted"
    # A model stands for its newest deployment.
    said = call(faces, "deployments", "retry", MODEL, "--reason", "once more")
    assert said.code == 0
    assert "is pending" in said.out
    nobody = call(faces, "deployments", "pause", "nobody")
    assert nobody.code == 2
    assert "neither a deployment nor a model" in nobody.err
