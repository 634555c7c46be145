"""Bodies read as MLflow's own scoring server reads them, and answers as its client does."""

from __future__ import annotations

import json
import math
import warnings
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from mlflow.deployments import PredictionsResponse
from mlflow.exceptions import MlflowException
from mlflow.models.utils import _enforce_schema
from mlflow.types import ColSpec, DataType, Schema
from mlflow.utils.proto_json_utils import dump_input_data

with warnings.catch_warnings():
    # MLflow warns of its own type hints when it is imported.
    warnings.simplefilter("ignore")
    import mlflow.pyfunc.scoring_server as mlflow_server

from serinus.errors import InvalidInput
from serinus.serving.protocols import invocations
from serinus.serving.protocols.answers import Predicted
from serinus.wire import Arm, Field

# As registration makes them: what may be missing is a number or text, and never a whole number.
INPUTS = (
    Field("age", "double", required=True),
    Field("mood", "double"),
    Field("count", "long", required=True),
    Field("smoker", "boolean", required=True),
    Field("home town", "string"),
)
NAMES = [field.name for field in INPUTS]
SCHEMA = Schema(
    [ColSpec(DataType[field.type], field.name, required=field.required) for field in INPUTS]
)

finite = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1)
rows = st.lists(
    st.tuples(
        finite | st.integers(-(2**53), 2**53),
        st.none() | finite,
        st.integers(-(2**63), 2**63 - 1),
        st.booleans(),
        texts,
    ),
    min_size=1,
    max_size=5,
)
quick = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def ours(body, kind=invocations.JSON, inputs=INPUTS, max_rows=9):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return invocations.rows(body, kind, inputs, max_rows)


def mlflows(body, kind=invocations.JSON):
    """The rows that a model served by MLflow would be given."""
    if kind == invocations.CSV:
        data = mlflow_server.parse_csv_input(StringIO(body.decode()), schema=SCHEMA)
    else:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        data, _ = mlflow_server._split_data_and_params(text)
        data = mlflow_server.infer_and_parse_data(data, SCHEMA)
    frame = _enforce_schema(data, SCHEMA)
    frame = frame.reindex(columns=NAMES)
    return [
        tuple(None if value is None or value != value else value for value in row)  # noqa: PLR0124
        for row in zip(*(frame[name].tolist() for name in NAMES), strict=True)
    ]


def same(ours_, theirs):
    assert len(ours_) == len(theirs)
    for mine, other in zip(ours_, theirs, strict=True):
        for a, b in zip(mine, other, strict=True):
            if isinstance(a, float) and isinstance(b, float):
                # Pandas reads a number from CSV to within its last digit, and not exactly.
                assert math.isclose(a, b, rel_tol=1e-13, abs_tol=5e-324)
            else:
                assert a == b
                assert type(a) is type(b)


def columns(table):
    return {
        name: list(values) for name, values in zip(NAMES, zip(*table, strict=True), strict=True)
    }


@pytest.mark.parametrize("form", ["split", "records"])
@quick
@given(table=rows, extra=st.booleans(), shuffled=st.permutations(range(len(NAMES))))
def test_rows_of_frames_are_read_as_by_mlflow(form, table, extra, shuffled):
    names = [NAMES[index] for index in shuffled] + ["other"] * extra
    data = [[row[index] for index in shuffled] + [7] * extra for row in table]
    if form == "split":
        body = {"dataframe_split": {"columns": names, "data": data}}
    else:
        records = [dict(zip(names, row, strict=True)) for row in data]
        body = {"dataframe_records": records}
    same(ours(body), mlflows(body))


@pytest.mark.parametrize("form", ["inputs", "instances"])
@quick
@given(table=rows)
def test_rows_of_columns_are_read_as_by_mlflow(form, table):
    body = {form: columns(table)}
    same(ours(body), mlflows(body))


@pytest.mark.parametrize("form", ["inputs", "instances"])
@quick
@given(table=rows)
def test_rows_of_objects_are_read_as_by_mlflow(form, table):
    # MLflow makes the text "None" of null here, and of a number that is missing a NaN.
    body = {form: [dict(zip(NAMES, row, strict=True)) for row in table]}
    same(ours(body), mlflows(body))


@quick
@given(table=rows, with_index=st.booleans())
def test_rows_of_csv_are_read_as_by_mlflow(table, with_index):
    frame = pd.DataFrame(table, columns=NAMES)
    frame["other"] = 1
    body = frame.to_csv(index=with_index).encode()
    # A text that is all blanks is a matter of taste: pandas skips a line of nothing else.
    assume(all(row[-1].strip() for row in table))
    same(ours(body, invocations.CSV), mlflows(body, invocations.CSV))


@quick
@given(table=rows)
def test_rows_of_mlflows_client_are_those_it_was_given(table):
    frame = pd.DataFrame(table, columns=NAMES)
    body = dump_input_data(frame).encode()
    same(ours(body), mlflows(body))
    assert len(ours(body)) == len(table)


@pytest.mark.parametrize(
    "value", [1, 0, 1.5, -3, True, False, "1.5", " 2 ", "-7e3", "12", "true", "x", "", "1_0"]
)
@pytest.mark.parametrize("name", NAMES)
def test_rows_take_no_value_that_mlflow_would_take_as_another(name, value):
    """Whatever we take is what MLflow makes of it; we may only take less."""
    good = {"age": 1.0, "mood": 2.0, "count": 3, "smoker": True, "home town": "Ulm"}
    for body in (
        {"dataframe_records": [good | {name: value}]},
        {"inputs": columns([tuple((good | {name: value}).values())])},
    ):
        try:
            mine = ours(body)
        except InvalidInput as refused:
            assert name in refused.where  # noqa: PT017  (a fault without its place is none)
        else:
            same(mine, mlflows(body))


def test_rows_where_a_value_is_missing_are_alike_in_every_form():
    good = {"age": 1.0, "mood": None, "count": 3, "smoker": True, "home town": None}
    wanted = [(1.0, None, 3, True, None)]
    split = {"columns": list(good), "data": [list(good.values())], "index": [0]}
    for body in (
        {"dataframe_records": [good]},
        {"dataframe_split": split},
        {"inputs": good},
        {"instances": [good]},
        {"inputs": {name: [value] for name, value in good.items()}},
        {"dataframe_records": [{k: v for k, v in good.items() if v is not None}]},
        {"dataframe_split": split | {"data": [[1.0, math.nan, 3, True, math.nan]]}},
    ):
        assert ours(body) == wanted
    assert ours(b"age,count,smoker\n1.0,3,TRUE\n", invocations.CSV) == wanted
    csv = b"\xef\xbb\xbfage,mood,count,smoker,home town\r\n1.0,NaN,3,true,NA\r\n"
    assert ours(csv, invocations.CSV) == wanted


def test_rows_of_csv_take_whole_numbers_as_pandas_writes_them_beside_missing_ones():
    inputs = (Field("n", "long"), Field("x", "double"))
    body = pd.DataFrame({"n": [3, None], "x": [1, 2]}).to_csv(index=False).encode()
    assert b"3.0" in body
    assert ours(body, invocations.CSV, inputs) == [(3, 1.0), (None, 2.0)]


def test_rows_of_single_values_are_one_and_repeat_beside_columns():
    good = {"age": 1.0, "count": 3, "smoker": True}
    assert ours({"inputs": good}) == [(1.0, None, 3, True, None)]
    assert ours({"inputs": good | {"age": [1, 2]}}) == [
        (1.0, None, 3, True, None),
        (2.0, None, 3, True, None),
    ]
    same(ours({"inputs": good}), mlflows({"inputs": good}))


def test_rows_of_a_single_column_need_no_name():
    one = (Field("x", "double"),)
    assert ours({"inputs": [1, 2.5]}, inputs=one) == [(1.0,), (2.5,)]


SPLIT = {"columns": ["age"], "data": [[1.0]]}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "exactly one of"),
        ({}, "exactly one of"),
        ({"dataframe_split": SPLIT, "inputs": {}}, "2 of the members"),
        ({"dataframe_split": []}, "rows are missing"),
        ({"dataframe_split": {"columns": ["age"]}}, "rows are missing"),
        ({"dataframe_split": {"data": [[1]]}}, "names of the columns are missing"),
        ({"dataframe_split": SPLIT | {"more": 1}}, "'more' is unknown"),
        ({"dataframe_split": SPLIT | {"index": [1, 2]}}, "2 entries for 1 rows"),
        ({"dataframe_split": SPLIT | {"data": [[1.0], [1.0, 2.0]]}}, "data[1]"),
        ({"dataframe_split": SPLIT | {"data": [[1.0], 2.0]}}, "data[1]"),
        ({"dataframe_split": SPLIT | {"data": []}}, "empty"),
        ({"dataframe_split": SPLIT | {"data": [[1.0]] * 10}}, "more than the 9"),
        ({"dataframe_split": {"columns": ["age", "age"], "data": [[1, 2]]}}, "'age' is there twi"),
        ({"dataframe_split": SPLIT}, "count: the input is missing"),
        ({"dataframe_split": SPLIT, "params": {"a": 1}}, "no parameters"),
        ({"dataframe_records": {"age": [1]}}, "no list of objects"),
        ({"dataframe_records": [{"age": 1}, 2]}, "no list of objects"),
        ({"dataframe_records": []}, "empty"),
        ({"dataframe_records": [{}] * 10}, "more than the 9"),
        ({"inputs": {"age": [1, 2], "count": [1]}}, "not of one length"),
        ({"inputs": {}}, "empty"),
        ({"inputs": []}, "empty"),
        ({"inputs": [[1.0, 2.0]]}, "without the names"),
        ({"inputs": 5}, "without the names"),
        (
            {"instances": {"age": [[1]], "count": [1], "smoker": [True]}},
            "row 0, age: expected a nu",
        ),
    ],
)
def test_rows_refuses(body, words):
    with pytest.raises(InvalidInput) as caught:
        ours(body)
    assert words in str(caught.value)


def test_rows_refuses_what_mlflow_refuses():
    for body in ({"dataframe_split": SPLIT, "inputs": {}}, {"rows": []}, {"inputs": [[1.0, 2.0]]}):
        with pytest.raises(MlflowException):
            mlflows(body)
        with pytest.raises(InvalidInput):
            ours(body)
    # Members that neither knows are no fault to either, and no parameters are none.
    body = {"dataframe_records": [dict(zip(NAMES, (1, 2, 3, True, "x"), strict=True))]}
    same(ours(body | {"signature": 1, "params": {}}), mlflows(body | {"signature": 1}))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"age\n", "empty"),
        (b"age\n\xff\n", "UTF-8"),
        (b"age,age\n1,2\n", "'age' is there twice"),
        (b"age,mood\n1,2\n3\n", "row 1"),
        (b"age\n" + b"1\n" * 10, "more than the 9"),
        (b'age\n"1\n', "no CSV"),
        (b"age,count,smoker\nx,1,True\n", "row 0, age: 'x' is no number"),
        (b"age,count,smoker\n1,1.5,True\n", "row 0, count: expected a whole number"),
        (b"age,count,smoker\n1,1,yes\n", "row 0, smoker: expected a boolean"),
        (b"age,count,smoker\n1,1,\n", "row 0, smoker: the value is missing"),
        (b"age,count,smoker\ninf,1,True\n", "row 0, age: the value is not finite"),
        (b"age,count,smoker\n1,99999999999999999999,True\n", "row 0, count"),
    ],
)
def test_rows_of_csv_refuses(body, words):
    with pytest.raises(InvalidInput) as caught:
        ours(body, invocations.CSV)
    assert words in str(caught.value)


@given(st.binary(max_size=100), st.sampled_from([invocations.JSON, invocations.CSV]))
def test_rows_of_any_bytes_are_refused(junk, kind):
    with pytest.raises(InvalidInput):
        ours(junk, kind)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*NAMES, "columns", "data", "index", "?"]), inner)
    ),
    max_leaves=15,
)


@given(
    st.sampled_from(["dataframe_split", "dataframe_records", "inputs", "instances"]), json_values
)
def test_rows_of_any_document_are_rows_or_refused(form, document):
    body = json.dumps({form: document}).encode()
    optional = tuple(Field(field.name, field.type) for field in INPUTS)
    refused = None
    try:
        found = ours(body, inputs=optional)
    except InvalidInput as error:
        refused, found = error, []
    assert refused is None or refused.what
    for row in found:
        for field, value in zip(optional, row, strict=True):
            assert value is None or type(value).__name__ == {
                "double": "float", "long": "int", "boolean": "bool", "string": "str"
            }[field.type]  # fmt: skip


# ------------------------------------------------------------------ content types, answers


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (None, "application/json"),
        (b"application/json", "application/json"),
        (b"Application/JSON ; charset=UTF-8", "application/json"),
        (b'text/csv; charset="utf-8"', "text/csv"),
        (b"text/csv;", "text/csv"),
    ],
)
def test_media_type_is_read(header, kind):
    assert invocations.media_type(header) == kind


@pytest.mark.parametrize(
    "header",
    [
        b"application/vnd.apache.parquet",
        b"text/plain",
        b"",
        b"\xff",
        b"text/csv; charset=latin-1",
        b"application/json; format=pandas-split",
    ],
)
def test_media_type_that_is_not_read(header):
    with pytest.raises(InvalidInput) as caught:
        invocations.media_type(header)
    assert caught.value.where == "content-type"


@pytest.mark.parametrize("values", [["yes", "no"], [0.5, 2.0], [1, 0], [True, False]])
def test_answer_is_what_mlflows_client_reads(values):
    made = [
        Predicted(value, f"{index:032x}", "m", "1", Arm.CHAMPION, 1)
        for index, value in enumerate(values)
    ]
    response = PredictionsResponse.from_json(invocations.answer(made).decode())
    assert response.get_predictions()[0].tolist() == values
    assert response.get_predictions("ndarray").dtype == np.array(values).dtype
    assert response["prediction_ids"] == [f"{index:032x}" for index in range(2)]


def test_error_is_of_mlflows_form():
    theirs = json.loads(MlflowException("why", error_code=1).serialize_as_json())
    ours_ = json.loads(invocations.error(theirs["error_code"], "why"))
    assert ours_ == {"error_code": "INTERNAL_ERROR", "message": "why"}
    assert ours_.items() <= theirs.items()
