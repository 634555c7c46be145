"""Messages against those that Triton's own client makes and reads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import InferInput, InferRequestedOutput, InferResult, service_pb2
from tritonclient.grpc._utils import _get_inference_request

from serinus.errors import InvalidInput
from serinus.serving.protocols import grpc as codec
from serinus.serving.protocols import open_inference, tensors
from serinus.serving.protocols.answers import Predicted
from serinus.wire import Arm, Field, Manifest

INPUTS = (Field("age", "double", required=True), Field("town", "string"))
MANIFEST = Manifest("m", "classification", INPUTS, "y", ("no", "yes"))
LISTS = {
    "BOOL": ("bool_contents", True),
    "INT8": ("int_contents", -3),
    "INT64": ("int64_contents", -3),
    "UINT16": ("uint_contents", 3),
    "UINT64": ("uint64_contents", 3),
    "FP32": ("fp32_contents", 0.5),
    "FP64": ("fp64_contents", 0.5),
}


def request(rows, **more):
    """As the client sends it."""
    age = InferInput("age", [len(rows)], "FP64")
    age.set_data_from_numpy(np.array([row[0] for row in rows]))
    town = InferInput("town", [len(rows), 1], "BYTES")
    town.set_data_from_numpy(np.array([[row[1]] for row in rows], object))
    given = {"model_version": "", "request_id": "", "outputs": None, "parameters": None} | more
    return _get_inference_request(
        model_name="m", inputs=[age, town], sequence_id=0, sequence_start=False,
        sequence_end=False, priority=0, timeout=None, **given,
    )  # fmt: skip


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
    )
)
def test_read_what_the_client_writes(rows):
    asked = codec.read(request(rows, request_id="r-1", parameters={"entity": "ann"}))
    assert tensors.features(asked.tensors, INPUTS, 5) == rows
    assert (asked.id, asked.entity) == ("r-1", "ann")


def test_answer_is_what_the_client_reads():
    names = ["probabilities", "prediction", "version"]
    outputs = [InferRequestedOutput(name) for name in names]
    asked = codec.read(request([(1.0, "Ulm")] * 2, outputs=outputs, request_id="r-2"))
    result = InferResult(codec.answer(predicted(2), MANIFEST, asked))
    assert result.as_numpy("probabilities").tolist() == [[0.25, 0.75]] * 2
    assert result.as_numpy("prediction").tolist() == [b"yes"] * 2
    told = result.get_response()
    assert [output.name for output in told.outputs] == names
    assert (told.id, told.model_name, told.model_version) == ("r-2", "m", "1.0.0")
    assert told.parameters["revision"].int64_param == 7
    assert told.parameters["arm"].string_param == "champion"


def test_answer_of_lists_is_lists():
    given_request = service_pb2.ModelInferRequest(model_name="m")
    age = given_request.inputs.add(name="age", datatype="FP64", shape=[1])
    age.contents.fp64_contents.append(1.5)
    asked = codec.read(given_request)
    assert tensors.features(asked.tensors, INPUTS, 5) == [(1.5, None)]
    response = codec.answer(predicted(), MANIFEST, asked)
    assert not response.raw_output_contents
    by_name = {output.name: output.contents for output in response.outputs}
    assert list(by_name["prediction"].bytes_contents) == [b"yes"]
    assert list(by_name["probabilities"].fp64_contents) == [0.25, 0.75]


@pytest.mark.parametrize("datatype", LISTS)
def test_read_takes_the_list_of_each_datatype(datatype):
    field, value = LISTS[datatype]
    given_request = service_pb2.ModelInferRequest()
    made = given_request.inputs.add(name="x", datatype=datatype, shape=[1])
    getattr(made.contents, field).append(value)
    inputs = (Field("x", "boolean" if datatype == "BOOL" else "double"),)
    assert tensors.features(codec.read(given_request).tensors, inputs, 1) == [(value,)]


def broken(change):
    given_request = request([(1.0, "Ulm")])
    change(given_request)
    return given_request


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.raw_input_contents.append(b""), "2 tensors and the bytes of 3"),
        (lambda r: r.inputs[0].parameters["shared_memory_region"].Clear(), "shared_memory_region"),
        (lambda r: r.outputs.add(name="a").parameters["classification"].Clear(), "classification"),
        (lambda r: [r.outputs.add(name="a") for _ in "ab"], "twice"),
        (lambda r: setattr(r.parameters["entity"], "bool_param", True), "neither text"),
        (lambda r: setattr(r.parameters["entity"], "string_param", ""), "neither text"),
    ],
)
def test_read_refuses(change, words):
    with pytest.raises(InvalidInput) as caught:
        codec.read(broken(change))
    assert words in str(caught.value)


def test_read_refuses_lists_that_hold_no_such_values():
    given_request = service_pb2.ModelInferRequest()
    given_request.inputs.add(name="x", datatype="FP16", shape=[1])
    with pytest.raises(InvalidInput, match="no list"):
        codec.read(given_request)
    text = service_pb2.ModelInferRequest()
    made = text.inputs.add(name="x", datatype="BYTES", shape=[2])
    made.contents.bytes_contents.extend([b"a", b"\xff"])
    with pytest.raises(InvalidInput) as caught:
        codec.read(text)
    assert caught.value.where == "row 1, x"


@given(st.binary(max_size=60))
def test_read_of_any_message_is_a_request_or_refused(junk):
    given_request = service_pb2.ModelInferRequest()
    made = given_request.inputs.add(name="x", datatype="FP64", shape=[1])
    made.contents.fp64_contents.append(1.0)
    given_request.raw_input_contents.append(junk)
    refused = None
    try:
        tensors.features(codec.read(given_request).tensors, (Field("x", "double"),), 1)
    except InvalidInput as error:
        refused = error
    assert (refused is None) == (len(junk) == 8 and np.isfinite(np.frombuffer(junk))[0] | np.isnan(
        np.frombuffer(junk))[0])  # fmt: skip


def test_metadata_is_the_same_as_over_http():
    told = open_inference.metadata(INPUTS, MANIFEST, ("1.0.0", "1.1.0"))
    made = codec.metadata(told)
    assert (made.name, list(made.versions), made.platform) == ("m", ["1.0.0", "1.1.0"], "serinus")
    assert [(t.name, t.datatype, tuple(t.shape)) for t in made.outputs] == [
        (t.name, t.datatype, t.shape) for t in told.outputs
    ]
