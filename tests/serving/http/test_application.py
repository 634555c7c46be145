"""What is answered where, asked over real connections."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import time
import zlib

import httpx
import pytest
from tests.serving import samples
from tests.serving.http.bodies import FEATURES, problem

from serinus import wire
from serinus.ledger import ids
from serinus.ledger.files.writer import Writer
from serinus.serving.http.application import Application
from serinus.serving.http.exchange import Exchange
from serinus.serving.service import Service
from serinus.serving.telling.board import Board
from serinus.serving.types import GatewayOptions


def events(serving, kind):
    return [(r.id, r.event) for r in serving.reader.scan() if isinstance(r.event, kind)]


def test_predict_answers_and_records(serving):
    body = {"features": FEATURES, "model": "mood"}
    response = serving.post("/predict", body, **{"x-serinus-arm": "champion"})
    answer = response.json()
    assert response.status_code == 200
    assert response.headers["x-serinus-revision"] == "3"
    id = ids.decode(answer.pop("prediction_id"))
    assert answer == {
        "prediction": "no",
        "probabilities": {"no": 0.9, "yes": 0.1},
        "model": "mood",
        "version": "no",
        "arm": "champion",
        "revision": 3,
    }
    event = serving.reader.lookup(id)
    assert event.features == (61.0, 0.0, "Ulm")
    assert event.output == wire.Output("no", (0.9, 0.1))
    assert event.assignment == wire.Assignment("mood", wire.Arm.CHAMPION, 0.5, 3, step=wire.FORCED)
    assert 0 < event.latency_us < 10_000_000


def test_predict_missing_values_may_be_left_out(serving):
    answer = serving.post("/models/mood/predict", {"features": {"age": 20}}).json()
    event = serving.reader.lookup(ids.decode(answer["prediction_id"]))
    assert event.features == (20.0, None, None)


def test_predict_is_sticky_by_entity_and_both_arms_serve(serving):
    arms = {}
    for _ in range(2):
        for person in range(20):
            body = {"features": FEATURES, "entity": f"person {person}"}
            answer = serving.post("/models/mood/predict", body).json()
            assert arms.setdefault(person, answer["arm"]) == answer["arm"]
            assert answer["version"] == {"champion": "no", "challenger": "good"}[answer["arm"]]
            event = serving.reader.lookup(ids.decode(answer["prediction_id"]))
            assert event.assignment.unit != 0
            assert event.assignment.deployment == "d-1"
    assert set(arms.values()) == {"champion", "challenger"}


def test_predict_falls_back_to_the_champion(gateway, folders, tmp_path):
    # The champion answers whatever the mood is: it takes no such input.
    running = gateway(request_timeout_seconds=0.6)
    about = samples.manifest(inputs=samples.INPUTS[:1], example={"age": 40.0})
    champion = wire.Target("calm", samples.save(tmp_path / "calm", _calm(), about))
    challenger = wire.Target("good", folders["good"])
    running.publish(1, wire.Route("mood", champion, challenger, share=1.0, deployment="d-2"))
    reasons = {1.0: "ValueError: a mood of 1", 2.0: "unusable output", 3.0: "timeout"}
    with running:
        for mood, reason in reasons.items():
            started = time.monotonic()
            answer = running.post("/predict", {"features": {"age": 61.0, "mood": mood}}).json()
            assert time.monotonic() - started < 5.0
            assert answer["fallback"] is True
            assert (answer["arm"], answer["version"]) == ("challenger", "calm")
            event = running.reader.lookup(ids.decode(answer["prediction_id"]))
            assert event.fallback == reason
            assert event.assignment.arm is wire.Arm.CHALLENGER
            assert event.version == "calm"
            assert event.features == (61.0,)
        # The challenger still sleeps; its requests are not kept waiting for it again.
        started = time.monotonic()
        answer = running.post("/predict", {"features": {"age": 61.0}}).json()
        assert answer["fallback"] is True
        assert time.monotonic() - started < 0.25
        stats = running.get("/stats").json()
        assert stats["models"]["mood"]["good"]["challenger"]["fallback"] == 4
        assert 'status="fallback"} 4.0' in running.get("/metrics").text


def _calm():
    import numpy as np
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="most_frequent").fit(
        np.array([[1.0], [2.0], [3.0]]), np.array(["no", "yes", "yes"])
    )


def test_predict_that_raises_is_the_servers_fault_and_recorded(serving):
    body = {"features": {"age": 61.0, "mood": 1.0}}
    response = serving.post("/models/mood/predict", body, **{"x-serinus-arm": "challenger"})
    # The champion obeys the mood as well, so nobody is left to answer.
    document = problem(response, 503)
    assert document["title"] == "Model failed"
    assert response.headers["retry-after"] == "1"
    assert response.headers["x-serinus-revision"] == "3"
    _, failure = events(serving, wire.Failure)[-1]
    assert failure.reason == "ValueError: a mood of 1"
    assert failure.assignment.arm is wire.Arm.CHALLENGER


def test_predict_of_a_neighbour_that_raises_is_unharmed(serving):
    """Requests of one turn share one model call, but not each other's failures."""
    host, port = serving.url.removeprefix("http://").split(":")
    clients = [http.client.HTTPConnection(host, int(port), timeout=10) for _ in range(8)]
    for index, client in enumerate(clients):
        body = json.dumps({"features": {"age": 60.0, "mood": float(index % 2)}})
        headers = {"content-type": "application/json"}
        client.request("POST", "/models/mood/predict", body, headers)
    assert [client.getresponse().status for client in clients] == [200, 503] * 4
    for client in clients:
        client.close()


def test_predict_batch_answers_each_row_for_itself(serving):
    rows = [
        {"features": FEATURES, "entity": "a"},
        {"features": {"age": "old"}},
        {"features": {"age": 61.0, "mood": 1.0}},
        {"features": {"agee": 61.0}},
        {"features": {"age": 20.0}, "model": "other"},
        {"features": {"age": 20.0}},
    ]
    response = serving.post("/models/mood/predict/batch", {"requests": rows})
    answers = response.json()["predictions"]
    assert response.status_code == 200
    kinds = ["error" if "error" in answer else "prediction" for answer in answers]
    assert kinds == ["prediction", "error", "error", "error", "error", "prediction"]
    assert answers[1]["error"]["where"] == "requests[1].features.age"
    assert answers[2]["error"]["title"] == "Model failed"
    assert answers[3]["error"]["status"] == 422
    assert answers[4]["error"]["status"] == 404
    assert serving.reader.lookup(ids.decode(answers[5]["prediction_id"])) is not None


def test_predict_batch_with_half_a_character_harms_only_its_row(serving):
    body = b'{"requests":[{"features":{"age":1,"home town":"\\ud800"}},{"features":{"age":1}}]}'
    headers = {"content-type": "application/json"}
    response = serving.client.post(
        "/models/mood/predict/batch", content=body, headers=headers, timeout=5
    )
    first, second = response.json()["predictions"]
    assert first["error"]["where"] == "requests[0].features.home town"
    assert second["prediction"] in samples.CLASSES


def test_predict_batch_with_a_number_that_is_none(serving):
    body = b'{"requests":[{"features":{"age":NaN}},{"features":{"age":1}}]}'
    headers = {"content-type": "application/json"}
    response = serving.client.post("/models/mood/predict/batch", content=body, headers=headers)
    first, second = response.json()["predictions"]
    assert first["error"]["where"] == "requests[0].features.age"
    assert second["prediction"] in samples.CLASSES


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "features"),
        ({"features": {}}, "features.age"),
        ({"features": {"age": "x"}}, "features.age"),
        ({"features": {"age": None}}, "features.age"),
        ({"features": {"age": True}}, "features.age"),
        ({"features": {"age": 1.0, "home town": 3}}, "features.home town"),
        ({"features": {"age": 1.0, "hometown": "Ulm"}}, "features.hometown"),
        ({"features": {"age": [1.0]}}, "features.age"),
        ({"features": [1.0]}, "features"),
        ({"features": {"age": 1.0}, "entitee": "x"}, "entitee"),
        ({"features": {"age": 1.0}, "entity": ""}, "entity"),
        ({"features": {"age": 1.0}, "entity": {}}, "entity"),
    ],
)
def test_predict_names_the_field_that_is_wrong(serving, body, where):
    document = problem(serving.post("/models/mood/predict", body), 422)
    assert document["where"] == where
    assert document["detail"]


def test_predict_suggests_the_field_that_was_meant(serving):
    body = {"features": {"age": 1.0, "hometown": "Ulm"}}
    document = problem(serving.post("/models/mood/predict", body), 422)
    assert "home town" in document["remedy"]


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b'{"features":{"age":NaN}}', "features.age"),
        (b'{"features":{"age":-Infinity}}', "features.age"),
        (b'{"features":{"age":1e999}}', "features.age"),
        (b'{"features":{"age":1}', ""),
        (b"", ""),
        (b"\xff\xfe", ""),
        (b'{"features":{"age":1,"home town":"\xff"}}', ""),
        (b'{"features":{"age":1,"home town":"\\ud800"}}', "features.home town"),
        (b"[" * 10_000, ""),
        (b'{"features":' * 1_000, "features.features"),
        (b'{"features":{"age":' + b"[" * 5_000 + b"]" * 5_000 + b"}}", "features.age"),
        (b'"text"', ""),
    ],
)
def test_predict_refuses_what_is_no_request(serving, content, where):
    headers = {"content-type": "application/json"}
    response = serving.client.post("/models/mood/predict", content=content, headers=headers)
    document = problem(response, 422)
    assert document.get("where", "") == where
    assert serving.post("/models/mood/predict", {"features": FEATURES}).status_code == 200


@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_predict_without_a_name_needs_one_of_several(serving, path):
    document = problem(serving.post(path, {"features": FEATURES}), 422)
    assert document["where"] == "model"
    assert "mood" in document["remedy"]
    assert "numbers" in document["remedy"]


def test_predict_of_an_unknown_model(serving):
    for response in (
        serving.post("/models/nobody/predict", {"features": FEATURES}),
        serving.post("/predict", {"features": FEATURES, "model": "nobody"}),
    ):
        assert "numbers" in problem(response, 404)["remedy"]


def test_predict_where_path_and_body_disagree(serving):
    body = {"features": {f"x{index}": 1.0 for index in range(4)}, "model": "numbers"}
    assert problem(serving.post("/models/mood/predict", body), 422)["where"] == "model"


def test_predict_header_of_no_arm(serving):
    response = serving.post(
        "/models/mood/predict", {"features": FEATURES}, **{"x-serinus-arm": "b"}
    )
    assert problem(response, 422)["where"] == "x-serinus-arm"


def test_predict_forced_to_a_challenger_that_is_not_there(serving):
    body = {"features": {f"x{index}": 1.0 for index in range(4)}}
    response = serving.post("/models/numbers/predict", body, **{"x-serinus-arm": "challenger"})
    problem(response, 409)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"]
)
def test_predict_content_type_is_checked(serving, kind):
    response = serving.client.post("/predict", content=b"{}", headers={"content-type": kind})
    problem(response, 415)


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_predict_compressed_body_is_read(serving, coding, pack):
    body = json.dumps({"features": FEATURES, "model": "mood"}).encode()
    headers = {"content-type": "application/json", "content-encoding": coding}
    assert serving.client.post("/predict", content=pack(body), headers=headers).status_code == 200
    problem(serving.client.post("/predict", content=body, headers=headers), 400)
    problem(serving.client.post("/predict", content=pack(body)[:-9], headers=headers), 400)
    bomb = pack(b"[" * 10**6)
    problem(serving.client.post("/predict", content=bomb, headers=headers), 413)
    headers["content-encoding"] = "br"
    problem(serving.client.post("/predict", content=body, headers=headers), 415)


def test_predict_batch_answer_is_compressed_for_who_asks(serving):
    body = {"requests": [{"features": {"age": float(n)}, "model": "mood"} for n in range(50)]}
    path = "/models/mood/predict/batch"
    plain = serving.post(path, body, **{"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    packed = serving.post(path, body, **{"accept-encoding": "gzip"})
    assert [row["prediction"] for row in packed.json()["predictions"]] == [
        row["prediction"] for row in plain.json()["predictions"]
    ]


def test_predict_body_too_large(serving):
    body = {"features": {**FEATURES, "home town": "x" * 30_000}}
    problem(serving.post("/models/mood/predict", body), 413)

    def chunks():
        for _ in range(10):
            yield b'{"features": ' + b" " * 5_000

    headers = {"content-type": "application/json"}
    problem(httpx.post(f"{serving.url}/predict", content=chunks(), headers=headers), 413)


def test_predict_batch_length_is_checked(serving):
    for rows in ([], [{"features": {"age": 1}}] * 51, [{"features": {"age": "x"}}] * 51):
        document = problem(serving.post("/models/mood/predict/batch", {"requests": rows}), 422)
        assert document["where"] == "requests"
    for body in ({}, {"requests": 1}, [], {"requests": [], "more": 1}):
        problem(serving.post("/models/mood/predict/batch", body), 422)


def test_paths_and_methods(serving):
    problem(serving.get("/nothing"), 404)
    problem(serving.get("/models/mood/nothing"), 404)
    response = serving.get("/predict")
    problem(response, 405)
    assert response.headers["allow"] == "POST"
    assert httpx.head(f"{serving.url}/health").status_code == 200


def test_feedback_joins_the_prediction(serving):
    answer = serving.post("/models/mood/predict", {"features": FEATURES, "entity": "f"}).json()
    body = {"prediction_id": answer["prediction_id"], "label": "yes"}
    assert serving.post("/feedback", body).status_code == 202
    id, label = events(serving, wire.Label)[-1]
    prediction = serving.reader.lookup(label.prediction)
    assert ids.encode(label.prediction) == answer["prediction_id"]
    assert label.value == "yes"
    assert (label.predicted_at, label.assignment) == (prediction.at, prediction.assignment)
    assert (label.version, label.output) == (prediction.version, prediction.output)
    # A label is no prediction: it cannot be labelled itself.
    problem(serving.post("/feedback", {"prediction_id": ids.encode(id), "label": "yes"}), 404)


def test_feedback_in_bulk_takes_what_is_right(serving):
    rows = [{"features": FEATURES, "entity": str(index)} for index in range(4)]
    response = serving.post("/models/mood/predict/batch", {"requests": rows}).json()
    labels = [
        {"prediction_id": answer["prediction_id"], "label": "no"}
        for answer in response["predictions"]
    ]
    labels[1]["label"] = "maybe"
    labels[2]["prediction_id"] = "0" * 32
    id = labels[0]["prediction_id"]
    told = [{"value": 12.5}, {"label": "yes", "value": -3}, {"value": "much"}, {}, {"label": None}]
    labels += [{"prediction_id": id, **item} for item in told]
    before = serving.get("/stats").json()
    response = serving.post("/feedback", {"labels": labels})
    assert response.status_code == 202
    assert response.json()["accepted"] == 4
    rejected = {item["index"]: item["error"] for item in response.json()["rejected"]}
    assert {index: error["status"] for index, error in rejected.items()} == {
        1: 422, 2: 404, 6: 422, 7: 422, 8: 422,
    }  # fmt: skip
    assert [rejected[index]["where"] for index in (6, 7, 8)] == [
        "labels[6].value", "labels[7]", "labels[8].label",
    ]  # fmt: skip
    after = serving.get("/stats").json()
    assert [after[name] - before[name] for name in ("labels", "values")] == [3, 2]


def test_feedback_of_a_value_joins_the_prediction(serving):
    answer = serving.post("/models/mood/predict", {"features": FEATURES, "entity": "v"}).json()
    body = {"prediction_id": answer["prediction_id"], "label": "yes", "value": 12.5}
    response = serving.post("/feedback", body)
    assert (response.status_code, response.json()) == (202, {"accepted": 1})
    [(_, label), (id, value)] = [events(serving, kind)[-1] for kind in (wire.Label, wire.Value)]
    prediction = serving.reader.lookup(value.prediction)
    assert ids.encode(value.prediction) == answer["prediction_id"]
    assert (value.value, label.value, label.prediction) == (12.5, "yes", value.prediction)
    assert (value.predicted_at, value.assignment) == (prediction.at, prediction.assignment)
    assert value.version == prediction.version
    # A value is no prediction: it is worth nothing itself.
    problem(serving.post("/feedback", {"prediction_id": ids.encode(id), "value": 1}), 404)


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        ({"prediction_id": "0" * 32, "label": "yes"}, 404, "prediction_id"),
        ({"prediction_id": "zz", "label": "yes"}, 422, "prediction_id"),
        ({"prediction_id": 5, "label": "yes"}, 422, "prediction_id"),
        ({"prediction_id": "0" * 32}, 422, "label, value"),
        ({"prediction_id": "0" * 32, "value": 1.5}, 404, "prediction_id"),
        ({"prediction_id": "0" * 32, "value": "1.5"}, 422, "value"),
        ({"prediction_id": "0" * 32, "value": None, "label": "yes"}, 422, "value"),
        ({"labels": [{"prediction_id": "0" * 32}]}, 422, "labels[0]"),
        ({"label": "yes"}, 422, "prediction_id"),
        ({"prediction_id": "0" * 32, "label": None}, 422, "label"),
        ({"labels": []}, 422, "labels"),
        ({"labels": [{"label": "yes"}]}, 422, "labels[0].prediction_id"),
    ],
)
def test_feedback_that_is_wrong_names_the_field(serving, body, status, where):
    document = problem(serving.post("/feedback", body), status)
    assert document["where"] == where


@pytest.mark.parametrize("label", ["maybe", 1, True, 1.0])
def test_feedback_of_no_class_of_the_model(serving, label):
    answer = serving.post("/models/mood/predict", {"features": FEATURES}).json()
    body = {"prediction_id": answer["prediction_id"], "label": label}
    assert problem(serving.post("/feedback", body), 422)["where"] == "label"


def test_paths_that_clients_choose_are_kept_only_if_they_are_short(tmp_path):
    asked = [b"/v2/" + b"x" * size for size in (10, 252, 253, 60_000)]
    answered = []

    def finish(lines, _body):
        answered.append(lines.split()[1])

    async def scenario(writer):
        options = GatewayOptions(routing_table=tmp_path / "routing.json", ledger=tmp_path)
        loop = asyncio.get_running_loop()
        application = Application(
            Service(options, writer, loop, board=Board(), slot=0), options, loop
        )
        for path in asked:
            application.handle(Exchange(b"GET", path, b"", [], b"", finish))
        return set(application._found)

    writer = Writer(tmp_path, segment_bytes=1 << 20)
    try:
        assert asyncio.run(scenario(writer)) == set(asked[:2])
    finally:
        writer.close()
    assert answered == [b"404"] * 4
