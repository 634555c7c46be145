"""Where a method is answered that a path does not take."""

from __future__ import annotations

import httpx
import pytest
from tests.api.running import Faces


@pytest.mark.parametrize(
    ("method", "path", "allowed", "near"),
    [
        (
            "GET",
            "/experiments",
            "POST",
            "GET is answered at /experiments/history and /experiments/{experiment}.",
        ),
        ("GET", "/api/experiments", "POST", "GET is answered at /experiments/history and"),
        ("GET", "/deployments/d1/pause", "POST", "GET is answered at /deployments/d1."),
        ("GET", "/models/m/default/alone", "DELETE, PUT", "GET is answered at /models/m."),
        ("DELETE", "/health", "GET", ""),
        ("POST", "/models", "GET", "POST is answered at /models/promote and /models/register"),
    ],
    ids=["collection", "prefix", "verb", "taken", "nowhere", "below"],
)
def test_a_method_that_is_not_taken_is_led_on(
    faces: Faces, method: str, path: str, allowed: str, near: str
) -> None:
    answer = httpx.request(method, faces.url + path)
    told = answer.json()
    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["allow"] == allowed
    assert told["remedy"].startswith(f"This path takes {' and '.join(allowed.split(', '))}.")
    assert near in told["remedy"]


def test_every_method_that_is_not_taken_has_a_remedy(faces: Faces) -> None:
    paths = httpx.get(f"{faces.url}/openapi.json").json()["paths"]
    with httpx.Client(base_url=faces.url) as client:
        for path in paths:
            answer = client.request("PATCH", path.replace("{", "").replace("}", ""))
            assert answer.status_code == 405, path
            taken = answer.headers["allow"].split(", ")
            assert {method.upper() for method in paths[path]} <= set(taken), path
            assert f"This path takes {' and '.join(taken)}." in answer.json()["remedy"], path
