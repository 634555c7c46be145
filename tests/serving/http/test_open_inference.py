"""The Open Inference Protocol, asked by Triton's own client."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import httpx
import numpy as np
import pandas as pd
import pytest
from tests.serving import samples
from tests.serving.conftest import route
from tests.serving.running import Gateway
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from serinus import wire
from serinus.ledger import ids

LIMITS = {"request_max_bytes": 40_000, "request_max_rows": 50, "request_timeout_seconds": 1.0}


@pytest.fixture(scope="module")
def serving(tmp_path_factory, folders):
    """Three models: a classifier of mixed inputs in two versions, one of numbers, a regression."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = Gateway(tmp_path_factory.mktemp("v2"), port, **LIMITS)
    both = route(
        folders, "no", "good", share=0.5, unit="entity", salt="s", deployment="d-1", step=1
    )
    line = wire.Route("line", wire.Target("1.0.0", folders["linear"]))
    running.publish(3, both, route(folders, "numbers"), line)
    with running:
        yield running


@pytest.fixture
def client(serving) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(serving.url.removeprefix("http://")) as made:
        yield made


def tensor(name, values, *, binary=True):
    array = np.asarray(values)
    kinds = {"f": "FP64", "i": "INT64", "b": "BOOL", "O": "BYTES"}
    if array.dtype.kind in "US":
        array = array.astype(object)
    given = InferInput(name, list(array.shape), kinds[array.dtype.kind])
    given.set_data_from_numpy(array, binary_data=binary)
    return given


def people(*ages, mood=0.0, binary=True):
    return [
        tensor("age", [float(age) for age in ages], binary=binary),
        tensor("mood", [mood] * len(ages), binary=binary),
        tensor("home town", ["Ulm"] * len(ages), binary=binary),
    ]


def frame(rows):
    return pd.DataFrame(rows, columns=[field.name for field in samples.NUMBERS])


def texts(array):
    return [item.decode() if isinstance(item, bytes) else item for item in array.ravel().tolist()]


def test_client_finds_the_server_and_its_models(client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("mood")
    assert client.is_model_ready("mood", "good")
    assert not client.is_model_ready("mood", "9.9.9")
    assert not client.is_model_ready("nobody")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    about = client.get_model_metadata("mood")
    assert about["versions"] == ["no", "good"]
    assert [(item["name"], item["datatype"]) for item in about["inputs"]] == [
        ("age", "FP64"),
        ("mood", "FP64"),
        ("home town", "BYTES"),
    ]
    assert {item["name"]: item["shape"] for item in about["outputs"]}["probabilities"] == [-1, 2]
    assert client.get_model_metadata("line", "1.0.0")["outputs"][0]["datatype"] == "FP64"


@pytest.mark.parametrize("binary", [True, False])
def test_infer_answers_and_records_each_row(serving, client, binary):
    names = ["prediction", "probabilities", "prediction_id", "version"]
    outputs = [InferRequestedOutput(name, binary_data=binary) for name in names]
    result = client.infer(
        "mood", people(61, 20, binary=binary), "good", outputs=outputs, request_id="r-7"
    )
    assert texts(result.as_numpy("prediction")) == ["yes", "no"]
    found = result.as_numpy("probabilities")
    assert found.round(9).tolist() == [[0.1, 0.9], [0.9, 0.1]]
    told = result.get_response()
    assert told["id"] == "r-7"
    assert told["model_version"] == "good"
    assert told["parameters"] == {"revision": 3, "version": "good", "arm": "challenger"}
    made = [ids.decode(id) for id in texts(result.as_numpy("prediction_id"))]
    events = [serving.reader.lookup(id) for id in made]
    assert [event.features for event in events] == [(61.0, 0.0, "Ulm"), (20.0, 0.0, "Ulm")]
    # A version that is named is a test of it, and no evidence.
    assert {event.assignment.deployment for event in events} == {""}
    assert {event.version for event in events} == {"good"}


@pytest.mark.parametrize("algorithm", ["gzip", "deflate", None])
def test_infer_reads_what_is_compressed(client, algorithm):
    rows = samples.number_rows(40, 1)
    result = client.infer(
        "numbers",
        [tensor("input", rows)],
        request_compression_algorithm=algorithm,
        response_compression_algorithm=algorithm,
    )
    wanted = samples.logistic().predict(frame(rows))
    assert result.as_numpy("prediction").tolist() == wanted.tolist()


def test_infer_of_a_large_answer_comes_compressed(serving):
    large = {"inputs": [{"name": "x", "shape": [50, 4], "datatype": "FP64", "data": [0.5] * 200}]}
    large["id"] = "x" * 20_000
    answer = serving.post("/v2/models/numbers/infer", large, **{"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()["id"] == large["id"]
    assert answer.json()["outputs"][0]["shape"] == [50]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int32, np.uint8])
def test_infer_of_numbers_is_the_models_own_answer(client, dtype):
    rows = (samples.number_rows(20, 2) * 3).astype(dtype).astype(np.float64)
    given = rows.astype(dtype)
    matrix = InferInput("input", list(given.shape), _datatype(dtype))
    matrix.set_data_from_numpy(given)
    columns = []
    for index, field in enumerate(samples.NUMBERS):
        column = InferInput(field.name, [20, 1], _datatype(dtype))
        columns.append(column.set_data_from_numpy(given[:, [index]]))
    fitted = samples.logistic()
    for inputs in ([matrix], columns):
        result = client.infer("numbers", inputs)
        assert result.as_numpy("prediction").tolist() == fitted.predict(frame(rows)).tolist()
        found = result.as_numpy("probabilities")
        np.testing.assert_allclose(found, fitted.predict_proba(frame(rows)))
    line = client.infer("line", [matrix]).as_numpy("prediction")
    np.testing.assert_allclose(line, samples.linear().predict(frame(rows)))


def _datatype(dtype):
    from tritonclient.utils import np_to_triton_dtype

    return np_to_triton_dtype(np.dtype(dtype))


def test_infer_is_routed_by_its_entity(serving, client):
    versions = {}
    for _ in range(2):
        for person in range(12):
            result = client.infer("mood", people(61), parameters={"entity": f"person {person}"})
            [version] = texts(result.as_numpy("version"))
            assert versions.setdefault(person, version) == version
    assert set(versions.values()) == {"no", "good"}


def test_infer_without_an_entity_routes_each_row(client):
    result = client.infer("mood", people(*[61] * 40))
    assert set(texts(result.as_numpy("version"))) == {"no", "good"}
    assert result.get_response()["parameters"] == {"revision": 3}


def test_infer_gives_the_outputs_that_are_wanted(client):
    outputs = [InferRequestedOutput("version"), InferRequestedOutput("prediction")]
    result = client.infer("mood", people(61), outputs=outputs)
    assert [item["name"] for item in result.get_response()["outputs"]] == ["version", "prediction"]


@pytest.mark.parametrize(
    ("model", "version", "inputs", "status", "words"),
    [
        ("nobody", "", people(1), "404", "no model 'nobody'"),
        ("mood", "7", people(1), "404", "There is: no, good"),
        ("mood", "", people(1)[1:], "400", "age: the input is missing"),
        ("mood", "", [tensor("age", [1.0, np.nan])], "400", "row 1, age: the value is missing"),
        ("mood", "", [tensor("age", [1.0, np.inf])], "400", "row 1, age: the value is not finite"),
        ("mood", "", [tensor("agee", [1.0])], "400", "no input 'agee'"),
        ("mood", "", [tensor("age", [1.0] * 51)], "400", "more than the 50"),
        ("numbers", "", [tensor("input", [[1.0, 2.0]])], "400", "order: x0, x1, x2, x3"),
        ("mood", "good", people(61, mood=1.0), "503", "row 0: the model failed"),
    ],
)
def test_infer_refuses_in_words_that_the_client_shows(
    client, model, version, inputs, status, words
):
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, inputs, version)
    assert caught.value.status() == status
    assert words in caught.value.message()


def test_infer_refuses_an_output_that_there_is_none_of(client):
    with pytest.raises(InferenceServerException, match="It gives: prediction, prediction_id"):
        client.infer(
            "line", [tensor("input", [[1.0] * 4])], outputs=[InferRequestedOutput("probabilities")]
        )


def test_infer_that_is_refused_is_not_recorded(serving, client):
    before = serving.get("/stats").json()["models"].get("numbers")
    with pytest.raises(InferenceServerException):
        client.infer("numbers", [tensor("input", [[1.0, 2.0, 3.0, np.nan]])])
    assert serving.get("/stats").json()["models"].get("numbers") == before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/mood/infer", 405),
        ("POST", "/v2/models/mood", 405),
        ("POST", "/v2/health/live", 405),
        ("GET", "/v2/nothing", 404),
        ("GET", "/v2/models", 404),
        ("GET", "/v2/models/mood/versions", 404),
        ("GET", "/v2/models/mood/versions/good/nothing", 404),
    ],
)
def test_paths_that_answer_nothing_say_so_in_the_protocols_form(serving, method, path, status):
    answer = httpx.request(method, serving.url + path)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]


def test_infer_with_an_arm_that_is_not_the_versions_is_a_conflict(serving):
    body = {"inputs": [{"name": "age", "shape": [1], "datatype": "FP64", "data": [1]}]}
    path = "/v2/models/mood/versions/good/infer"
    for arm, status in (("champion", 409), ("challenger", 200), ("nobody", 400)):
        answer = serving.post(path, body, **{"x-serinus-arm": arm})
        assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"


def test_infer_of_a_body_that_is_too_large_once_unpacked(serving):
    import gzip

    body = gzip.compress(json.dumps({"inputs": [], "id": "x" * 50_000}).encode())
    answer = httpx.post(
        f"{serving.url}/v2/models/mood/infer", content=body, headers={"content-encoding": "gzip"}
    )
    assert answer.status_code == 413
    assert "40000 bytes" in answer.json()["error"]


def test_metadata_head_has_no_body(serving):
    answer = httpx.head(f"{serving.url}/v2")
    assert answer.status_code == 200
    assert answer.content == b""
