"""gRPC, asked by Triton's own client, of real workers that share a port."""

from __future__ import annotations

import socket
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from tests.serving import samples
from tests.serving.conftest import route
from tests.serving.running import Gateway
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from serinus.ledger import ids

LIMITS = {"request_max_bytes": 20_000, "request_max_rows": 50}


def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def address():
    return f"127.0.0.1:{port()}"


@pytest.fixture(scope="module")
def serving(tmp_path_factory, folders, address):
    grpc_port = int(address.split(":")[1])
    home = tmp_path_factory.mktemp("grpc")
    running = Gateway(home, port(), workers=2, grpc_port=grpc_port, **LIMITS)
    both = route(folders, "no", "good", share=0.5, unit="entity", salt="s", deployment="d-1")
    running.publish(3, both, route(folders, "numbers"))
    with running:
        running.until_revision(3)
        yield running


@pytest.fixture
def client(serving, address):
    with InferenceServerClient(address) as made:
        serving.until(made.is_server_ready)
        yield made


def matrix(rows):
    given = InferInput("input", list(rows.shape), "FP64")
    return given.set_data_from_numpy(rows)


def age(*values):
    given = InferInput("age", [len(values)], "FP64")
    return given.set_data_from_numpy(np.array(values, dtype=np.float64))


def test_client_finds_the_server_and_its_models(client):
    assert client.is_server_live()
    assert client.is_model_ready("mood")
    assert client.is_model_ready("mood", "good")
    assert not client.is_model_ready("mood", "9.9.9")
    assert not client.is_model_ready("nobody")
    assert client.get_server_metadata().name == "serinus"
    about = client.get_model_metadata("mood")
    assert list(about.versions) == ["no", "good"]
    assert [item.datatype for item in about.inputs] == ["FP64", "FP64", "BYTES"]


def test_infer_answers_as_the_model_and_records(serving, client):
    rows = samples.number_rows(20, 3)
    frame = pd.DataFrame(rows, columns=[field.name for field in samples.NUMBERS])
    result = client.infer("numbers", [matrix(rows)], request_id="r-1")
    fitted = samples.logistic()
    assert result.as_numpy("prediction").tolist() == fitted.predict(frame).tolist()
    np.testing.assert_allclose(result.as_numpy("probabilities"), fitted.predict_proba(frame))
    assert result.get_response().id == "r-1"
    made = [ids.decode(id.decode()) for id in result.as_numpy("prediction_id").tolist()]
    assert [serving.reader.lookup(id).features for id in made] == list(map(tuple, rows.tolist()))


def test_infer_of_a_version_forces_its_arm(client):
    outputs = [InferRequestedOutput("prediction"), InferRequestedOutput("version")]
    for version, arm in (("no", "champion"), ("good", "challenger")):
        result = client.infer("mood", [age(61.0)], version, outputs=outputs)
        assert result.as_numpy("version").tolist() == [version.encode()]
        assert result.get_response().parameters["arm"].string_param == arm
        result = client.infer("mood", [age(61.0)], headers={"x-serinus-arm": arm})
        assert result.get_response().parameters["version"].string_param == version


@pytest.mark.parametrize(
    ("model", "version", "inputs", "status", "words"),
    [
        ("nobody", "", [age(1.0)], "NOT_FOUND", "no model 'nobody'"),
        ("mood", "7", [age(1.0)], "NOT_FOUND", "There is: no, good"),
        ("mood", "", [age(1.0, np.nan)], "INVALID_ARGUMENT", "row 1, age: the value is missing"),
        ("mood", "", [age(*[1.0] * 51)], "INVALID_ARGUMENT", "more than the 50"),
        ("numbers", "", [matrix(np.ones((2, 3)))], "INVALID_ARGUMENT", "order: x0, x1, x2, x3"),
        ("numbers", "", [matrix(np.ones((1000, 4)))], "RESOURCE_EXHAUSTED", "larger than"),
    ],
)
def test_infer_refuses_in_words_that_the_client_shows(
    client, model, version, inputs, status, words
):
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, inputs, version)
    assert caught.value.status() == f"StatusCode.{status}"
    assert words in caught.value.message()


def test_infer_refused_is_counted_as_a_violation(serving, client):
    def counted():
        found = serving.get("/stats").json()["violations"]
        return found.get("mood", {}).get("age", {}).get("type", 0)

    before = counted()
    text = InferInput("age", [1], "BYTES")
    text.set_data_from_numpy(np.array([b"old"], dtype=np.object_))
    with pytest.raises(InferenceServerException, match="datatype"):
        client.infer("mood", [text])
    serving.until(lambda: counted() == before + 1)


def test_workers_share_the_port(serving, address):
    """Connections are dealt out by the kernel: some of many reach each worker."""

    def writers():
        return {
            record.id[:4] for record in serving.reader.scan() if hasattr(record.event, "output")
        }

    def both_answered():
        # A channel of its own: grpc would share one connection among clients of a process.
        with InferenceServerClient(
            address, channel_args=[("grpc.use_local_subchannel_pool", 1)]
        ) as one:
            one.infer("numbers", [matrix(np.ones((1, 4)))])
        return len(writers()) == 2

    serving.until(both_answered)


def test_a_call_that_the_protocol_has_not_is_told_so(client):
    with pytest.raises(InferenceServerException) as caught:
        client.get_inference_statistics()
    assert caught.value.status() == "StatusCode.UNIMPLEMENTED"


def test_nothing_of_it_is_imported_unless_it_is_asked_for():
    code = (
        "import sys, serinus.serving.workers.gateway, serinus.serving.workers.supervisor;"
        "print([m for m in sys.modules if m.split('.')[0] in ('grpc', 'tritonclient', 'google')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
