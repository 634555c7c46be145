from __future__ import annotations

from pathlib import Path

import httpx
import mlflow
import mlflow.sklearn
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from tests.api.running import MODEL, Faces

from serinus.api.models import name_and_version
from serinus.errors import Conflict, InvalidInput, NotFound
from serinus.registry.types import GateResult, Stage


def test_listing_goes_through_pages(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")

    first = httpx.get(f"{faces.url}/models/{MODEL}/versions", params={"limit": 1}).json()

    assert [item["version"] for item in first["items"]] == ["1.1.0"]
    assert first["next"] == "1.1.0"
    with faces.client as client:
        assert [item.version for item in client.versions(MODEL)] == ["1.1.0", "1.0.0"]
        assert [(item.name, item.champion) for item in client.models()] == [(MODEL, "1.0.0")]
        assert client.model(MODEL).champion == "1.0.0"


def test_every_call_answers_under_api_too(faces: Faces) -> None:
    faces.register("1.0.0")

    plain = httpx.get(f"{faces.url}/models/{MODEL}").json()

    assert httpx.get(f"{faces.url}/api/models/{MODEL}").json() == plain


def test_model_unknown_names_the_known(faces: Faces) -> None:
    faces.register("1.0.0")

    answer = httpx.get(f"{faces.url}/models/nobody")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert MODEL in answer.json()["remedy"]


def test_compare_shows_both_versions(faces: Faces) -> None:
    faces.register("1.0.0", params={"algorithm": "xgboost"})
    faces.register("1.1.0", metrics={"accuracy": 0.97})

    with faces.client as client:
        found = client.compare(MODEL, "1.0.0", "1.1.0")

    assert found.metrics == {"accuracy": (0.95, 0.97)}
    assert found.params == {"algorithm": ("xgboost", "logistic_regression")}
    assert httpx.get(
        f"{faces.url}/api/models/compare", params={"model": MODEL, "a": "1.0.0", "b": "1.1.0"}
    ).json()["metrics"] == {"accuracy": [0.95, 0.97]}


def test_promote_passes_through_staging_and_routes(faces: Faces) -> None:
    faces.register("1.0.0")

    answer = httpx.post(
        f"{faces.url}/models/promote", json={"model_name": MODEL, "version": "1.0.0"}
    )

    assert answer.json()["stage"] == "Production"
    with faces.client as client:
        assert client.routing().routes[MODEL].champion.version == "1.0.0"
        moves = [(move.from_stage, move.to_stage) for move in client.stages(MODEL)]
    assert moves == [("Staging", "Production"), ("None", "Staging")]


def test_promote_by_model_in_the_path(faces: Faces) -> None:
    faces.register("1.0.0")

    answer = httpx.post(f"{faces.url}/api/models/{MODEL}@1.0.0/promote", json={"stage": "Staging"})

    assert answer.json()["stage"] == "Staging"


def test_promote_is_refused_beside_a_live_deployment(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    with faces.client as client:
        begun = client.deploy(MODEL, "1.1.0")
        with pytest.raises(Conflict, match=begun.id):
            client.promote_version(MODEL, "1.1.0")
        assert client.model(MODEL).champion == "1.0.0"


def test_promote_of_a_failed_version_is_refused(faces: Faces) -> None:
    faces.register("1.0.0", gates=(GateResult("threshold accuracy", False, "0.5 against 0.7"),))

    with faces.client as client, pytest.raises(Conflict) as refusal:
        client.promote_version(MODEL, "1.0.0")

    assert "threshold accuracy: 0.5 against 0.7" in refusal.value.faults


def test_register_of_nothing_names_what_to_give(faces: Faces) -> None:
    with faces.client as client, pytest.raises(NotFound, match="no MLflow model"):
        client.register(MODEL, "/no/such/folder")


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("fraud@1.0.0", None, ("fraud", "1.0.0")),
        ("fraud", "1.0.0", ("fraud", "1.0.0")),
        ("fraud@1.0.0", "1.0.0", ("fraud", "1.0.0")),
    ],
)
def test_name_and_version(text: str, given: str | None, expected: tuple[str, str]) -> None:
    assert name_and_version(text, given) == expected


@pytest.mark.parametrize(("text", "given"), [("fraud", None), ("fraud@1.0.0", "1.1.0")])
def test_name_and_version_refuses_none_and_two(text: str, given: str | None) -> None:
    with pytest.raises(InvalidInput):
        name_and_version(text, given)


def test_register_of_an_mlflow_model_in_the_words_of_the_requirements(
    faces: Faces, tmp_path: Path
) -> None:
    rows = pd.DataFrame({"amount": [1.0, 2.0, 8.0, 9.0], "age": [30.0, 40.0, 50.0, 60.0]})
    fitted = LogisticRegression().fit(rows, [0, 0, 1, 1])
    mlflow.sklearn.save_model(
        fitted,
        str(tmp_path / "model"),
        signature=mlflow.models.infer_signature(rows, [0]),
        serialization_format="cloudpickle",
        pip_requirements=["scikit-learn"],
    )
    body = {
        "model_name": "imported",
        "model_type": "classification",
        "description": "from elsewhere",
        "model_artifact_path": str(tmp_path / "model"),
        "metrics": {"accuracy": 0.9},
        "params": {"C": 1.0},
    }

    answer = httpx.post(f"{faces.url}/models/register", json=body, timeout=60)

    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["model"], made["version"], made["description"]) == (
        "imported",
        "1.0.0",
        "from elsewhere",
    )
    assert made["metrics"] == {"accuracy": 0.9}
    assert [item["name"] for item in made["manifest"]["inputs"]] == ["amount", "age"]
    assert (Path(made["uri"]) / "serinus.json").exists()
    again = httpx.post(
        f"{faces.url}/models/register", json={**body, "version": "1.0.0"}, timeout=60
    )
    assert again.status_code == 409
