from __future__ import annotations

import httpx
from tests.api.running import MODEL, Faces

from serinus.registry.types import Stage


def test_actor_is_who_the_caller_says_or_api(faces: Faces) -> None:
    faces.register("1.0.0")
    body = {"model_name": MODEL, "version": "1.0.0", "stage": "Staging"}

    httpx.post(f"{faces.url}/models/promote", json=body, headers={"x-serinus-actor": "ann"})
    httpx.post(f"{faces.url}/models/promote", json={**body, "stage": "Production"})

    history = faces.app.registry.history(MODEL)
    assert [(move.to_stage, move.actor) for move in history] == [
        (Stage.PRODUCTION, "api"),
        (Stage.STAGING, "ann"),
    ]
