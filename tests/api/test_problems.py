from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from tests.api.running import Faces

from serinus.api import problems
from serinus.errors import Conflict, InvalidInput, NotFound, SerinusError, Unavailable


def get(application: FastAPI) -> httpx.Response:
    """One request to the application, without a server."""
    transport = httpx.ASGITransport(app=application, raise_app_exceptions=False)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/")

    return asyncio.run(ask())


@pytest.mark.parametrize("kind", [SerinusError, InvalidInput, NotFound, Conflict, Unavailable])
def test_error_leaves_with_its_own_status(kind: type[SerinusError]) -> None:
    application = FastAPI()
    problems.install(application)

    @application.get("/")
    def fail() -> None:
        raise kind("it is so", where="here", remedy="Do that.", faults=["one"])

    answer = get(application)

    assert answer.status_code == kind.status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": kind.title,
        "status": kind.status,
        "detail": "it is so",
        "where": "here",
        "remedy": "Do that.",
        "faults": ["one"],
    }


def test_unexpected_error_tells_nothing_of_the_inside() -> None:
    application = FastAPI()
    problems.install(application)

    @application.get("/")
    def fail() -> None:
        raise RuntimeError("the secret of the house")

    answer = get(application)

    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("DELETE", "/health", 405), ("GET", "/jobs?limit=0", 422)],
)
def test_every_failure_is_a_problem_document(
    faces: Faces, method: str, path: str, status: int
) -> None:
    answer = httpx.request(method, faces.url + path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["remedy"]


def test_every_wrong_parameter_is_listed(faces: Faces) -> None:
    answer = httpx.get(f"{faces.url}/jobs", params={"limit": "many", "state": "dancing"})

    assert [fault.split(":")[0] for fault in answer.json()["faults"]] == [
        "query state",
        "query limit",
    ]
