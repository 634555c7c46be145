from __future__ import annotations

import pytest
from tests.api.running import MODEL, Faces

from serinus.errors import NotFound
from serinus.registry.types import Stage


def test_prognosis_is_of_the_plan_that_began_and_made_once(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    with faces.client as client:
        begun = client.deploy(MODEL, "1.1.0", shadow=False, shares=[0.2, 0.5])
        told = client.prognosis(begun.id)
        assert [step.name for step in told.steps] == ["20 %", "50 %"]
        with pytest.raises(NotFound):
            client.prognosis("nobody")
    assert faces.app.prognoses.of(begun.id) is faces.app.prognoses.of(begun.id)
