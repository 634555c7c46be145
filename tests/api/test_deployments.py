from __future__ import annotations

import json
import threading

import httpx
import pytest
from tests.api.running import MODEL, Faces

from serinus import clock
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


def test_interventions_are_idempotent_and_keep_their_reason(two: Faces) -> None:
    with two.client as client:
        begun = client.deploy(MODEL, "1.1.0", shadow=False)
        two.report("1.0.0", "1.1.0")
        assert client.deployment(begun.id).deployment.phase == "running"
        for _ in range(2):
            assert client.pause(begun.id, reason="lunch").phase == "paused"
        assert client.resume(begun.id).phase == "running"
        for _ in range(2):
            assert client.abort(begun.id, reason="enough").phase == "aborted"
        moves = [(move.to_phase, move.actor, move.reason) for move in client.history(begun.id)]
    assert ("paused", "test", "lunch") in moves
    assert moves[-1] == ("aborted", "test", "enough")
    assert moves.count(("aborted", "test", "enough")) == 1


def test_promote_by_hand_gives_all_traffic_and_rollback_takes_it(two: Faces) -> None:
    with two.client as client:
        begun = client.deploy(MODEL, "1.1.0", shadow=False, soak_seconds=600)
        two.report("1.0.0", "1.1.0")
        assert client.promote(begun.id).phase == "soaking"
        assert client.model(MODEL).champion == "1.1.0"
        done = client.rollback(MODEL, reason="complaints")
        assert (done.taken_back, done.to) == ("1.1.0", "1.0.0")
        assert client.model(MODEL).champion == "1.0.0"
        assert client.deployment(begun.id).deployment.phase == "rolled_back"
        # By version, in the words of the requirements:
        answer = httpx.post(f"{two.url}/rollback/{MODEL}/1.1.0", json={"reason": "sorry"})
    assert answer.json()["to"] == "1.1.0"


def test_failures_roll_back_and_evidence_is_told(two: Faces) -> None:
    with two.client as client:
        begun = client.deploy(MODEL, "1.1.0", shadow=False, shares=[0.5], min_requests=10)
        two.report("1.0.0", "1.1.0")
        two.traffic(200, 200, failures=60)
        status = client.deployment(begun.id)
        looks = list(client.verdicts(begun.id))
    assert status.deployment.phase == "rolled_back"
    assert status.counts.failures["challenger"] == 60
    assert status.verdict is not None
    assert status.verdict.outcome == "rollback"
    rail = next(item for item in status.verdict.guardrails if item.kind == "errors")
    assert rail.log_harm > rail.harm_bound
    assert looks[-1].verdict == status.verdict


def test_events_tell_each_change_and_end_with_the_deployment(two: Faces) -> None:
    with two.client as client:
        begun = client.deploy(MODEL, "1.1.0", shadow=False)
    told: list[tuple[str, str]] = []
    seen = threading.Event()

    def listen() -> None:
        address = f"{two.url}/deployments/{begun.id}/events"
        with httpx.stream("GET", address, timeout=20) as stream:
            name = ""
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                if line.startswith("data: "):
                    document = json.loads(line.removeprefix("data: "))
                    told.append((name, document.get("deployment", {}).get("phase", "")))
                    seen.set()

    listener = threading.Thread(target=listen)
    listener.start()
    assert seen.wait(10)
    with two.client as client:
        client.abort(begun.id)
    listener.join(10)

    assert told == [("status", "pending"), ("status", "aborted"), ("end", "")]


def test_deployment_unknown(faces: Faces) -> None:
    with faces.client as client:
        for ask in (client.deployment, client.pause, lambda id: list(client.history(id))):
            with pytest.raises(NotFound):
                ask("nobody")
    assert httpx.get(f"{faces.url}/deployments/nobody/events").status_code == 404
    assert httpx.get(f"{faces.url}/deployments/status/{MODEL}").status_code == 404


def test_wait_for_follows_until_the_end(two: Faces) -> None:
    with two.client as client:
        begun = client.deploy(MODEL, "1.1.0", shadow=False)
        phases: list[str] = []

        def progress(status: object) -> None:
            phases.append(status.deployment.phase)  # type: ignore[attr-defined]
            if len(phases) == 1:
                two.app.delivery.abort(begun.id, actor="test", reason="")

        started = clock.monotonic()
        ended = client.wait_for(begun.id, timeout=10, progress=progress)

    assert ended.deployment.phase == "aborted"
    assert phases == ["pending", "aborted"]
    assert clock.monotonic() - started < 5


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


def test_replay_and_whatif(two: Faces) -> None:
    with two.client as client:
        begun = client.deploy(MODEL, "1.1.0", shadow=False, labels=False)
        two.report("1.0.0", "1.1.0")
        two.traffic(400, 40)
        found = client.replay(begun.id)
        assert found.exact
        assert found.looks > 0
        assert found.events >= 440
        other = client.whatif(begun.id, {"error_odds": 20.0, "latency_ratio": 5.0})
        assert other.steps == ("5 %", "25 %", "50 %")
        assert other.requests == 440
        assert other.recorded_outcome == "continue"


def test_replay_and_whatif_of_nothing_are_404(two: Faces) -> None:
    for method, path in (("GET", "replay"), ("POST", "whatif")):
        answer = httpx.request(method, f"{two.url}/deployments/none/{path}", json={"policy": {}})
        assert answer.status_code == 404


def test_whatif_names_each_field_that_cannot_be(two: Faces) -> None:
    with two.client as client:
        begun = client.deploy(MODEL, "1.1.0")
    policy = {"colour": 1, "shares": [0.1], "error_odds": "high"}
    answer = httpx.post(f"{two.url}/deployments/{begun.id}/whatif", json={"policy": policy})
    assert answer.status_code == 422
    assert {fault.split(":")[0] for fault in answer.json()["faults"]} == set(policy)
    for body in ({}, {"policy": 3}, {"policy": {}, "more": 1}):
        answer = httpx.post(f"{two.url}/deployments/{begun.id}/whatif", json=body)
        assert answer.status_code == 422
