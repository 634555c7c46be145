from __future__ import annotations

import httpx
import pytest
from tests.api.running import MODEL, Faces

from serinus.errors import NotFound
from serinus.registry.types import Stage


def test_start_says_that_it_runs_as_often_as_asked(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)

    answers = [httpx.get(f"{faces.url}/monitoring/start").json() for _ in range(2)]

    assert answers[0] == answers[1] == httpx.get(f"{faces.url}/api/monitoring/status").json()
    assert answers[0]["running"] is True
    assert answers[0]["models"] == {MODEL: "NO_ACTION_NEEDED"}


def test_recommendation_of_a_quiet_model(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)

    with faces.client as client:
        found = client.recommendation(MODEL)
        assert list(client.drift_history(MODEL)) == []
        assert list(client.performance_history(MODEL)) == []

    assert found.action == "NO_ACTION_NEEDED"
    assert found.reasons


def test_history_of_an_unknown_model(faces: Faces) -> None:
    with faces.client as client:
        for ask in (client.drift_history, client.performance_history):
            with pytest.raises(NotFound):
                list(ask("nobody"))
        with pytest.raises(NotFound):
            client.recommendation("nobody")
