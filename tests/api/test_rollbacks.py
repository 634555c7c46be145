"""Rollbacks and defaults over HTTP."""

from __future__ import annotations

import httpx
import pytest
from tests.api.test_deployments import MODEL, Faces, two

from serinus.errors import Conflict, InvalidInput, NotFound

__all__ = ["two"]


def test_rollback_is_told_with_its_plan_and_its_history(two: Faces) -> None:
    with two.client as client:
        begun = client.deploy(MODEL, "1.1.0", shadow=False)
        plan = client.rollback_plan(MODEL)
        assert plan.target == "1.0.0"
        assert [check.name for check in plan.checks] == [
            "version",
            "artifacts",
            "gates",
            "loaded",
            "served",
        ]
        done = client.rollback(MODEL, reason="complaints")
        assert (done.state, done.deployment, done.actor) == ("routed", begun.id, "test")
        assert client.rollback_of(done.id) == done
        assert [item.id for item in client.rollbacks(MODEL)] == [done.id]
        assert [step.state for step in done.steps] == ["planned", "routed"]
        with pytest.raises(Conflict, match="cannot become failed"):
            client.decline_rollback(done.id)
        answer = httpx.post(f"{two.url}/api/models/{MODEL}/rollback", json={"version": "1.0.0"})
    assert answer.json()["id"] == done.id
    assert answer.json()["from"] == "1.1.0"


def test_default_is_set_and_cleared(two: Faces) -> None:
    with two.client as client:
        classes = client.version(MODEL, "1.0.0").manifest.classes
        made = client.set_default(MODEL, classes[0], reason="the feed is broken")
        assert list(client.defaults()) == [made]
        assert client.routing().routes[MODEL].default == classes[0]
        with pytest.raises(InvalidInput, match="never answers 'maybe'"):
            client.set_default(MODEL, "maybe")
        assert client.clear_default(MODEL).items == []
        assert client.routing().routes[MODEL].default is None


def test_rollback_to_a_version_without_a_name_is_refused(two: Faces) -> None:
    answer = httpx.post(f"{two.url}/models/{MODEL}/rollback", json={"version": ""})
    assert answer.status_code == 422
    assert "version" in answer.text


def test_default_answers_alone_for_a_time(two: Faces) -> None:
    with two.client as client:
        with pytest.raises(Conflict, match="has no default"):
            client.default_alone(MODEL)
        with pytest.raises(NotFound, match="has no default"):
            client.end_default_alone(MODEL)
        classes = client.version(MODEL, "1.0.0").manifest.classes
        client.set_default(MODEL, classes[0])
        for minutes in (0.0, 1e300, 2_000.0):
            with pytest.raises(InvalidInput, match="at most 1,440 minutes"):
                client.default_alone(MODEL, minutes)
        begun = client.default_alone(MODEL, 5.0, reason="a bad feed")
        assert begun.alone_until is not None
        assert client.routing().routes[MODEL].alone_until > 0
        left = client.end_default_alone(MODEL, reason="the feed is well")
        assert (left.model, left.alone_until, left.answer) == (MODEL, None, classes[0])
        assert (left.actor, left.reason) == ("test", "the feed is well")
        assert client.end_default_alone(MODEL, reason="once more") == left
        assert client.routing().routes[MODEL].alone_until == 0
    alone = f"{two.url}/models/{MODEL}/default/alone"
    assert httpx.put(alone, json={"minutes": 1}).json()["alone_until"]
    assert httpx.delete(alone, headers={"origin": "http://evil.example"}).status_code == 403
    assert httpx.delete(alone, params={"why": "x"}).status_code == 422
    assert httpx.delete(alone).json()["alone_until"] is None
    assert httpx.post(alone, json={}).status_code == 405
