from __future__ import annotations

import httpx
from tests.api.running import Faces


def test_openapi_describes_every_body_and_answer(faces: Faces) -> None:
    document = httpx.get(f"{faces.url}/openapi.json").json()

    schemas = document["components"]["schemas"]
    canary = document["paths"]["/deployments/canary"]["post"]
    assert canary["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/CanaryRequest"
    }
    assert schemas["CanaryRequest"]["required"] == ["model_name", "candidate_version"]
    undescribed = [
        f"{method} {path}"
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if "content" not in operation["responses"][min(operation["responses"])]
    ]
    assert undescribed == []


def test_openapi_references_lead_somewhere(faces: Faces) -> None:
    text = httpx.get(f"{faces.url}/openapi.json").text

    schemas = httpx.get(f"{faces.url}/openapi.json").json()["components"]["schemas"]
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(schemas)


def test_routes_that_api_adds_are_not_described_twice(faces: Faces) -> None:
    paths = httpx.get(f"{faces.url}/openapi.json").json()["paths"]

    assert not [path for path in paths if path.startswith("/api")]
