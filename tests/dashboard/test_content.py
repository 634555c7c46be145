from __future__ import annotations

import httpx
import pytest
from tests.api.running import MODEL, Faces

from serinus.dashboard import content
from serinus.errors import NotFound
from serinus.registry.types import Stage


def test_overview_of_an_empty_installation(faces: Faces) -> None:
    found = content.overview(faces.app)

    assert (found["models"], found["deployments"], found["workers"], found["jobs"]) == (
        [],
        [],
        [],
        [],
    )


def test_model_has_its_leading_metrics(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION, metrics={"brier": 0.1, "roc_auc": 0.9})

    found = content.model(faces.app, MODEL)

    assert found["metrics"] == ["roc_auc", "brier"]
    assert found["model"].champion == "1.0.0"


def test_unknown_names_are_not_found(faces: Faces) -> None:
    with pytest.raises(NotFound):
        content.model(faces.app, "nobody")
    with pytest.raises(NotFound):
        content.deployment(faces.app, "nobody")


def test_calls_are_grouped_with_the_fields_of_their_bodies(faces: Faces) -> None:
    groups = content.calls(httpx.get(f"{faces.url}/openapi.json").json())

    assert {"system", "models", "deployments", "monitoring", "jobs"} <= set(groups)
    (canary,) = [call for call in groups["deployments"] if call["path"] == "/deployments/canary"]
    fields = {field["name"]: field for field in canary["body"]}
    assert fields["candidate_version"]["required"] is True
    assert fields["traffic_percentage"]["default"] == 10.0
    assert fields["production_version"]["type"] == "string or null"
    assert canary["gives"] == "Deployment"
