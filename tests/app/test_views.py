from __future__ import annotations

from tests.api.running import MODEL, Faces

from serinus.app import views
from serinus.registry.types import Stage


def test_model_shows_champion_and_live_deployment(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    with faces.client as client:
        begun = client.deploy(MODEL, "1.1.0")

    app = faces.app
    shown = views.model(app.delivery, app.model(MODEL), app.registry.champions())

    assert (shown.champion, shown.deployment) == ("1.0.0", begun.id)


def test_version_is_shown_without_its_reference(faces: Faces) -> None:
    version = faces.register("1.0.0", reference={"rows": 3})

    shown = views.version(version)

    assert shown.stage == "None"
    assert not hasattr(shown, "reference")
