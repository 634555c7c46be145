"""MLflow's scoring protocol, asked by MLflow's own client and compared with its own server."""

from __future__ import annotations

import json
import socket
import warnings

import httpx
import pandas as pd
import pytest
from tests.serving import samples
from tests.serving.conftest import route
from tests.serving.running import Gateway

from serinus import wire
from serinus.ledger import ids

with warnings.catch_warnings():
    # MLflow warns of its own type hints when it is imported.
    warnings.simplefilter("ignore")
    import mlflow
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

LIMITS = {"request_max_bytes": 20_000, "request_max_rows": 50}
FRAME = pd.DataFrame({"age": [61.0, 20.0], "mood": [0.0, None], "home town": ["Ulm", None]})
NAMES = [field.name for field in samples.NUMBERS]


def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def serving(tmp_path_factory, folders):
    """One model alone: the plain path is its."""
    running = Gateway(tmp_path_factory.mktemp("mlflow"), port(), **LIMITS)
    running.publish(3, route(folders, "good"))
    with running:
        yield running


@pytest.fixture(scope="module")
def several(tmp_path_factory, folders):
    running = Gateway(tmp_path_factory.mktemp("several"), port(), **LIMITS)
    line = wire.Route("line", wire.Target("1.0.0", folders["linear"]))
    running.publish(1, route(folders, "good"), route(folders, "numbers"), line)
    with running:
        yield running


@pytest.fixture
def client(serving):
    return ScoringServerClient("127.0.0.1", serving.url.rsplit(":", 1)[1])


def test_client_finds_the_server(client):
    client.wait_server_ready(timeout=5)
    client.ping()
    assert client.get_version() == mlflow.__version__


def test_invoke_answers_a_frame_and_its_ids_take_labels(serving, client):
    response = client.invoke(FRAME)
    assert response.get_predictions()[0].tolist() == ["yes", "no"]
    made = [ids.decode(id) for id in response["prediction_ids"]]
    events = [serving.reader.lookup(id) for id in made]
    assert [event.features for event in events] == [(61.0, 0.0, "Ulm"), (20.0, None, None)]
    item = {"prediction_id": response["prediction_ids"][0], "label": "no"}
    assert serving.post("/feedback", item).status_code == 202


@pytest.mark.parametrize("model", ["numbers", "line"])
def test_invoke_answers_what_the_model_itself_predicts(several, folders, model):
    rows = samples.number_rows(20, 5)
    fitted = samples.logistic() if model == "numbers" else samples.linear()
    frame = pd.DataFrame(rows, columns=NAMES)
    wanted = fitted.predict(frame).tolist()
    bodies = {
        "application/json": [
            {"dataframe_split": frame.to_dict(orient="split")},
            {"dataframe_records": frame.to_dict(orient="records")},
            {"inputs": frame.to_dict(orient="list")},
            {"instances": frame.to_dict(orient="records")},
        ],
        "text/csv": [frame.to_csv(index=False)],
    }
    for kind, given in bodies.items():
        for body in given:
            text = body if isinstance(body, str) else json.dumps(body)
            answer = httpx.post(
                f"{several.url}/models/{model}/invocations",
                content=text.encode(),
                headers={"content-type": f"{kind}; charset=utf-8"},
            )
            assert answer.status_code == 200, answer.text
            assert answer.json()["predictions"] == pytest.approx(wanted)
            assert [type(v) for v in answer.json()["predictions"]] == [type(v) for v in wanted]
            assert answer.headers["x-serinus-revision"] == "1"


@pytest.mark.parametrize(
    ("body", "headers", "status", "code", "words"),
    [
        ({}, {}, 400, "BAD_REQUEST", "exactly one of"),
        ({"inputs": {"mood": [1]}}, {}, 400, "BAD_REQUEST", "age: the input is missing"),
        ({"inputs": {"age": ["x"]}}, {}, 400, "BAD_REQUEST", "row 0, age: 'x' is no number"),
        ({"inputs": {"age": [1]}, "params": {"a": 1}}, {}, 400, "BAD_REQUEST", "no parameters"),
        ({"inputs": {"age": [1] * 51}}, {}, 400, "BAD_REQUEST", "more than the 50"),
        ({"inputs": {"age": [1], "mood": [1]}}, {}, 503, "TEMPORARILY_UNAVAILABLE", "row 0"),
        ({"inputs": {"age": [1]}}, {"x-serinus-arm": "x"}, 400, "BAD_REQUEST", "no arm 'x'"),
        (
            {"inputs": {"age": [1]}},
            {"x-serinus-arm": "challenger"},
            409,
            "RESOURCE_CONFLICT",
            "no challenger",
        ),
        ({}, {"content-type": "text/html"}, 415, "BAD_REQUEST", "text/csv"),
        ({}, {"content-type": "text/csv; charset=latin-1"}, 415, "BAD_REQUEST", "UTF-8"),
    ],
)
def test_invoke_refuses_in_mlflows_form(serving, body, headers, status, code, words):
    answer = serving.post("/invocations", body, **headers)
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert told["error_code"] == code
    assert words in told["message"]
    assert list(told) == ["error_code", "message"]


def test_invoke_of_several_models_needs_a_name(several):
    answer = several.post("/invocations", {"inputs": {"age": [1]}})
    assert answer.status_code == 400
    assert "Name one of: line, mood, numbers" in answer.json()["message"]
    answer = several.post("/models/nobody/invocations", {"inputs": {"age": [1]}})
    assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_invoke_reads_what_is_compressed(serving):
    import gzip

    body = gzip.compress(FRAME.to_csv(index=False).encode())
    headers = {"content-encoding": "gzip", "content-type": "text/csv"}
    answer = httpx.post(f"{serving.url}/invocations", content=body, headers=headers)
    assert answer.json()["predictions"] == ["yes", "no"]


def test_ping_of_a_gateway_without_a_model_fails(gateway):
    running = gateway()
    running.publish(1)
    with running:
        assert running.get("/ping").status_code == 503
        assert running.get("/version").status_code == 200
        answer = running.post("/invocations", {"inputs": {"age": [1]}})
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
        assert running.get("/v2/health/ready").status_code == 503
        assert running.get("/v2/health/live").status_code == 200
