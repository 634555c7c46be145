from __future__ import annotations

import httpx
from tests.api.running import MODEL, Faces

from serinus.registry.types import Stage


def test_health_is_of_this_process(faces: Faces) -> None:
    answer = httpx.get(f"{faces.url}/health")

    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"


def test_system_health_names_what_is_missing(faces: Faces) -> None:
    answer = httpx.get(f"{faces.url}/api/system/health")

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/json"
    with faces.client as client:
        parts = {part.name: part for part in client.system_health().parts}
    assert parts["database"].status == "ok"
    assert "serinus gateway" in parts["gateway"].detail


def test_system_health_with_a_gateway(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.app.delivery.tables.publish()
    faces.report("1.0.0")

    with faces.client as client:
        health = client.system_health()

    assert health.status == "ok"
    assert [part.detail for part in health.parts if part.name == "gateway w1"] == [
        "revision 1 of 1"
    ]


def test_routing_is_what_gateways_should_have(faces: Faces) -> None:
    with faces.client as client:
        assert client.routing().routes == {}
        faces.register("1.0.0", stage=Stage.PRODUCTION)
        faces.app.delivery.tables.publish()
        assert client.routing().routes[MODEL].champion.version == "1.0.0"
    assert MODEL in faces.app.settings.routing_table.read_text()
