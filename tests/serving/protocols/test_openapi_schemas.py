from __future__ import annotations

import jsonschema_rs
import pytest

from serinus.serving.protocols import openapi_schemas as schemas
from serinus.wire import Field, Manifest

INPUTS = (Field("age", "double", required=True), Field("town", "string"))


def fits(schema, value):
    return jsonschema_rs.Draft202012Validator(schema).is_valid(value)


def test_features_require_what_the_model_does():
    schema = schemas.features(INPUTS, "m")
    assert fits(schema, {"age": 1})
    assert fits(schema, {"age": 1.5, "town": None})
    for wrong in ({}, {"age": None}, {"age": "1"}, {"age": 1, "twon": "x"}, {"age": True}):
        assert not fits(schema, wrong)


def test_batch_is_neither_empty_nor_too_long():
    schema = schemas.batch(schemas.request(schemas.features(INPUTS, "m"), "m"), 2)
    row = {"features": {"age": 1}}
    assert [fits(schema, {"requests": [row] * count}) for count in range(4)] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("manifests", "right", "wrong"),
    [
        ([Manifest("m", "classification", INPUTS, "y", ("a", "b"))], "a", "c"),
        ([Manifest("m", "regression", INPUTS, "y")], 1.5, "a"),
        (
            [Manifest("m", "classification", INPUTS, "y", classes) for classes in ((0, 1), (1, 2))],
            2,
            "2",
        ),
    ],
)
def test_answer_is_one_of_the_classes_of_either_version(manifests, right, wrong):
    answer = {
        "prediction_id": "0" * 32,
        "model": "m",
        "version": "1.0.0",
        "arm": "champion",
        "revision": 1,
    }
    schema = schemas.answer(manifests, "m")
    assert fits(schema, answer | {"prediction": right})
    assert not fits(schema, answer | {"prediction": wrong})
    assert not fits(schema, answer)


def test_answer_of_a_model_that_tells_no_classes_is_anything():
    schema = schemas.answer([Manifest("m", "classification", INPUTS, "y")], "m")
    assert schema["properties"]["prediction"] == {}


def test_invocations_have_exactly_one_form():
    split = {"columns": ["age"], "data": [[1]]}
    assert fits(schemas.INVOCATIONS, {"dataframe_split": split, "params": {}})
    for wrong in ({}, {"dataframe_split": split, "inputs": {}}, {"inputs": {}, "params": {"a": 1}}):
        assert not fits(schemas.INVOCATIONS, wrong)
