from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tritonclient import utils as triton

from serinus.errors import InvalidInput
from serinus.serving.protocols import tensors
from serinus.serving.protocols.answers import Predicted
from serinus.serving.protocols.tensors import Answered, Tensor
from serinus.wire import Arm, Field, Manifest

NUMBERS = tuple(Field(name, "double") for name in "abc")
MIXED = (
    Field("age", "double", required=True),
    Field("count", "long"),
    Field("smoker", "boolean"),
    Field("town", "string"),
)
DTYPES = {
    name: triton.triton_to_np_dtype(name)
    for name in (
        *(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)),
        *("FP16", "FP32", "FP64"),
    )
}


def raw(array):
    return memoryview(array.tobytes())


def texts(*values):
    return memoryview(b"".join(struct.pack("<I", len(v)) + v for v in values))


@pytest.mark.parametrize("datatype", DTYPES)
@given(data=st.data())
def test_features_of_a_matrix_are_its_rows(datatype, data):
    shape = data.draw(st.tuples(st.integers(1, 6), st.just(3)))
    elements = {"allow_nan": False, "allow_infinity": False} if "FP" in datatype else None
    table = data.draw(arrays.arrays(DTYPES[datatype], shape, elements=elements))
    wanted = [tuple(map(float, row)) for row in table.tolist()]
    for more in (
        {"raw": raw(table)},
        {"values": table.tolist()},
        {"values": table.ravel().tolist()},
    ):
        assert tensors.features([Tensor("input", datatype, shape, **more)], NUMBERS, 6) == wanted


@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=False, allow_infinity=False),
            st.integers(-(2**63), 2**63 - 1),
            st.booleans(),
            st.text(st.characters(codec="utf-8")),
        ),
        min_size=1,
        max_size=5,
    ),
    st.booleans(),
)
def test_features_of_columns_are_their_rows(rows, deep):
    columns = [list(column) for column in zip(*rows, strict=True)]
    shape = [len(rows), 1] if deep else [len(rows)]
    kinds = ["FP64", "INT64", "BOOL", "BYTES"]
    arrays_ = [np.array(column, dtype=object) for column in columns]
    bodies = [
        raw(arrays_[0].astype(np.float64)),
        raw(arrays_[1].astype(np.int64)),
        raw(arrays_[2].astype(np.bool_)),
        memoryview(triton.serialize_byte_tensor(arrays_[3]).item()),
    ]
    as_bytes = [
        Tensor(field.name, kind, shape, raw=body)
        for field, kind, body in zip(MIXED, kinds, bodies, strict=True)
    ]
    listed = [
        Tensor(field.name, kind, shape, [[v] for v in column] if deep else column)
        for field, kind, column in zip(MIXED, kinds, columns, strict=True)
    ]
    assert tensors.features(as_bytes, MIXED, 5) == rows
    assert tensors.features(listed[::-1], MIXED, 5) == rows


def test_features_nan_and_null_are_missing_and_so_is_a_tensor_left_out():
    matrix = np.array([[1.0, np.nan, 3.0]])
    found = tensors.features([Tensor("x", "FP64", (1, 3), raw=raw(matrix))], NUMBERS, 9)
    assert found == [(1.0, None, 3.0)]
    given_tensors = [
        Tensor("age", "FP32", (2,), raw=raw(np.array([1, 2], np.float32))),
        Tensor("town", "BYTES", (2,), [None, "Ulm"]),
    ]
    assert tensors.features(given_tensors, MIXED, 9) == [
        (1.0, None, None, None),
        (2.0, None, None, "Ulm"),
    ]


def test_features_of_a_matrix_with_whole_numbers_keeps_them_whole():
    inputs = (Field("a", "double"), Field("n", "long"))
    matrix = np.array([[1.5, 3.0], [2.5, 4.0]])
    found = tensors.features([Tensor("input", "FP64", (2, 2), raw=raw(matrix))], inputs, 9)
    assert found == [(1.5, 3), (2.5, 4)]
    assert [type(value) for value in found[0]] == [float, int]


def test_features_of_a_matrix_named_as_the_only_input_is_that_column():
    one = (Field("input", "double"),)
    found = tensors.features([Tensor("input", "FP64", (2, 1), [1.0, 2.0])], one, 9)
    assert found == [(1.0,), (2.0,)]


AGE = Tensor("age", "FP64", (2,), [1.0, 2.0])


@pytest.mark.parametrize(
    ("given_tensors", "inputs", "words"),
    [
        ([], MIXED, "no tensor"),
        ([Tensor("agee", "FP64", (2,), [1.0, 2.0])], MIXED, "no input 'agee'"),
        ([Tensor("input", "FP64", (1, 4), [1.0] * 4)], MIXED, "no input 'input'"),
        ([AGE, AGE], MIXED, "twice"),
        ([Tensor("count", "INT64", (2,), [1, 2])], MIXED, "age: the input is missing"),
        ([AGE, Tensor("count", "INT64", (3,), [1, 2, 3])], MIXED, r"not [2] or [2, 1]"),
        ([AGE, Tensor("count", "BYTES", (2,), ["1", "2"])], MIXED, "Send INT64"),
        ([AGE, Tensor("smoker", "INT8", (2,), [1, 0])], MIXED, "Send BOOL"),
        ([AGE, Tensor("town", "FP64", (2,), [1.0, 0.0])], MIXED, "Send BYTES"),
        ([Tensor("age", "BF16", (2,), raw=memoryview(b"1234"))], MIXED, "BF16"),
        ([Tensor("age", "FP64", (), [])], MIXED, "no list of rows"),
        ([Tensor("age", "FP64", (-1,), [])], MIXED, "no list of rows"),
        ([Tensor("age", "FP64", (1, 1, 1), [1.0])], MIXED, "no list of rows"),
        ([Tensor("age", "FP64", (0,), [])], MIXED, "empty"),
        ([Tensor("age", "FP64", (10,), [1.0] * 10)], MIXED, "more than the 9"),
        ([Tensor("age", "FP64", (2,), [1.0])], MIXED, "1 values, not 2"),
        ([Tensor("age", "FP64", (2,))], MIXED, "no data"),
        ([Tensor("age", "FP64", (2, 1), [[1.0], [1.0, 2.0]])], MIXED, "not 2 lists of 1"),
        ([Tensor("age", "FP64", (2,), [1.0, [2.0]])], MIXED, "row 1, age: the value is no FP64"),
        ([Tensor("age", "FP64", (2,), [1.0, None])], MIXED, "row 1, age: the value is missing"),
        ([Tensor("age", "INT8", (2,), [1, 128])], MIXED, "row 1, age: the value is no INT8"),
        ([Tensor("age", "UINT8", (2,), [1, True])], MIXED, "row 1, age: the value is no UINT8"),
        ([Tensor("age", "FP64", (2,), raw=memoryview(bytes(15)))], MIXED, "15 bytes"),
        ([AGE, Tensor("town", "BYTES", (2,), raw=texts(b"a"))], MIXED, "1 texts, not 2"),
        ([AGE, Tensor("town", "BYTES", (2,), raw=texts(b"a", b"b", b""))], MIXED, "4 bytes"),
        ([AGE, Tensor("town", "BYTES", (2,), raw=texts(b"a", b"\xff"))], MIXED, "row 1, town"),
        ([AGE, Tensor("town", "BYTES", (2,), raw=texts(b"a", b"b")[:-1])], MIXED, "row 1, town"),
        ([Tensor("x", "FP64", (2, 4), [1.0] * 8)], NUMBERS, "order: a, b, c"),
        ([Tensor("x", "BOOL", (1, 3), [True] * 3)], NUMBERS, "Send FP64"),
        ([Tensor("x", "FP64", (1, 3), raw=memoryview(bytes(23)))], NUMBERS, "have 24"),
    ],
)
def test_features_refuses(given_tensors, inputs, words):
    with pytest.raises(InvalidInput) as caught:
        tensors.features(given_tensors, inputs, 9)
    assert words in str(caught.value)


@given(st.binary(max_size=64), st.sampled_from(["BYTES", "FP32", "BOOL"]), st.integers(0, 9))
def test_features_of_any_bytes_are_rows_or_refused(junk, datatype, count):
    inputs = (Field("x", {"BYTES": "string", "FP32": "double", "BOOL": "boolean"}[datatype]),)
    tensor = Tensor("x", datatype, (count,), raw=memoryview(junk))
    refused = None
    try:
        found = tensors.features([tensor], inputs, 9)
    except InvalidInput as error:
        refused, found = error, [()] * count
    assert refused is None or refused.where
    assert len(found) == count


# ------------------------------------------------------------------ answers


def about(classes=(), task="classification"):
    return Manifest("m", task, NUMBERS, "y", classes)


def predicted(value, probabilities=None, version="1"):
    return Predicted(value, "ab" * 16, "m", version, Arm.CHAMPION, 3, probabilities)


@pytest.mark.parametrize(
    ("manifest", "values", "datatype"),
    [
        (about(task="regression"), [1.5, -2.0], "FP64"),
        (about((0, 1)), [1, 0], "INT64"),
        (about((False, True)), [True, False], "BOOL"),
        (about(("no", "yes")), ["yes", "nö"], "BYTES"),
        (about((2**64, 1)), [2**64, 1], "BYTES"),
    ],
)
def test_answered_predictions_are_of_the_datatype_that_metadata_tells(manifest, values, datatype):
    [output, *_] = tensors.answered([predicted(value) for value in values], manifest)
    assert (output.name, output.datatype, output.shape) == ("prediction", datatype, (2,))
    assert tensors.outputs_of(manifest)[0].datatype == datatype
    if datatype == "BYTES":
        read = [item.decode() for item in triton.deserialize_bytes_tensor(output.raw())]
    else:
        read = np.frombuffer(output.raw(), triton.triton_to_np_dtype(datatype)).tolist()
    assert read == [str(value) for value in values] if datatype == "BYTES" else values


def test_answered_values_of_another_type_are_told_as_text():
    output, *_ = tensors.answered([predicted(1), predicted("x"), predicted(True)], about((0, 1)))
    assert (output.datatype, output.values) == ("BYTES", ["1", "x", "true"])


def test_answered_probabilities_are_in_the_order_of_the_champions_classes():
    rows = [
        predicted("a", {"a": 0.75, "b": 0.25}),
        predicted("b", {"b": 1.0, "new": 0.0}, version="2"),
    ]
    by_name = {output.name: output for output in tensors.answered(rows, about(("a", "b")))}
    assert by_name["probabilities"] == Answered(
        "probabilities", "FP64", (2, 2), [0.75, 0.25, 0.0, 1.0]
    )
    assert by_name["version"].values == ["1", "2"]
    assert by_name["prediction_id"].values == ["ab" * 16] * 2
    assert list(by_name) == list(tensors.OUTPUTS)


def test_answered_gives_what_is_wanted_in_that_order():
    rows = [predicted("a")]
    wanted = ("version", "prediction")
    assert [output.name for output in tensors.answered(rows, about(("a", "b")), wanted)] == [
        *wanted
    ]
    assert "probabilities" not in {o.name for o in tensors.answered(rows, about(("a", "b")))}
    with pytest.raises(InvalidInput, match="no probabilities"):
        tensors.answered(rows, about(("a", "b")), ("probabilities",))


def test_check_outputs_names_those_that_there_are():
    tensors.check_outputs(tensors.OUTPUTS, about(("a", "b")))
    with pytest.raises(InvalidInput) as caught:
        tensors.check_outputs(["probabilities"], about(task="regression"))
    assert "prediction, prediction_id, version" in caught.value.remedy


def test_inputs_of_are_told_with_their_datatypes():
    told = {item.name: (item.datatype, item.parameters) for item in tensors.inputs_of(MIXED)}
    assert told == {
        "age": ("FP64", {"required": True}),
        "count": ("INT64", {"required": False}),
        "smoker": ("BOOL", {"required": False}),
        "town": ("BYTES", {"required": False}),
    }
    assert not tensors.is_numeric(MIXED)
    assert tensors.is_numeric(NUMBERS)
