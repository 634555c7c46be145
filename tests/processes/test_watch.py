from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tests.api.running import MODEL, Faces, running

from serinus import clock
from serinus.delivery.rollback import repository
from serinus.delivery.rollback.types import State as Rolled
from serinus.ledger import ids
from serinus.monitoring.types import Action, Recommendation, State
from serinus.processes.watch import Watch, condition_of, payload_of
from serinus.registry.types import Stage
from serinus.scheduling.types import TriggerState
from serinus.stats import bins
from serinus.wire import Arm, Assignment, Label, Output, Prediction

ROWS = 20


@pytest.fixture
def watched(template: Path, tmp_path: Path) -> Iterator[Faces]:
    """An installation whose windows are 20 rows, with a champion trained on N(0, 1)."""
    shutil.copytree(template, tmp_path / "home")
    settings = {
        "monitoring_window_seconds": 0,
        "monitoring_window_rows": ROWS,
        "drift_false_alarm_windows": 5_000.0,
        "min_training_data_points": 50,
    }
    with running(tmp_path / "home", **settings) as started:
        drawn = np.random.default_rng(1).normal(size=(2_000, 2))
        reference = bins.reference_profile(
            {"amount": drawn[:, 0], "age": drawn[:, 1]}, np.full(2_000, 0.1)
        )
        started.register("1.0.0", stage=Stage.PRODUCTION, reference=reference)
        yield started


def answer(faces: Faces, windows: int, *, shift: float, seed: int) -> None:
    """Predictions of the champion with their labels, ``shift`` off what it was trained on."""
    drawn = np.random.default_rng(seed).normal(size=(windows * ROWS, 2)) + shift
    assignment = Assignment(MODEL, Arm.CHAMPION, 0.0, 1)
    predictions = [
        Prediction(clock.epoch_us(), assignment, "1.0.0", (a, b), Output(0, (0.9, 0.1)), 500)
        for a, b in drawn.tolist()
    ]
    found = faces.writer.append(predictions)
    faces.writer.append(
        [
            Label(clock.epoch_us(), id, 0, item.at, assignment, "1.0.0", item.output)
            for id, item in zip(found, predictions, strict=True)
        ]
    )


def test_nothing_is_retrained_on_what_was_found_to_be_elsewhere(watched: Faces) -> None:
    """What breaks every version, such as wrong labels, would be learnt by the next one."""
    watched.register("1.0.1", stage=Stage.PRODUCTION)
    done = watched.app.rollbacks.roll_back(MODEL, "1.0.0", actor="ann", reason="worse")
    with watched.app.engine.begin() as connection:
        done = repository.get(connection, done.id)
        for state in (Rolled.VERIFYING, Rolled.NOT_THE_MODEL):
            done = repository.move(
                connection, done, state, actor="t", at=clock.now(), reason="both err"
            )
    watch = Watch(watched.app)
    answer(watched, 40, shift=0.0, seed=2)
    watch.look()
    answer(watched, 30, shift=2.0, seed=3)
    watch.look()
    assert watched.app.monitor.recommendation(MODEL).action is not Action.NO_ACTION_NEEDED
    assert watched.app.jobs.list() == ()


def test_drift_asks_for_one_retraining_with_its_reason(watched: Faces) -> None:
    watch = Watch(watched.app)
    answer(watched, 40, shift=0.0, seed=2)
    assert watch.look() is True
    assert watched.app.monitor.recommendation(MODEL).state is State.WATCHING
    assert watched.app.jobs.list() == ()

    answer(watched, 30, shift=2.0, seed=3)
    watch.look()
    for _ in range(3):
        assert watch.look() is False

    (job,) = watched.app.jobs.list()
    assert job.kind == "retrain"
    assert "drifted" in job.payload["reason"]
    assert (
        clock.require_aware(watched.app.monitor.recommendation(MODEL).since).isoformat()
        == job.payload["since"]
    )
    assert watched.app.triggers.get(MODEL, "retrain").state is TriggerState.QUEUED
    assert watched.app.monitor.drift_history(MODEL)[0].model == MODEL


def test_too_few_labels_wait(watched: Faces) -> None:
    watched.app.settings.__dict__["min_training_data_points"] = 10_000
    watch = Watch(watched.app)
    answer(watched, 40, shift=0.0, seed=2)
    answer(watched, 30, shift=2.0, seed=3)

    watch.look()

    assert watched.app.triggers.get(MODEL, "retrain").state is TriggerState.PENDING
    assert watched.app.jobs.list() == ()


def test_live_deployment_is_waited_for(watched: Faces) -> None:
    watched.register("1.1.0")
    with watched.client as client:
        begun = client.deploy(MODEL, "1.1.0")
        answer(watched, 40, shift=0.0, seed=2)
        answer(watched, 30, shift=2.0, seed=3)
        watch = Watch(watched.app)
        watch.look()
        assert watched.app.jobs.list() == ()
        client.abort(begun.id)
    watch.look()

    assert len(watched.app.jobs.list()) == 1


def test_condition_is_named_by_its_alarm_or_by_the_version(watched: Faces) -> None:
    version = watched.app.registry.get(MODEL, "1.0.0")
    quiet = Recommendation(
        action=Action.NO_ACTION_NEEDED,
        reasons=("calm",),
        since=None,
        state=State.WATCHING,
        windows=3,
        alarm=None,
    )
    failing = msgspec.structs.replace(quiet, action=Action.LOOK_AT_FAILURES, since=clock.now())
    worse = Recommendation(
        action=Action.RETRAIN_IMMEDIATELY,
        reasons=("worse", "much"),
        since=clock.now(),
        state=State.WATCHING,
        windows=3,
        alarm=None,
    )

    assert condition_of(quiet, version) is None
    assert condition_of(failing, version) is None
    condition = condition_of(worse, version)
    assert condition is not None
    assert condition.key == "fraud/1.0.0/performance"
    assert payload_of(worse, MODEL)["reason"] == "worse much"
    assert ids.encode(b"\0" * 16) == "0" * 32
