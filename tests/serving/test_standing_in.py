"""Who answers where the version that should cannot: over real HTTP, and as the ledger has it."""

from __future__ import annotations

import msgspec
from tests.serving.conftest import route

from serinus import wire
from serinus.ledger import ids
from serinus.wire import Arm, BreakerRules, Target, Variant

FEATURES = {"age": 61.0}
SICK = {"age": 61.0, "mood": 1.0}


def events(running):
    return {ids.encode(record.id): record.event for record in running.reader.scan()}


def test_default_is_answered_where_no_version_can_and_counts_as_its_failure(gateway, folders):
    running = gateway()
    running.publish(1, route(folders, "good", default="no", deployment="d", step=1))
    with running:
        running.until_revision(1)
        assert "fallback" not in running.post("/predict", {"features": FEATURES}).json()
        answer = running.post("/predict", {"features": SICK})
        assert answer.status_code == 200
        one = answer.json()
        assert (one["prediction"], one["version"], one["fallback"]) == ("no", "", True)
        batch = {"requests": [{"features": SICK}, {"features": FEATURES}]}
        two = running.post("/predict/batch", batch).json()["predictions"]
        assert [(row["version"], row.get("fallback", False)) for row in two] == [
            ("", True), ("good", False),
        ]  # fmt: skip
        scored = running.post("/invocations", {"dataframe_records": [SICK]})
        assert scored.json()["predictions"] == ["no"]
        tensors = [
            {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
            for name, value in SICK.items()
        ]
        inferred = running.post("/v2/models/mood/infer", {"inputs": tensors}).json()
        told = {output["name"]: output["data"] for output in inferred["outputs"]}
        assert (told["prediction"], told["version"]) == (["no"], [""])
        assert inferred["parameters"]["fallbacks"] == 1
        wanted = {"inputs": tensors, "outputs": [{"name": "probabilities"}]}
        assert running.post("/v2/models/mood/infer", wanted).status_code == 503
        stats = running.get("/stats").json()
        assert (stats["errors"], stats["defaults"]) == (5, 5)
        label = {"prediction_id": one["prediction_id"], "label": "yes"}
        refused = running.post("/feedback", label)
        assert refused.status_code == 409
        assert "default" in refused.json()["detail"]
        found = events(running)
    event = found[one["prediction_id"]]
    assert isinstance(event, wire.Failure)
    assert (event.version, event.default, event.assignment.deployment) == ("good", "no", "d")


def test_former_champion_answers_what_the_new_one_fails_and_the_failure_counts(gateway, folders):
    running = gateway()
    soak = route(folders, "raising", "no", mirror=1.0, stands_in=True, deployment="d", step=3)
    running.publish(1, soak)
    with running:
        running.until_revision(1)
        answers = [running.post("/predict", {"features": FEATURES}).json() for _ in range(30)]
        told = {(one["arm"], one["version"], one["fallback"]) for one in answers}
        assert told == {("champion", "no", True)}
        # It is asked each time: how often it fails is what decides on it.
        assert running.get("/health").json()["circuits"] == {}
        running.until(lambda: running.get("/stats").json()["mirrored"] == 30)
        found = events(running)
    kept = [found[one["prediction_id"]] for one in answers]
    assert all("I always raise" in event.fallback for event in kept)
    shadows = [event for event in found.values() if isinstance(event, wire.Shadow)]
    assert {(one.champion, one.version) for one in shadows} == {(None, "no")}


def test_several_challengers_answer_their_shares_and_may_be_demanded(gateway, folders):
    running = gateway()
    others = (Variant(Target("raising", folders["raising"]), 0.3, 0.3),)
    made = route(folders, "no", "yes", share=0.3, unit="entity", deployment="d", others=others)
    rules = BreakerRules(rows=3, rest_seconds=60.0)
    running.publish(1, msgspec.structs.replace(made, breaker=rules))
    with running:
        running.until_revision(1)
        answers = [
            running.post("/predict", {"features": FEATURES, "entity": f"e{n}"}).json()
            for n in range(60)
        ]
        assert {one["version"] for one in answers} == {"no", "yes"}
        running.until(lambda: running.get("/health").json()["circuits"])
        assert running.get("/stats").json()["circuits"] == {"mood@raising": "open"}
        metric = 'serinus_circuit_open{model="mood",version="raising"} 1.0'
        assert metric in running.get("/metrics").text
        assert running.get("/model-info").json()["others"] == [{"version": "raising", "share": 0.3}]
        demanded = running.post("/v2/models/mood/versions/yes/infer", {"inputs": []})
        assert demanded.status_code == 400
        unknown = running.post("/predict", {"features": FEATURES}, **{"x-serinus-arm": "9.9.9"})
        assert unknown.status_code == 409
        found = events(running)
    kept = [found[one["prediction_id"]].assignment for one in answers]
    assert {one.shares for one in kept} == {(0.3, 0.3), (0.3, 0.0)}
    assert {one.variant for one in kept if one.arm is Arm.CHALLENGER} == {0, 1}
    # The circuit is told at once, not with the next regular report.
    statuses = [event for event in found.values() if isinstance(event, wire.WorkerStatus)]
    assert statuses[-1].circuits == {"mood@raising": "open"}


def test_clone_answers_what_was_mirrored_once_more(gateway, folders):
    running = gateway()
    running.publish(1, route(folders, "no", "yes", mirror=1.0, clone=1.0, deployment="d"))
    with running:
        running.until_revision(1)

        def cloned():
            running.post("/predict", {"features": FEATURES})
            return running.get("/stats").json()["cloned"] >= 5

        running.until(cloned)
        assert running.get("/health").json()["serving"] == ["mood@no", "mood@yes"]
        found = events(running)
    shadows = [event for event in found.values() if isinstance(event, wire.Shadow)]
    clones = [event for event in shadows if event.assignment.arm is Arm.CLONE]
    pairs = {event.prediction for event in shadows if event.assignment.arm is Arm.SHADOW}
    assert len(clones) >= 5
    assert {event.prediction for event in clones} <= pairs
    assert {(one.version, one.champion.value, one.output.value) for one in clones} == {
        ("no", "no", "no")
    }
