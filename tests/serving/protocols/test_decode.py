import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UnsetType

from serinus.errors import InvalidInput
from serinus.serving.protocols import decode
from serinus.serving.protocols.decode import FeedbackItem, Request, RequestDecoder
from serinus.wire import Field

INPUTS = (
    Field("mean radius", "double", required=True),
    Field("count", "long"),
    Field("smoker", "boolean"),
    Field("$ [city].x", "string"),
)
DECODER = RequestDecoder("m", INPUTS)
NAMES = [field.name for field in INPUTS]

finite = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8"))
rows = st.tuples(
    finite,
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.booleans(),
    st.none() | texts,
)


def body(row, **more):
    return json.dumps({"features": dict(zip(NAMES, row, strict=True)), **more}).encode()


@given(rows, st.none() | st.text(st.characters(codec="utf-8"), min_size=1))
def test_decode_round_trip(row, entity):
    assert DECODER.single(body(row, entity=entity)) == Request(row, entity, None)


@given(st.lists(rows, min_size=1, max_size=5))
def test_decode_batch_round_trip(many):
    whole = b'{"requests":[' + b",".join(map(body, many)) + b"]}"
    assert DECODER.batch(whole, 5) == [Request(row) for row in many]


@given(st.binary(max_size=100))
def test_decode_any_bytes_are_refused_in_words(junk):
    for attempt in (DECODER.single, lambda data: DECODER.batch(data, 5)):
        with pytest.raises(InvalidInput) as caught:
            attempt(junk)
        assert caught.value.what


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*NAMES, "other"]), json_values))
def test_decode_any_features_are_a_request_or_refused(features):
    whole = json.dumps({"features": features}).encode()
    try:
        request = DECODER.single(whole)
    except InvalidInput as refused:
        place = refused.where
    else:
        place = "features"
        assert request.features[0] == features["mean radius"]
    assert place.startswith("features") or not place
    [row] = DECODER.batch(b'{"requests":[' + whole + b"]}", 5)
    assert isinstance(row, Request | InvalidInput)


@pytest.mark.parametrize(
    ("features", "where", "what"),
    [
        ({}, "features.mean radius", "missing"),
        ({"mean radius": None}, "features.mean radius", "a number, got null"),
        ({"mean radius": "1"}, "features.mean radius", "a number, got text"),
        ({"mean radius": 1, "count": 1.5}, "features.count", "a whole number or null"),
        ({"mean radius": 1, "count": 2**63}, "features.count", "to 9,223,372,036,854,775,807"),
        ({"mean radius": 1, "smoker": 1}, "features.smoker", "a boolean or null"),
        ({"mean radius": 1, "$ [city].x": 1}, "features.$ [city].x", "text or null"),
        ({"mean radius": 1, "cuont": 1}, "features.cuont", "unknown"),
        ({"mean radius": float("nan")}, "features.mean radius", "not finite"),
        ({"mean radius": float("inf")}, "features.mean radius", "not finite"),
        ({"mean radius": 1, "count": -(2**63) - 1}, "features.count", "from -9,223,"),
        ({"mean radius": 1, "$ [city].x": "a\ud800"}, "features.$ [city].x", "surrogate"),
        ({"mean radius": 1, "\udfff": 1}, "features.\\udfff", "surrogate"),
    ],
)
def test_decode_names_the_field(features, where, what):
    whole = json.dumps({"features": features}).encode()
    with pytest.raises(InvalidInput) as caught:
        DECODER.single(whole)
    assert caught.value.where == where
    assert what in caught.value.what
    [row] = DECODER.batch(b'{"requests":[' + whole + b"]}", 5)
    assert isinstance(row, InvalidInput)
    assert row.where == f"requests[0].{where}"


@pytest.mark.parametrize("field", ["entity", "model"])
def test_decode_half_a_character_is_refused_in_every_field(field):
    whole = body((1.0, None, None, None), **{field: "\ud800"})
    with pytest.raises(InvalidInput) as caught:
        DECODER.single(whole)
    assert caught.value.where == field
    good = body((1.0, None, None, None))
    refused, kept = DECODER.batch(b'{"requests":[' + whole + b"," + good + b"]}", 5)
    assert refused.where == f"requests[0].{field}"
    assert isinstance(kept, Request)


def test_decode_batch_with_a_name_that_is_no_text():
    with pytest.raises(InvalidInput) as caught:
        DECODER.batch(b'{"requests":[{"features":{}}],"\\ud800":1}', 5)
    assert caught.value.where == "\\ud800"


def test_decode_batch_keeps_the_good_rows():
    good, bad = body((1.0, None, None, None)), b'{"features":{}}'
    decoded = DECODER.batch(b'{"requests":[' + good + b"," + bad + b"," + good + b"]}", 5)
    assert [isinstance(row, Request) for row in decoded] == [True, False, True]


def test_decode_entity_may_be_a_number():
    assert DECODER.single(body((1.0, None, None, None), entity=42)).entity == "42"


def test_decode_input_names_that_no_field_can_have():
    with pytest.raises(InvalidInput) as caught:
        RequestDecoder("m", [Field('a"b', "double")])
    assert caught.value.where == "m"


def test_named_model_of_any_body():
    assert decode.named_model(b'{"model":"m","features":{}}') == "m"
    assert decode.named_model(b'{"features":{}}') is None
    assert decode.named_model(b"[") is None
    assert decode.named_model(b"[" * 100_000) is None


def test_feedback_single_and_many():
    for told, item in (
        ('"label":1', FeedbackItem("a", 1)),
        ('"value":-2', FeedbackItem("a", value=-2.0)),
        ('"label":"yes","value":1e3', FeedbackItem("a", "yes", 1000.0)),
    ):
        text = f'{{"prediction_id":"a",{told}}}'
        one = decode.feedback(text.encode(), 5)
        many = decode.feedback(f'{{"labels":[{text}]}}'.encode(), 5)
        assert one == many == [item]
        assert type(one[0].value) in (float, UnsetType)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**1000), 2**1000))
def test_feedback_value_is_the_float_that_was_sent(number):
    [item] = decode.feedback(json.dumps({"prediction_id": "a", "value": number}).encode(), 5)
    assert repr(item.value) == repr(float(number))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"prediction_id":"a","label":NaN}', "label"),
        ('{"prediction_id":"a","label":[]}', "label"),
        ('{"prediction_id":"a","label":9223372036854775808}', "label"),
        ('{"prediction_id":"a","label":-9223372036854775809}', "label"),
        ('{"prediction_id":"a","label":"\\ud800"}', "label"),
        ('{"labels":[{"prediction_id":"a","label":"\\udc00"}]}', "labels[0].label"),
        ('{"prediction_id":"a","label":1,"more":1}', "more"),
        ('{"prediction_id":"a"}', "label, value"),
        ('{"labels":[{"prediction_id":"a"}]}', "labels[0]"),
        ('{"prediction_id":"a","value":NaN}', "value"),
        ('{"prediction_id":"a","value":-Infinity}', "value"),
        ('{"prediction_id":"a","value":1e400}', "value"),
        ('{"prediction_id":"a","value":"1"}', "value"),
        ('{"prediction_id":"a","value":true}', "value"),
        ('{"prediction_id":"a","label":1,"value":null}', "value"),
        ('{"prediction_id":"a","value":1%s}' % ("0" * 400), "value"),
        ('{"labels":[{"prediction_id":"a","value":Infinity}]}', "labels[0].value"),
        ('{"labels":[],"more":1}', "more"),
        ('{"labels":[1]}', "labels[0]"),
        ('[{"prediction_id":"a","label":1}]', ""),
        ('{"labels":[{"prediction_id":"a","label":null}]}', "labels[0].label"),
        ('{"labels":{}}', "labels"),
        ("[]", ""),
        ("", ""),
    ],
)
def test_feedback_names_the_field(text, where):
    try:
        [fault] = decode.feedback(text.encode(), 5)
    except InvalidInput as error:
        fault = error
    assert isinstance(fault, InvalidInput)
    assert fault.where == where


def test_feedback_saves_the_items_that_are_right():
    told = ({"label": 1}, {"value": float("nan")}, {}, {"value": 2})
    rows = [{"prediction_id": "a", **item} for item in told]
    found = decode.feedback(json.dumps({"labels": rows}).encode(), 5)
    assert [found[0], found[3]] == [FeedbackItem("a", 1), FeedbackItem("a", value=2.0)]
    assert [fault.where for fault in found[1:3]] == ["labels[1].value", "labels[2]"]
    assert all(word in found[2].what for word in ("label", "value"))


@pytest.mark.parametrize("value", [1, "text"])
def test_feedback_that_is_too_much(value):
    text = json.dumps({"labels": [{"prediction_id": "a", "value": value}] * 6})
    with pytest.raises(InvalidInput) as caught:
        decode.feedback(text.encode(), 5)
    assert "5" in caught.value.what


@pytest.mark.parametrize(
    ("body", "remedy"),
    [
        (b'{"features":{"mean radius":1},"count":1}', 'Put the inputs into "features": {...}.'),
        (b'{"features":{"mean radius":1},"entitee":1}', "Did you mean 'entity'?"),
        (b'{"features":{"mean radius":1,"cuont":1}}', "Did you mean 'count'?"),
        (b'{"features":{"mean radius":1,"entity":"e"}}', "GET /model-info lists the fields."),
    ],
)
def test_single_unknown_field_is_told_what_was_meant(body, remedy):
    for given_, place in ((body, ""), (b'{"requests":[%b]}' % body, "requests[0].")):
        if place:
            fault = DECODER.batch(given_, 10)[0]
        else:
            with pytest.raises(InvalidInput) as caught:
                DECODER.single(given_)
            fault = caught.value
        assert (fault.what, fault.remedy) == ("the field is unknown", remedy)


def test_every_fault_of_a_row_is_told_at_once():
    features = {"cuont": 1, "smoker": 1, "$ [city].x": float("nan"), "\ud800": 2}
    whole = json.dumps({"features": features, "entity": "", "entitee": 3}).encode()
    with pytest.raises(InvalidInput) as caught:
        DECODER.single(whole)
    assert (caught.value.what, caught.value.where) == ("7 fields are wrong", "")
    assert caught.value.faults == (
        "features.mean radius: the field is missing",
        "features.smoker: expected a boolean or null, got a whole number",
        "features.$ [city].x: the value is not finite. "
        "Leave the field out where a value is missing.",
        "features.cuont: the field is unknown. Did you mean 'count'?",
        "features.\\ud800: the text holds half of a surrogate pair, which is no character. "
        "Send whole characters; a cut through an escaped pair makes such halves.",
        "entity: expected text of at least 1 character",
        "entitee: the field is unknown",
    )
    assert caught.value.remedy == "GET /model-info lists the fields."
    [row] = DECODER.batch(b'{"requests":[' + whole + b"]}", 5)
    assert row.where == "requests[0]"
    assert row.faults == tuple(f"requests[0].{line}" for line in caught.value.faults)


def test_inputs_beside_the_features_share_one_remedy():
    with pytest.raises(InvalidInput) as caught:
        DECODER.single(b'{"mean radius":1,"count":2}')
    assert caught.value.remedy == 'Put the inputs into "features": {...}.'
    assert caught.value.faults == (
        "features: the field is missing",
        "mean radius: the field is unknown",
        "count: the field is unknown",
    )


def test_batch_tells_every_fault_of_its_first_wrong_rows_and_one_of_the_others():
    good, bad = body((1.0, None, None, None)), b'{"features":{"smoker":1}}'
    wrong = decode.MOST_TOLD + 2
    found = DECODER.batch(b'{"requests":[' + b",".join([good, *[bad] * wrong, good]) + b"]}", 99)
    assert isinstance(found[0], Request)
    assert isinstance(found[-1], Request)
    assert [len(fault.faults) for fault in found[1:-1]] == [2] * decode.MOST_TOLD + [0, 0]
    assert found[-2].where == f"requests[{wrong}].features.mean radius"


def test_feedback_item_that_is_wrong_in_several_ways():
    [fault] = decode.feedback(b'{"prediction_id":1,"value":"2","lable":3}', 5)
    assert fault.faults == (
        "prediction_id: expected text, got a whole number",
        "value: expected a number, got text",
        "lable: the field is unknown",
    )
    assert fault.remedy == "Did you mean 'label'?"
