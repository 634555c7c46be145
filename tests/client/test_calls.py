from __future__ import annotations

import inspect

import httpx
import msgspec
import pytest
from tests.api.running import Faces

from serinus.client import calls
from serinus.client.methods import Blocking, Listing, Method
from serinus.client.predictions import Prediction, Problem, Refused

SAMPLES = {
    "str": "x",
    "str | None": "x",
    "Mapping[str, Cell]": {"a": 1.0},
    "Rows": [{"a": 1.0}],
    "Answer": 1,
    "Mapping[str, Answer]": {"0" * 32: 1},
    "Mapping[str, Any]": {"error_odds": 3.0},
}


def control_calls() -> list[calls.Call[object]]:
    """Each call of the control plane that the clients have, with some arguments."""
    made = []
    for _, method in inspect.getmembers(Blocking):
        if not isinstance(method, Method | Listing):
            continue
        describe = method._describe
        arguments = [
            SAMPLES[str(parameter.annotation)]
            for parameter in inspect.signature(describe).parameters.values()
            if parameter.default is parameter.empty
            and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ]
        made.append(describe(*arguments))
    return [call for call in made if call.plane == "control"]


def test_every_call_is_a_route_of_the_api(faces: Faces) -> None:
    paths = httpx.get(f"{faces.url}/openapi.json").json()["paths"]
    routes = {
        (method.upper(), len(path.split("/")), path.split("{")[0].rstrip("/"))
        for path, methods in paths.items()
        for method in methods
    }

    for call in control_calls():
        known = [
            route
            for route in routes
            if route[0] == call.method
            and route[1] == len(call.path.split("/"))
            and call.path.startswith(route[2])
        ]
        assert known, f"{call.method} {call.path}"


def test_path_quotes_what_is_given() -> None:
    assert calls.model("a/b c").path == "/models/a%2Fb%20c"


def test_deploy_leaves_out_what_was_not_given() -> None:
    assert calls.deploy("m", "1.0.0", shares=None, min_requests=5).body == {
        "model": "m",
        "challenger": "1.0.0",
        "min_requests": 5,
    }


def test_feedback_joins_labels_and_values_by_prediction() -> None:
    assert calls.feedback({"a": 1, "b": "x"}, value={"b": 2.5, "c": 0.0}).body == {
        "labels": [
            {"prediction_id": "a", "label": 1},
            {"prediction_id": "b", "label": "x", "value": 2.5},
            {"prediction_id": "c", "value": 0.0},
        ]
    }
    assert calls.feedback(value={"c": 1}).body == {"labels": [{"prediction_id": "c", "value": 1}]}


@pytest.mark.parametrize(
    ("arm", "headers"), [(None, {}), ("champion", {"x-serinus-arm": "champion"})]
)
def test_predict_forces_an_arm_by_header(arm: str | None, headers: dict[str, str]) -> None:
    call = calls.predict({"a": 1.0}, model="m", entity="ann", arm=arm)  # type: ignore[arg-type]

    assert call.headers == headers
    assert call.path == "/models/m/predict"
    assert call.body == {"features": {"a": 1.0}, "entity": "ann"}


def test_answers_are_predictions_or_reasons() -> None:
    good = {
        "prediction": 1,
        "prediction_id": "0" * 32,
        "model": "m",
        "version": "1.0.0",
        "arm": "champion",
        "revision": 3,
    }
    bad = {"error": {"type": "about:blank", "title": "Invalid", "status": 422, "detail": "no age"}}
    batch = msgspec.convert({"predictions": [good, bad]}, calls.predict_batch([]).gives)

    assert calls.answers(batch) == [
        Prediction(1, "0" * 32, "m", "1.0.0", "champion", 3),
        Refused(Problem("Invalid", 422, "no age")),
    ]
