"""Bodies against those that Triton's own client makes and reads."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

from serinus.errors import InvalidInput
from serinus.serving.protocols import open_inference, tensors
from serinus.serving.protocols.answers import Predicted
from serinus.wire import Arm, Field, Manifest

INPUTS = (Field("age", "double", required=True), Field("town", "string"))
MANIFEST = Manifest("m", "classification", INPUTS, "y", ("no", "yes"))
NUMBERS = Manifest("n", "regression", (Field("a", "double"), Field("b", "long")), "y")


def request(rows, *, binary=True, outputs=None, **more):
    """A body and the value of its header, as the client sends them."""
    age = InferInput("age", [len(rows)], "FP64")
    age.set_data_from_numpy(np.array([row[0] for row in rows]), binary_data=binary)
    town = InferInput("town", [len(rows), 1], "BYTES")
    town.set_data_from_numpy(np.array([[row[1]] for row in rows], object), binary_data=binary)
    body, size = InferenceServerClient.generate_request_body([age, town], outputs=outputs, **more)
    return body, None if size is None else b"%d" % size


def predicted(rows=1, **more):
    plain = {
        "prediction": "yes",
        "prediction_id": "0f" * 16,
        "model": "m",
        "version": "1.0.0",
        "arm": Arm.CHAMPION,
        "revision": 7,
        "probabilities": {"no": 0.25, "yes": 0.75},
    }
    return [Predicted(**plain | more) for _ in range(rows)]


@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(st.characters(codec="utf-8")),
        ),
        min_size=1,
        max_size=5,
    ),
    st.booleans(),
)
def test_read_what_the_client_writes(rows, binary):
    asked = open_inference.read(*request(rows, binary=binary, request_id="r-1"))
    assert tensors.features(asked.tensors, INPUTS, 5) == rows
    assert asked.id == "r-1"
    # Where no output is named, the client wants all of them as bytes.
    assert asked.binary == frozenset(tensors.OUTPUTS)


@pytest.mark.parametrize("binary", [True, False])
def test_answer_is_what_the_client_reads(binary):
    names = ["probabilities", "prediction", "prediction_id", "version"]
    outputs = [InferRequestedOutput(name, binary_data=binary) for name in names]
    asked = open_inference.read(*request([(1.0, "Ulm")] * 2, outputs=outputs, request_id="r-2"))
    body, size = open_inference.answer(predicted(2), MANIFEST, asked)
    assert (size is not None) is binary
    result = InferenceServerClient.parse_response_body(body, header_length=size)
    assert result.as_numpy("probabilities").tolist() == [[0.25, 0.75]] * 2
    text = (lambda value: value.encode()) if binary else str
    assert result.as_numpy("prediction").tolist() == [text("yes")] * 2
    assert result.as_numpy("prediction_id").tolist() == [text("0f" * 16)] * 2
    told = result.get_response()
    assert [output["name"] for output in told["outputs"]] == names
    assert (told["id"], told["model_name"], told["model_version"]) == ("r-2", "m", "1.0.0")
    assert told["parameters"] == {"revision": 7, "version": "1.0.0", "arm": "champion"}


def test_answer_of_two_versions_names_each_rows_own():
    rows = predicted() + predicted(version="1.1.0", arm=Arm.CHALLENGER)
    asked = open_inference.read(*request([(1.0, "Ulm")] * 2, outputs=None))
    body, size = open_inference.answer(rows, MANIFEST, asked)
    result = InferenceServerClient.parse_response_body(body, header_length=size)
    assert result.as_numpy("version").tolist() == [b"1.0.0", b"1.1.0"]
    assert result.get_response()["parameters"] == {"revision": 7}
    assert "model_version" not in result.get_response()


def test_answer_mixes_bytes_and_lists_as_asked():
    outputs = [
        InferRequestedOutput("prediction", binary_data=False),
        InferRequestedOutput("probabilities", binary_data=True),
    ]
    asked = open_inference.read(*request([(1.0, "Ulm")], outputs=outputs))
    body, size = open_inference.answer(predicted(), MANIFEST, asked)
    first, second = json.loads(body[:size])["outputs"]
    assert first["data"] == ["yes"]
    assert second["parameters"] == {"binary_data_size": 16}
    assert np.frombuffer(body[size:]).tolist() == [0.25, 0.75]


def tensor(**changes):
    return {"name": "age", "shape": [1], "datatype": "FP64", "data": [1.0]} | changes


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "Expected `object`"),
        ({}, "inputs"),
        ({"inputs": {}}, "array"),
        ({"inputs": [1]}, "inputs[0]"),
        ({"inputs": [tensor(shape=[-1])]}, ">= 0"),
        ({"inputs": [tensor(shape="1")]}, "array"),
        ({"inputs": [tensor(datatype=1)]}, "datatype"),
        ({"inputs": [tensor(data=1)]}, "data"),
        ({"inputs": [tensor()], "id": 1}, "id"),
        ({"inputs": [tensor()], "outputs": [{"name": "prediction"}] * 2}, "twice"),
        ({"inputs": [tensor(parameters={"shared_memory_region": "x"})]}, "shared memory"),
        ({"inputs": [tensor(parameters={"binary_data_size": 0})]}, "both data and bytes"),
        ({"inputs": [tensor(data=None, parameters={"binary_data_size": 8})]}, "bytes are missing"),
        ({"inputs": [tensor(parameters={"binary_data_size": -1})]}, ">= 0"),
        ({"inputs": [tensor()], "parameters": {"entity": ""}}, "entity"),
        (
            {
                "inputs": [tensor()],
                "outputs": [{"name": "prediction", "parameters": {"classification": 3}}],
            },
            "classification",
        ),
    ],
)
def test_read_refuses(document, words):
    with pytest.raises(InvalidInput) as caught:
        open_inference.read(json.dumps(document).encode(), None)
    assert words in str(caught.value)


@pytest.mark.parametrize("length", [b"", b"x", b"-1", b"999", b"9" * 5000, "²".encode("latin-1")])
def test_read_refuses_a_length_that_is_none(length):
    with pytest.raises(InvalidInput, match="bytes"):
        open_inference.read(json.dumps({"inputs": [tensor()]}).encode(), length)


def test_read_refuses_bytes_that_are_no_tensors():
    body = json.dumps({"inputs": [tensor()]}).encode()
    with pytest.raises(InvalidInput, match="belong to no tensor"):
        open_inference.read(body + b"1234", b"%d" % len(body))


@given(st.binary(max_size=200), st.none() | st.integers(0, 250))
def test_read_any_bytes_are_a_request_or_refused(junk, length):
    with pytest.raises(InvalidInput):
        open_inference.read(junk, None if length is None else b"%d" % length)


def test_read_takes_parameters_it_does_not_know():
    document = {
        "inputs": [tensor(parameters={"content_type": "np"})],
        "parameters": {"priority": 1, "timeout": 5, "entity": 12},
    }
    assert open_inference.read(json.dumps(document).encode(), None).entity == "12"


def test_metadata_says_of_numbers_that_one_tensor_will_do():
    told = open_inference.metadata(NUMBERS.inputs, NUMBERS, ("1.0.0", "1.1.0"))
    assert told.versions == ("1.0.0", "1.1.0")
    assert [item.name for item in told.outputs] == ["prediction", "prediction_id", "version"]
    assert "[-1, 2]" in told.parameters["matrix"]
    assert open_inference.metadata(INPUTS, MANIFEST, ("1",)).parameters == {}
    [_, probabilities, *_] = open_inference.metadata(INPUTS, MANIFEST, ("1",)).outputs
    assert probabilities.shape == (-1, 2)
    assert probabilities.parameters == {"classes": "no, yes"}


def test_error_is_the_form_that_the_client_shows():
    assert json.loads(open_inference.error("why")) == {"error": "why"}
