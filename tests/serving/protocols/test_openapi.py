"""The document says of native bodies exactly what is taken, and of others never less."""

from __future__ import annotations

import json
from typing import Any

import httpx
import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.serving.conftest import route

from serinus import wire
from serinus.errors import InvalidInput
from serinus.serving.protocols import decode, invocations, open_inference, openapi, tensors
from serinus.serving.protocols.decode import RequestDecoder
from serinus.wire import Field, Manifest

INPUTS = (
    Field("age", "double", required=True),
    Field("count", "long"),
    Field("smoker", "boolean"),
    Field("home/town", "string"),
)
EXAMPLE: dict[str, Any] = {"age": 40.0, "count": 2, "smoker": True, "home/town": "Ulm"}
MANIFEST = Manifest("a/model", "classification", INPUTS, "y", ("no", "yes"), EXAMPLE)
SERVED = openapi.Served(INPUTS, (MANIFEST,), ("1.0.0",))
OTHER = openapi.Served(
    (Field("x", "double", required=True),),
    (Manifest("line", "regression", (Field("x", "double", required=True),), "y"),),
    ("1.0.0", "2.0.0"),
)
ONE = openapi.document([SERVED], version="1", max_rows=3)
TWO = openapi.document([SERVED, OTHER], version="1", max_rows=3)
DECODER = RequestDecoder("a/model", INPUTS)


def operations(document):
    for path, methods in document["paths"].items():
        for method, call in methods.items():
            yield path, method, call


def validator(document, path, *, kind="application/json"):
    """Whether a body fits what the document says of a call."""
    schema = document["paths"][path]["post"]["requestBody"]["content"][kind]["schema"]
    return jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})


def is_taken(read, body):
    try:
        found = read(json.dumps(body).encode())
    except InvalidInput:
        return False
    return not any(isinstance(row, InvalidInput) for row in found or ())


@pytest.mark.parametrize("document", [ONE, TWO, openapi.document([], version="1", max_rows=3)])
def test_document_is_whole(document):
    text = json.dumps(document)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"]
    keys = [call["operationId"] for _, _, call in operations(document)]
    assert len(set(keys)) == len(keys)
    for _, _, call in operations(document):
        assert call["summary"]
        assert any(code.startswith("2") for code in call["responses"])
    assert json.loads(openapi.encode(document)) == json.loads(text)


def test_document_names_models_as_paths_have_them():
    assert "/models/a%2Fmodel/predict" in ONE["paths"]
    assert {"/predict", "/predict/batch", "/invocations"} <= ONE["paths"].keys()
    # Where there are several, the plain calls cannot tell whose rows these are.
    assert "/predict" in TWO["paths"]
    assert not {"/predict/batch", "/invocations"} & TWO["paths"].keys()


def test_examples_are_valid_and_taken():
    plain = {"": ONE, "/models/a%2Fmodel": TWO}
    for place, document in plain.items():
        for rest, read in {
            "predict": lambda body: [DECODER.single(body)],
            "predict/batch": lambda body: DECODER.batch(body, 3),
            "invocations": lambda body: invocations.rows(body, invocations.JSON, INPUTS, 3),
        }.items():
            content = document["paths"][f"{place}/{rest}"]["post"]["requestBody"]["content"]
            example = content["application/json"]["example"]
            validator(document, f"{place}/{rest}").validate(example)
            assert is_taken(read, example)
            if "text/csv" in content:
                text = content["text/csv"]["example"].encode()
                [row] = invocations.rows(text, invocations.CSV, INPUTS, 3)
                assert row == tuple(EXAMPLE.values())
    path = "/v2/models/a%2Fmodel/infer"
    example = ONE["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
    validator(ONE, path).validate(example)
    asked = open_inference.read(json.dumps(example).encode(), None)
    assert tensors.features(asked.tensors, INPUTS, 3) == [tuple(EXAMPLE.values())]


def test_example_of_a_model_without_one_is_made_up():
    bare = Manifest("m", "regression", INPUTS, "y")
    document = openapi.document([openapi.Served(INPUTS, (bare,), ("1",))], version="1", max_rows=3)
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]
    example = content["application/json"]["example"]
    assert example["features"] == {"age": 0.0, "count": None, "smoker": None, "home/town": None}
    validator(document, "/predict").validate(example)


# Not 2.0, which a schema cannot tell from 2 and the native calls do.
fractions = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer())
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | fractions
    | st.text(st.characters(codec="utf-8"), max_size=5)
)
values = scalars | st.lists(scalars, max_size=2)
rows = st.fixed_dictionaries(
    {},
    optional={
        "features": scalars
        | st.fixed_dictionaries(
            {}, optional={**{field.name: values for field in INPUTS}, "more": values}
        ),
        "entity": values,
        "model": values | st.sampled_from(["a/model", "line"]),
        "more": values,
    },
)


def is_for_us(body):
    """What the gateway checks once the body is decoded: that it is for this model."""
    return body.get("model") in (None, "a/model")


@given(rows)
def test_request_is_valid_if_and_only_if_it_is_taken(body):
    valid = validator(ONE, "/predict").is_valid(body)
    assert valid == (is_taken(lambda text: [DECODER.single(text)], body) and is_for_us(body))


good = st.fixed_dictionaries({"age": st.floats(0, 1)}, optional={"count": st.integers(-9, 9)})


@given(st.lists(st.fixed_dictionaries({"features": good}) | rows, max_size=4))
def test_batch_is_valid_if_and_only_if_all_of_it_is_taken(many):
    valid = validator(ONE, "/predict/batch").is_valid({"requests": many})
    taken = is_taken(lambda text: DECODER.batch(text, 3), {"requests": many})
    assert valid == (taken and all(map(is_for_us, many)))


items = st.fixed_dictionaries(
    {"prediction_id": st.just("0" * 32)},
    optional={"label": values, "value": values, "more": values},
)


@given(items | st.fixed_dictionaries({"labels": st.lists(items, max_size=3)}))
def test_feedback_is_valid_if_and_only_if_all_of_it_is_taken(body):
    valid = validator(ONE, "/feedback").is_valid(body)
    assert valid == is_taken(lambda text: decode.feedback(text, 9), body)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "dataframe_split": st.fixed_dictionaries(
                {"data": st.lists(st.lists(scalars, min_size=1, max_size=1), max_size=2)},
                optional={"columns": st.just(["age"]), "index": values, "more": values},
            ),
            "dataframe_records": st.lists(st.fixed_dictionaries({"age": scalars}), max_size=2),
            "inputs": st.fixed_dictionaries({"age": values}) | values,
            "instances": st.fixed_dictionaries({"age": values}) | values,
            "params": values | st.just({}),
            "more": values,
        },
    )
)
def test_invocations_that_are_taken_are_valid(body):
    one = (Field("age", "double"),)
    if is_taken(lambda text: invocations.rows(text, invocations.JSON, one, 9), body):
        validator(ONE, "/invocations").validate(body)


def test_gateway_serves_the_document_of_its_models(gateway, folders):
    running = gateway()
    staging = wire.Target("good", folders["good"])
    mood = route(folders, "no", "good", share=0.5, staging=staging)
    running.publish(1, mood, route(folders, "numbers"))
    with running:
        document = httpx.get(f"{running.url}/openapi.json").json()
        assert document["openapi"] == "3.1.0"
        for path, method, call in operations(document):
            place = path.replace("{version}", "good" if "mood" in path else "numbers")
            body = call.get("requestBody", {"content": {"application/json": {}}})["content"]
            example = body["application/json"].get("example")
            answer = httpx.request(method, running.url + place, json=example)
            # The one prediction that the document's example names does not exist.
            assert answer.status_code == (404 if path == "/feedback" else 200), (path, answer.text)
            told = call["responses"].get(str(answer.status_code))
            [kind] = told["content"] if path != "/feedback" else ["application/problem+json"]
            assert answer.headers["content-type"].startswith(kind)
            if kind == "application/json":
                schema = told["content"][kind]["schema"]
                jsonschema_rs.Draft202012Validator(
                    {**schema, "components": document["components"]}
                ).validate(answer.json())


def test_document_while_another_model_loads_says_that_a_request_names_its_own() -> None:
    alone = openapi.document([SERVED], version="1", max_rows=3, others=True)
    assert alone["paths"].keys() == ONE["paths"].keys() - {
        path for path in ONE["paths"] if path.startswith(("/predict/", "/invocations"))
    }
    (asked,) = alone["components"]["schemas"]["AnyRequest"]["anyOf"]
    assert "model" in str(asked)
    assert "AnyRequest" in str(alone["paths"]["/predict"])
