from __future__ import annotations

import pytest
from tests.api.running import MODEL, Faces

from serinus.app import App
from serinus.errors import Conflict, NotFound
from serinus.registry.types import Stage
from serinus.settings import Settings


def test_services_are_made_when_asked_for(tmp_path) -> None:
    app = App(Settings(home=tmp_path / "home"))

    assert not (tmp_path / "home").exists()
    assert "engine" not in vars(app)


@pytest.mark.parametrize(("interval", "rest"), [(0.005, 0.05), (0.1, 1.0), (30.0, 1.0)])
def test_controller_rests_a_second_at_most(tmp_path, interval: float, rest: float) -> None:
    """What only time brings is not seen ten long intervals late."""
    app = App(Settings(home=tmp_path, controller_interval_seconds=interval))

    assert app.controller._rest_seconds == pytest.approx(rest)


def test_model_by_name(faces: Faces) -> None:
    with pytest.raises(NotFound, match="no model"):
        faces.app.model(MODEL)
    faces.register("1.0.0")

    assert faces.app.model(MODEL).task == "classification"


def test_promote_to_staging_is_allowed_beside_a_deployment(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    faces.register("1.2.0")
    with faces.client as client:
        client.deploy(MODEL, "1.1.0")

    moved = faces.app.promote(MODEL, "1.2.0", Stage.STAGING, actor="ann", reason="")

    assert moved.stage is Stage.STAGING
    with pytest.raises(Conflict):
        faces.app.promote(MODEL, "1.2.0", Stage.PRODUCTION, actor="ann", reason="")
    assert faces.app.registry.history(MODEL, 1)[0].reason == "By hand, by ann."
