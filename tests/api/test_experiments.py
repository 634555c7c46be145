"""Experiments over HTTP and from the SDK."""

from __future__ import annotations

import httpx
import pytest
from tests.api.test_deployments import MODEL, Faces, two

from serinus.errors import Conflict, InvalidInput

__all__ = ["two"]


def test_experiment_is_begun_evaluated_and_listed(two: Faces) -> None:
    begun = httpx.post(
        f"{two.url}/api/experiments",
        json={
            "model_name": MODEL,
            "candidate_version": "1.1.0",
            "traffic_split": 0.4,
            "success_metric": "accuracy",
            "min_samples": 5_000,
        },
    )
    assert begun.status_code == 201, begun.text
    identity = begun.json()["id"]
    evaluated = httpx.post(f"{two.url}/api/experiments/{identity}/evaluate").json()
    assert evaluated["view"] == "before_the_end"
    assert evaluated["recommendation"]["action"] == "go_on"
    assert [arm["share"] for arm in evaluated["arms"]] == [0.6, 0.4]
    listed = httpx.get(f"{two.url}/api/experiments/history").json()
    assert [item["id"] for item in listed["items"]] == [identity]
    with two.client as client:
        status = client.experiment(identity)
        assert status.deployment.strategy == "ab_test"
        assert status.evaluation == client.evaluate(identity)
        assert [item.id for item in client.experiments(model=MODEL, live=True)] == [identity]
        with pytest.raises(Conflict, match="no challenger is proven better"):
            client.promote_winner(identity)


def test_experiment_that_says_no_time_has_the_settings(two: Faces) -> None:
    with two.client as client:
        client.start_experiment(MODEL, "1.1.0")
    (item,) = httpx.get(f"{two.url}/experiments/history").json()["items"]
    assert item["plan"]["experiment"]["min_seconds"] == 24 * 3600
    assert item["plan"]["experiment"]["confidence"] == 0.95


def test_experiment_with_a_strange_metric_is_refused_in_the_words_of_the_call(two: Faces) -> None:
    with two.client as client, pytest.raises(InvalidInput) as refused:
        client.start_experiment(MODEL, "1.1.0", success_metric="speed")
    assert any(fault.startswith("success_metric: ") for fault in refused.value.faults)
