from __future__ import annotations

import httpx
import pytest
from tests.api.running import MODEL, Faces

from serinus.errors import InvalidInput, NotFound


def test_train_is_a_job_and_one_key_one_job(faces: Faces) -> None:
    with faces.client as client:
        asked = client.train("iris", MODEL, key="once", algorithm="xgboost", deploy=True)
        again = client.train("iris", MODEL, key="once")
        other = client.train("iris", MODEL)
        assert asked.id == again.id != other.id
        assert asked.state == "queued"
        assert asked.payload["algorithm"] == "xgboost"
        assert asked.payload["deploy"] is True
        assert [job.id for job in client.jobs("train")] == [other.id, asked.id]
        assert client.job(asked.id) == again


def test_listing_is_paged(faces: Faces) -> None:
    with faces.client as client:
        ids = [client.train("iris", MODEL).id for _ in range(3)]

    first = httpx.get(f"{faces.url}/jobs", params={"limit": 2}).json()
    second = httpx.get(f"{faces.url}/jobs", params={"limit": 2, "after": first["next"]}).json()

    assert [item["id"] for item in first["items"] + second["items"]] == ids[::-1]
    assert second["next"] is None


def test_cancel_is_idempotent(faces: Faces) -> None:
    with faces.client as client:
        job = client.train("iris", MODEL)
        assert [client.cancel_job(job.id).state for _ in range(2)] == ["cancelled", "cancelled"]
        assert [item.id for item in client.jobs(state="cancelled")] == [job.id]


def test_job_unknown(faces: Faces) -> None:
    with faces.client as client, pytest.raises(NotFound):
        client.job("nobody")


def test_state_unknown_is_refused(faces: Faces) -> None:
    with faces.client as client, pytest.raises(InvalidInput, match="parameters"):
        list(client.jobs(state="dancing"))


def test_train_without_a_model_names_the_field(faces: Faces) -> None:
    answer = httpx.post(f"{faces.url}/models/train", json={"data": "iris"})

    assert answer.status_code == 422
    assert "`model`" in answer.json()["detail"]
