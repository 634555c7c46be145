"""A model whose champion is not loaded answers its default: over real HTTP, and in the ledger."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from tests.serving import samples
from tests.serving.conftest import route

from serinus import clock, wire
from serinus.ledger import ids
from serinus.serving.loading.absent import Absent
from serinus.wire import Target

FEATURES = {"age": 61.0}
BODY = {"features": FEATURES}
ROW = {"features": {f"x{index}": 1.0 for index in range(4)}}


@pytest.fixture
def broken(tmp_path, folders):
    """A version whose manifest can be read, and nothing else."""
    folder = tmp_path / "broken"
    folder.mkdir()
    shutil.copy(Path(folders["good"]) / wire.MANIFEST_FILE, folder)
    return Target("9.9.9", str(folder))


def test_absent_says_why_for_each_row():
    absent = Absent(samples.number_manifest(), "gone")
    assert absent.answer([(1.0,), (2.0,)]) == ["gone", "gone"]


def test_absent_champion_that_cannot_be_loaded_leaves_the_default(gateway, folders, broken):
    running = gateway()
    healthy = route(folders, "good")
    lost = wire.Route("mood", broken, default="no", deployment="d", step=1)
    running.publish(1, lost)
    with running:
        running.until_revision(1)
        answer = running.post("/predict", BODY)
        assert answer.status_code == 200
        one = answer.json()
        assert (one["prediction"], one["version"], one["fallback"]) == ("no", "", True)
        # Requests are still held to what the model takes.
        assert running.post("/predict", {"features": {"age": "old"}}).status_code == 422
        # A balancer sends others first: nobody is served by a version here.
        assert running.get("/health/ready").status_code == 503
        health = running.get("/health").json()
        assert (health["serving"], list(health["failed"])) == ([], ["mood@9.9.9"])
        running.publish(2, healthy)
        running.until_revision(2)
        assert running.post("/predict", BODY).json()["version"] == "good"
        assert running.get("/health/ready").status_code == 200
        # One that was there is the better stand-in than any default.
        running.publish(3, lost)
        running.until(lambda: running.get("/health").json()["revision"] == 3)
        assert running.post("/predict", BODY).json()["version"] == "good"
        found = {ids.encode(record.id): record.event for record in running.reader.scan()}
    event = found[one["prediction_id"]]
    assert isinstance(event, wire.Failure)
    assert (event.version, event.default, event.assignment.deployment) == ("9.9.9", "no", "")
    assert event.reason
    statuses = [each for each in found.values() if isinstance(each, wire.WorkerStatus)]
    assert all("mood@9.9.9" not in status.ready for status in statuses)


def test_absent_champion_without_a_default_is_told(gateway, broken):
    running = gateway()
    running.publish(1, wire.Route("mood", broken))
    with running:
        running.until_revision(1)
        refused = running.post("/predict", BODY)
        assert refused.status_code == 503
        assert refused.json()["detail"] == "no model is being served"


def test_absent_champion_that_still_loads_leaves_the_default_and_then_answers(
    gateway, folders, tmp_path
):
    uri = samples.save(tmp_path / "sleepy", samples.sleepy(2.0), samples.number_manifest())
    running = gateway()
    running.publish(1, route(folders, "good"))
    with running:
        sleepy = wire.Route("numbers", Target("sleepy", uri), default=1)
        running.publish(2, route(folders, "good"), sleepy)
        running.until(lambda: running.get("/health").json()["revision"] == 2)
        answer = running.post("/models/numbers/predict", ROW)
        assert (answer.status_code, answer.json()["fallback"]) == (200, True)
        assert answer.json()["prediction"] == 1
        running.until_revision(2)
        deadline = time.monotonic() + 10
        while (one := running.post("/models/numbers/predict", ROW).json())["version"] != "sleepy":
            assert time.monotonic() < deadline, one
        assert "fallback" not in one or not one["fallback"]


def test_default_alone_answers_until_its_time_is_over(gateway, folders):
    running = gateway()
    running.publish(1, route(folders, "good"))
    with running:
        running.until_revision(1)
        until = clock.epoch_us() + 3_000_000
        held = route(
            folders, "good", "yes", share=0.5, default="no", deployment="d", alone_until=until
        )
        running.publish(2, held)
        running.until_revision(2)
        answers = [running.post("/predict", BODY).json() for _ in range(5)]
        assert {(one["prediction"], one["version"]) for one in answers} == {("no", "")}
        health = running.get("/health").json()
        assert health["ready"]
        assert sorted(health["serving"]) == ["mood@good", "mood@yes"]
        assert "by hand" in health["defaults"]["mood"]
        # It ends by itself: nobody has to publish another table.
        running.until(lambda: running.post("/predict", BODY).json()["version"] != "", 15)
        assert clock.epoch_us() >= until
        assert running.get("/health").json()["defaults"] == {}
        found = {ids.encode(record.id): record.event for record in running.reader.scan()}
    kept = [found[one["prediction_id"]] for one in answers]
    # No version has failed, and none is judged by it.
    assert {(one.version, one.default, one.assignment.deployment) for one in kept} == {
        ("", "no", "")
    }
