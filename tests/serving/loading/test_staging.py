"""The version in Staging beside production, over real HTTP."""

from __future__ import annotations

import concurrent.futures

import msgspec
import pytest
from tests.serving import samples
from tests.serving.conftest import route

from serinus import wire
from serinus.ledger import ids
from serinus.wire import Arm, Target

FEATURES = {"age": 61.0}
BATCH = {"requests": [{"features": FEATURES}, {"features": {"age": "old"}}]}


def staged(folders, champion, version, **more):
    made = route(folders, champion, **more)
    return msgspec.structs.replace(made, staging=Target(version, folders[version]))


def asked(running, path="/staging/predict", body=None, **headers):
    return running.post(path, body or {"features": FEATURES}, **headers)


def test_staging_answers_beside_production_and_is_recorded_apart(gateway, folders):
    running = gateway()
    running.publish(1, staged(folders, "no", "yes"))
    with running:
        running.until_revision(1)
        assert running.get("/health").json()["serving"] == ["mood@no"]
        answers = [asked(running).json(), asked(running, "/staging/models/mood/predict").json()]
        told = {(one["version"], one["arm"], one["prediction"]) for one in answers}
        assert told == {("yes", "staging", "yes")}
        assert asked(running, "/predict").json()["version"] == "no"
        rows = asked(running, "/staging/models/mood/predict/batch", BATCH).json()["predictions"]
        assert rows[0]["version"] == "yes"
        assert rows[1]["error"]["detail"]
        assert asked(running, body={"features": {}}).status_code == 422
        info = running.get("/staging/model-info").json()
        assert (info["model"], info["version"]) == ("mood", "yes")
        stats = running.get("/stats").json()
        assert stats["requests"] == 1
        assert stats["staging"]["mood"]["yes"]["success"] == 3
        # Neither what is asked there nor what cannot be read is counted against production.
        assert (stats["violations"], stats["unusual"]) == ({}, {})
        events = {ids.encode(record.id): record.event for record in running.reader.scan()}
        for answer in (*answers, rows[0]):
            event = events[answer["prediction_id"]]
            assert (event.assignment.arm, event.assignment.deployment) == (Arm.STAGING, "")
        label = {"prediction_id": answers[0]["prediction_id"], "label": "yes"}
        assert running.post("/feedback", label).status_code == 202
        assert "/staging/predict" in running.get("/openapi.json").json()["paths"]


def test_staging_of_a_model_with_nothing_in_production_answers(gateway, folders):
    running = gateway()
    first = {"mood": Target("yes", folders["yes"])}
    with running:
        running.table.write_bytes(msgspec.json.encode(wire.RoutingTable(1, {}, first)))
        running.until(lambda: running.get("/health").json()["revision"] == 1)
        told = asked(running).json()
        assert (told["version"], told["arm"], told["prediction"]) == ("yes", "staging", "yes")
        info = running.get("/staging/models/mood").json()
        assert (info["version"], info["model"]) == ("yes", "mood")
        # Production has still nobody, and says so.
        assert asked(running, "/predict").status_code == 503
        assert running.get("/health/ready").status_code == 503
        [event] = [
            record.event
            for record in running.reader.scan()
            if isinstance(record.event, wire.Prediction)
        ]
        assert event.assignment.arm is Arm.STAGING


@pytest.mark.parametrize("path", ["/staging/predict", "/staging/models/mood/predict/batch"])
def test_staging_without_a_version_says_how_to_bring_one_there(gateway, folders, path):
    running = gateway()
    running.publish(1, route(folders, "no"))
    with running:
        running.until_revision(1)
        found = asked(running, path, BATCH if path.endswith("batch") else None)
        assert found.status_code == 404
        assert "--stage Staging" in found.json()["remedy"]
        assert running.get("/staging/model-info").status_code == 404
        assert asked(running, path, **{"x-serinus-arm": "champion"}).status_code == 422


def test_staging_version_that_ends_its_process_harms_nobody(gateway, folders, tmp_path):
    deadly = samples.save(tmp_path / "deadly", samples.deadly(), samples.manifest())
    running = gateway()
    running.publish(1, staged({**folders, "deadly": deadly}, "no", "deadly"))
    with running, concurrent.futures.ThreadPoolExecutor(4) as many:
        running.until_revision(1)
        workers = running.workers()
        killing = many.submit(asked, running)
        others = [asked(running, "/predict").status_code for _ in range(50)]
        assert killing.result().status_code == 503
        others += [asked(running, "/predict").status_code for _ in range(10)]
        assert set(others) == {200}
        assert running.workers() == workers
        failures = [r.event for r in running.reader.scan() if isinstance(r.event, wire.Failure)]
        assert {event.assignment.arm for event in failures} == {Arm.STAGING}


def test_staging_version_that_cannot_be_loaded_is_told_and_production_goes_on(gateway, folders):
    running = gateway()
    broken = msgspec.structs.replace(route(folders, "no"), staging=Target("9.9.9", "/nowhere"))
    running.publish(1, broken, staged(folders, "numbers", "numbers-2"))
    with running:
        running.until_revision(1)
        assert running.get("/health").json()["failed"] == {}
        found = asked(running, "/staging/models/mood/predict")
        assert found.status_code == 503
        assert "cannot be loaded" in found.json()["detail"]
        assert asked(running, "/models/mood/predict").status_code == 200
        assert asked(running).status_code == 422
        told = {item["model"]: item for item in running.get("/staging/model-info").json()["models"]}
        assert "manifest" in told["mood"]["fault"]
        assert told["numbers"] == {
            "model": "numbers", "version": "numbers-2", "loaded": False, "fault": "",
        }  # fmt: skip
