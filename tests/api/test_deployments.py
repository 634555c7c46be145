from __future__ import annotations

import json
import threading

import httpx
import pytest
from tests.api.running import MODEL, Faces

from serinus import clock
from serinus.errors import NotFound
from serinus.registry.types import Stage


@pytest.fixture
def two(faces: Faces) -> Faces:
    """A champion and a version that wants its place."""
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    return faces


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
