"""Nothing is done for a request that says less, more or otherwise than its call understands."""

from __future__ import annotations

import httpx
import pytest
from fastapi.routing import APIRoute
from tests.api.running import MODEL, Faces

from serinus.api import admission, application
from serinus.registry.types import Stage

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/deployments?modle=x", "query modle: there is no such field; did you mean model?"),
        ("/api/deployments?modle=x", "query modle: there is no such field; did you mean model?"),
        ("/models?colour=red", "query colour: there is no such field; there are after, limit"),
        ("/health?deep=1", "query deep: there is no such field; this call has none"),
        ("/jobs?limit=5&limit=7", "query limit: it is given 2 times; give it once"),
        ("/deployments/events?mdel=x", "query mdel: there is no such field; did you mean model?"),
    ],
)
def test_query_field_that_a_call_does_not_know_is_refused(
    faces: Faces, path: str, said: str
) -> None:
    answer = httpx.get(faces.url + path)

    assert answer.status_code == 422
    assert answer.json()["faults"] == [said]
    assert answer.json()["remedy"]


def test_every_call_refuses_a_field_that_it_does_not_know(faces: Faces) -> None:
    served = application.create(faces.app)
    calls = [route for route in served.routes if isinstance(route, APIRoute)]
    reading = [route.path for route in calls if "GET" in (route.methods or ())]
    paths = reading or list(httpx.get(f"{faces.url}/openapi.json").json()["paths"])
    with httpx.Client(base_url=faces.url) as client:
        for path in paths:
            filled = path.replace("{", "").replace("}", "")
            answer = client.get(filled, params={"unheard_of": "1"})
            if answer.status_code != 405:
                assert (filled, answer.status_code) == (filled, 422)


def test_query_fields_that_a_call_knows_are_taken(faces: Faces) -> None:
    assert httpx.get(f"{faces.url}/deployments?model=none&limit=3&after=x").status_code == 200
    assert httpx.get(f"{faces.url}/api/jobs?kind=train&state=queued").status_code == 200


@pytest.fixture
def begun(faces: Faces) -> str:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    return faces.app.delivery.create({"model": MODEL, "challenger": "1.1.0"}, actor="test").id


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        (FORM, ""),
        (FORM, "reason=x"),
        ({"content-type": "text/plain"}, '{"reason": "x"}'),
        ({"content-type": "multipart/form-data; boundary=x"}, "--x--"),
        ({"content-type": "application/yaml"}, "reason: x"),
        ({}, '{"reason": "x"}'),
    ],
    ids=["empty form", "form", "plain", "multipart", "yaml", "unsaid"],
)
def test_body_of_another_type_changes_nothing(
    faces: Faces, begun: str, headers: dict[str, str], content: str
) -> None:
    answer = httpx.post(f"{faces.url}/deployments/{begun}/abort", headers=headers, content=content)

    assert answer.status_code == 415
    assert "Content-Type: application/json" in answer.json()["remedy"]
    assert faces.app.delivery.get(begun).live


def test_json_is_taken_whatever_stands_behind_its_type(faces: Faces, begun: str) -> None:
    kind = {"content-type": "Application/JSON; charset=utf-8"}
    url = f"{faces.url}/deployments/{begun}/abort"

    assert httpx.post(url, headers=kind, content='{"reason": "x"}').status_code == 200
    assert httpx.post(url).status_code == 200  # an empty body needs no type


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "https://elsewhere.example", "x-forwarded-host": "serinus.example"},
        {"sec-fetch-site": "cross-site", "origin": "https://elsewhere.example"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=["origin", "no origin", "not an origin", "proxy", "cross", "same site"],
)
def test_pages_of_other_sites_change_nothing(
    faces: Faces, begun: str, headers: dict[str, str]
) -> None:
    url = f"{faces.url}/deployments/{begun}/abort"

    assert httpx.post(url, headers=headers).status_code == 403
    assert faces.app.delivery.get(begun).live
    assert httpx.get(f"{faces.url}/deployments", headers=headers).status_code == 200


@pytest.mark.parametrize("site", [None, "same-origin", "none"])
def test_pages_of_this_very_address_are_trusted(faces: Faces, begun: str, site: str | None) -> None:
    headers = {"origin": faces.url} | ({"sec-fetch-site": site} if site else {})

    assert httpx.post(f"{faces.url}/deployments/{begun}/abort", headers=headers).status_code == 200


def test_page_behind_a_proxy_that_asks_by_another_name_is_trusted(faces: Faces, begun: str) -> None:
    headers = {"origin": "http://Serinus.example:81", "x-forwarded-host": "serinus.example:81"}

    assert httpx.post(f"{faces.url}/deployments/{begun}/abort", headers=headers).status_code == 200


def test_plans_are_read_as_yaml_without_references(faces: Faces) -> None:
    text = "model: &a [x, x]\nothers: [*a, *a]\n"
    answer = httpx.post(
        f"{faces.url}/deployments", headers={"content-type": "application/yaml"}, content=text
    )

    assert answer.status_code == 422
    assert "this is not YAML (references are not taken)" in answer.json()["detail"]
    assert admission.unsupported("x", ("json", "yaml")).remedy == (
        "Send it with the header Content-Type: application/json or application/yaml."
    )
