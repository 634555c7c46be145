from __future__ import annotations

import httpx
import pytest
from tests.api.running import MODEL, Faces

from serinus.api.deploying import CanaryRequest, canary_spec
from serinus.errors import Conflict, InvalidInput, NotFound
from serinus.registry.types import Stage

CANARY = {
    "model_name": MODEL,
    "candidate_version": "1.1.0",
    "production_version": "1.0.0",
    "traffic_percentage": 10,
    "min_samples": 50,
    "max_duration_hours": 2,
    "auto_promote_on_success": True,
}


@pytest.fixture
def two(faces: Faces) -> Faces:
    """A champion and a version that wants its place."""
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    return faces


def test_canary_in_the_words_of_the_requirements(two: Faces) -> None:
    answer = httpx.post(f"{two.url}/deployments/canary", json=CANARY)

    assert answer.status_code == 201
    begun = answer.json()
    assert [step["share"] for step in begun["plan"]["steps"]] == [0, 0.1, 0.25, 0.5]
    assert begun["plan"]["steps"][1]["min_requests"] == 50
    assert begun["phase"] == "pending"
    status = httpx.get(f"{two.url}/deployments/status/{MODEL}").json()
    assert status["deployment"]["id"] == begun["id"]
    every = httpx.get(f"{two.url}/api/deployments/status").json()
    assert [item["deployment"]["id"] for item in every["items"]] == [begun["id"]]


def test_canary_of_an_unknown_version_changes_nothing(two: Faces) -> None:
    answer = httpx.post(
        f"{two.url}/deployments/canary", json={**CANARY, "candidate_version": "9.9.9"}
    )

    assert answer.status_code == 404
    assert "1.1.0" in answer.json()["remedy"]
    assert httpx.get(f"{two.url}/deployments").json()["items"] == []


def test_canary_spec_begins_at_the_given_share() -> None:
    asked = CanaryRequest(MODEL, "1.1.0", traffic_percentage=30)

    assert canary_spec(asked).shares == (0.3, 0.5)


@pytest.mark.parametrize("percentage", [0, 100, -1, float("inf"), float("nan")])
def test_canary_spec_refuses_what_is_no_share(percentage: float) -> None:
    with pytest.raises(InvalidInput, match="no percentage"):
        canary_spec(CanaryRequest(MODEL, "1.1.0", traffic_percentage=percentage))


def test_blue_green_is_a_plan_of_its_own(two: Faces) -> None:
    answer = httpx.post(
        f"{two.url}/deployments/blue-green",
        json={"model_name": MODEL, "candidate_version": "1.1.0"},
    )

    assert answer.json()["strategy"] == "blue_green"


def test_second_deployment_is_a_conflict(two: Faces) -> None:
    with two.client as client:
        client.deploy(MODEL, "1.1.0")
        with pytest.raises(Conflict):
            client.deploy(MODEL, "1.1.0")


def test_every_fault_of_a_plan_is_told_at_once(two: Faces) -> None:
    with two.client as client, pytest.raises(InvalidInput) as refusal:
        client.deploy(MODEL, "1.1.0", shares=[0.5, 0.2], min_requests=0)

    assert len(refusal.value.faults) == 2


def test_field_of_the_wrong_type_is_named(two: Faces) -> None:
    answer = httpx.post(
        f"{two.url}/deployments",
        json={"model": MODEL, "challenger": "1.1.0", "shares": [0.1, "half"]},
    )

    assert answer.status_code == 422
    assert answer.json()["where"] == "body.shares[1]"


def test_unknown_field_is_refused(two: Faces) -> None:
    answer = httpx.post(
        f"{two.url}/deployments", json={"model": MODEL, "challenger": "1.1.0", "shore": 1}
    )

    assert answer.status_code == 422
    assert "shore" in answer.json()["detail"]


def test_forecast_tells_the_plan_and_begins_nothing(two: Faces) -> None:
    with two.client as client:
        found = client.forecast(MODEL, "1.1.0", error_odds=3.0)
        assert [step.name for step in found.forecast.steps] == ["shadow", "5 %", "25 %", "50 %"]
        assert len(found.words) == len(found.plan.steps) == 4
        assert "3 times the champion's errors" in found.words[-1]
        assert found.faults == ()
        assert "no request was seen" in found.summary
        assert {harm.harm for harm in found.forecast.harms} >= {"errors x 50", "latency +20 %"}
        assert list(client.deployments()) == []


def test_forecast_names_faults_instead_of_refusing(two: Faces) -> None:
    with two.client as client:
        found = client.forecast(MODEL, "1.1.0", unit="entity", entities=300)
        assert "there are 300" in found.faults[0]
        assert found.remedies
        with pytest.raises(InvalidInput, match="could not decide") as refusal:
            client.deploy(MODEL, "1.1.0", unit="entity", entities=300)
        assert refusal.value.faults == found.faults


def test_forecast_of_a_wrong_plan_is_refused(two: Faces) -> None:
    with two.client as client:
        with pytest.raises(InvalidInput):
            client.forecast(MODEL, "1.1.0", shares=[0.5, 0.2])
        with pytest.raises(NotFound):
            client.forecast(MODEL, "9.9.9")
