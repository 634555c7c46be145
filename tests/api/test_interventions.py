"""Interventions over HTTP: each may be sent twice, at any moment, with and without /api."""

from __future__ import annotations

import httpx
import pytest
from tests.api.running import MODEL, Faces

from serinus import clock
from serinus.delivery.reconcile import Decision
from serinus.delivery.types import Outcome, Phase
from serinus.errors import Conflict
from serinus.registry.types import Stage


@pytest.fixture
def begun(faces: Faces) -> str:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    with faces.client as client:
        begun = client.deploy(MODEL, "1.1.0", approvals=True).id
    faces.report("1.0.0", "1.1.0")
    return begun


def pass_gate(faces: Faces, begun: str) -> None:
    """What the controller does when the evidence suffices and the plan asks for an approval."""
    delivery = faces.app.delivery
    with faces.app.engine.begin() as connection:
        waits = Decision(Phase.PAUSED, 0, Outcome.PROMOTE, "waits for approval")
        now = clock.now()
        delivery.apply(connection, delivery.get(begun), waits, actor="controller", at=now)


def test_approve_and_retry_are_idempotent(faces: Faces, begun: str) -> None:
    pass_gate(faces, begun)
    with faces.client as client:
        with pytest.raises(Conflict, match="waits for an approval"):
            client.resume(begun)
        for _ in range(2):
            approved = client.approve(begun, reason="looks good")
            assert (approved.phase, approved.step) == ("running", 1)
        for _ in range(2):
            assert client.abort(begun).phase == "aborted"
        for _ in range(2):
            assert client.retry(begun, reason="once more").phase == "pending"
        moves = [(move.to_phase, move.reason) for move in client.history(begun)]
    assert moves.count(("running", "looks good")) == 1
    assert moves.count(("pending", "once more")) == 1


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize("verb", ["pause", "resume", "approve", "promote", "abort", "retry"])
def test_interventions_are_done_or_refused_with_a_remedy(
    faces: Faces, begun: str, prefix: str, verb: str
) -> None:
    answer = httpx.post(f"{faces.url}{prefix}/deployments/{begun}/{verb}", json={"reason": "x"})
    if verb in ("approve", "retry"):
        assert answer.status_code == 409
        assert answer.json()["remedy"]
    else:
        assert answer.status_code == 200
        assert answer.json()["id"] == begun
    assert httpx.post(f"{faces.url}{prefix}/deployments/none/{verb}").status_code == 404
    wrong = httpx.post(f"{faces.url}{prefix}/deployments/{begun}/{verb}", json={"why": "x"})
    assert wrong.status_code == 422
