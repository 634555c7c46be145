from __future__ import annotations

import msgspec
import pytest
from sklearn.datasets import load_breast_cancer
from tests.api.running import Faces

from serinus import clock
from serinus.delivery.types import DeploymentSpec
from serinus.errors import Conflict, InvalidInput
from serinus.processes import handlers
from serinus.processes.worker import plain
from serinus.registry.types import Stage
from serinus.scheduling.types import Job
from serinus.wire import Arm, Assignment, Label, Output, Prediction

MODEL = "tumour"


@pytest.fixture
def trained(faces: Faces) -> tuple[Faces, Job, list[str]]:
    """A model that a job has trained and begun to deploy, what it told, and the job."""
    payload = {
        "data": "breast_cancer",
        "model": MODEL,
        "target": "target",
        "algorithm": "logistic_regression",
        "deploy": True,
        "reason": "by the test",
    }
    job = faces.app.jobs.enqueue("train", "once", payload)
    told: list[str] = []
    result = handlers.train(faces.app, job, told.append)
    assert result["version"] == "1.0.0"
    return faces, job, told


def serve(faces: Faces, count: int) -> None:
    """Predictions of the champion on rows of its data, labelled, as the monitor keeps them."""
    frame = load_breast_cancer(as_frame=True).frame.head(count)
    assignment = Assignment(MODEL, Arm.CHAMPION, 0.0, 1)
    answers = [
        Prediction(clock.epoch_us(), assignment, "1.0.0", tuple(row), Output(1, (0.1, 0.9)), 500)
        for row in frame.drop(columns="target").to_numpy().tolist()
    ]
    found = faces.writer.append(answers)
    faces.writer.append(
        [
            Label(clock.epoch_us(), id, int(truth), item.at, assignment, "1.0.0", item.output)
            for id, item, truth in zip(found, answers, frame["target"], strict=True)
        ]
    )
    while faces.app.monitor.step({}):
        pass


def test_train_tells_its_stages_and_begins_a_deployment(
    trained: tuple[Faces, Job, list[str]],
) -> None:
    faces, _, told = trained

    version = faces.app.registry.get(MODEL, "1.0.0")
    (deployment,) = faces.app.delivery.list(MODEL, limit=5, after=None)
    assert version.tags["serinus.reason"] == "by the test"
    assert deployment.challenger == "1.0.0"
    assert [line.split(" (")[0] for line in told][:2] == ["read", "validate"]


def test_train_done_again_after_a_crash_makes_nothing_twice(
    trained: tuple[Faces, Job, list[str]],
) -> None:
    faces, job, _ = trained

    result = handlers.train(faces.app, job, lambda text: None)

    assert result["version"] == "1.0.0"
    assert len(faces.app.registry.versions(MODEL)) == 1
    assert len(faces.app.delivery.list(MODEL, limit=5, after=None)) == 1


def test_retrain_goes_all_the_way_and_keeps_the_reason(
    trained: tuple[Faces, Job, list[str]],
) -> None:
    faces, _, _ = trained
    app = faces.app
    (first,) = app.delivery.list(MODEL, limit=5, after=None)
    app.delivery.abort(first.id, actor="test", reason="")
    app.promote(MODEL, "1.0.0", Stage.PRODUCTION, actor="test", reason="")
    serve(faces, 400)
    payload = {"model": MODEL, "reason": "the traffic moved", "since": None}
    job = app.jobs.enqueue("retrain", "alarm", payload)

    results = [handlers.retrain(app, job, lambda text: None) for _ in range(2)]

    assert results[0] == results[1]
    assert results[0]["reason"] == "the traffic moved"
    newest = app.registry.newest(MODEL)
    assert newest is not None
    assert newest.version == results[0]["version"] != "1.0.0"
    assert newest.tags["serinus.reason"] == "the traffic moved"
    live = app.delivery.find(MODEL)
    assert live is not None
    assert live.id == results[0]["deployment"]
    assert live.requested_by == f"retrain job {job.id}"


def test_retrain_whose_version_fails_its_gates_has_failed(
    trained: tuple[Faces, Job, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that its trigger asks again when there are more labels."""
    faces, _, _ = trained
    app = faces.app
    (first,) = app.delivery.list(MODEL, limit=5, after=None)
    app.delivery.abort(first.id, actor="test", reason="")
    app.promote(MODEL, "1.0.0", Stage.PRODUCTION, actor="test", reason="")
    serve(faces, 400)
    types = app.types
    strict = msgspec.structs.replace(types["classification"], least={"roc_auc": 1.1})
    monkeypatch.setattr(app, "types", {**types, "classification": strict})
    job = app.jobs.enqueue("retrain", "alarm", {"model": MODEL, "reason": "", "since": None})

    for _ in range(2):
        with pytest.raises(Conflict, match="failed its gates: threshold roc_auc: "):
            handlers.retrain(app, job, lambda text: None)

    assert [version.version for version in app.registry.versions(MODEL)] == ["1.1.0", "1.0.0"]
    assert app.delivery.find(MODEL) is None


def test_retrain_on_too_few_rows_is_refused(trained: tuple[Faces, Job, list[str]]) -> None:
    faces, _, _ = trained
    app = faces.app
    (first,) = app.delivery.list(MODEL, limit=5, after=None)
    app.delivery.abort(first.id, actor="test", reason="")
    app.promote(MODEL, "1.0.0", Stage.PRODUCTION, actor="test", reason="")
    serve(faces, 20)
    job = app.jobs.enqueue("retrain", "alarm", {"model": MODEL, "reason": "", "since": None})

    with pytest.raises(InvalidInput, match="20 labelled rows are too few"):
        handlers.retrain(app, job, lambda text: None)


def test_like_repeats_the_margin_of_the_shadow_step(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    version = faces.register("1.1.0")
    asked = DeploymentSpec(model="fraud", challenger="1.1.0", quality_points=0.03, soak_seconds=9.0)
    former = faces.app.delivery.create(asked, actor="test")

    again = handlers.like(former, version)
    assert again == msgspec.structs.replace(asked, min_requests=former.spec.min_requests)


def test_like_repeats_the_last_plan(faces: Faces) -> None:
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    version = faces.register("1.1.0")
    asked = DeploymentSpec(
        model="fraud",
        challenger="1.1.0",
        shares=(0.2, 0.4),
        shadow=False,
        labels=False,
        unit="entity",
        error_odds=3.0,
        min_requests=77,
        max_hours=5.0,
        label_window_seconds=60.0,
        soak_seconds=9.0,
        auto_promote=False,
    )
    former = faces.app.delivery.create(asked, actor="test")

    assert handlers.like(former, version) == asked


def test_handlers_are_made_from_plain_settings(faces: Faces) -> None:
    made = handlers.handlers(plain(faces.app.settings))

    assert set(made) == {"train", "retrain"}


def test_retraining_repeats_no_plan_that_has_not_proved_itself(
    trained: tuple[Faces, Job, list[str]],
) -> None:
    """The newest plan may have been a hurried one, and was aborted or promoted by hand."""
    faces, job, _ = trained
    app = faces.app
    (first,) = app.delivery.list(MODEL, limit=5, after=None)
    app.delivery.abort(first.id, actor="test", reason="")
    app.promote(MODEL, "1.0.0", Stage.PRODUCTION, actor="test", reason="")
    other = app.jobs.enqueue("train", "twice", {**job.payload, "deploy": False, "seed": 1})
    version = handlers.train(app, other, lambda text: None)["version"]
    weak = DeploymentSpec(model=MODEL, challenger=version, shares=(0.5,), shadow=False)
    hurried = app.delivery.create(weak, actor="test")
    app.delivery.abort(hurried.id, actor="test", reason="")
    serve(faces, 400)
    alarm = app.jobs.enqueue("retrain", "alarm", {"model": MODEL, "reason": "", "since": None})

    handlers.retrain(app, alarm, lambda text: None)

    live = app.delivery.find(MODEL)
    assert live is not None
    assert live.spec.shares != weak.shares
    assert live.spec.shadow != weak.shadow
