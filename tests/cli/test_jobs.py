from __future__ import annotations

from tests.api.running import MODEL, Faces
from tests.cli.calling import serinus


def test_jobs_are_asked_for_listed_shown_and_cancelled(faces: Faces) -> None:
    def call(*arguments: str):
        return serinus("jobs", *arguments, home=faces.app.settings.home, control=faces.url)

    asked = call("train", "--data", "iris", "--model", MODEL, "--json").json
    assert asked["payload"]["target"] == "target"
    assert call("list", "--state", "queued", "--json").json["jobs"][0]["id"] == asked["id"]
    assert asked["id"] in call("show", asked["id"]).out
    assert call("cancel", asked["id"], "--json").json["state"] == "cancelled"
    assert call("list", "--state", "queued", "--json").json["jobs"] == []
    assert call("show", "nobody").code == 2
