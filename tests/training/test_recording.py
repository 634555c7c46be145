from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from sklearn.datasets import load_iris

from serinus import clock
from serinus.errors import InvalidInput, Unavailable
from serinus.registry.service import Registry
from serinus.registry.types import Candidate
from serinus.training import pipeline, recording
from serinus.training.evaluation import evaluate
from serinus.training.fitting import learn
from serinus.training.spec import TrainingSpec

SPEC = TrainingSpec(model="iris", data="iris", target="target")


def test_write_run_has_the_times_of_the_training(
    registry: Registry, store: mlflow.MlflowClient
) -> None:
    result = pipeline.train(SPEC, registry=registry)
    run = store.get_run(result.version.run_id)

    lasted = (run.info.end_time - run.info.start_time) / 1e3
    learning = sum(result.seconds[stage] for stage in ("read", "validate", "split", "fit"))
    assert learning - 0.002 <= lasted <= sum(result.seconds.values()) + 0.002


def test_write_file_as_a_source_is_kept_with_its_place(
    registry: Registry, store: mlflow.MlflowClient, tmp_path: Path
) -> None:
    path = tmp_path / "flowers.csv"
    load_iris(as_frame=True).frame.to_csv(path, index=False)
    spec = TrainingSpec(model="iris", data=str(path), target="target")
    run = store.get_run(pipeline.train(spec, registry=registry).version.run_id)

    (dataset,) = run.inputs.dataset_inputs
    assert str(path) in dataset.dataset.source
    assert dataset.dataset.name == "flowers"
    assert "petal length (cm)" in dataset.dataset.schema
    assert {tag.key: tag.value for tag in dataset.tags} == {"mlflow.data.context": "training"}


def test_write_folder_that_cannot_be_written_is_named(
    registry: Registry, store: mlflow.MlflowClient
) -> None:
    registry.artifacts.write_text("in the way")

    with pytest.raises(InvalidInput, match="cannot be written") as caught:
        pipeline.train(SPEC, registry=registry)

    assert caught.value.where == str(registry.artifacts)
    assert registry.models() == []
    assert [item.name for item in store.search_experiments()] == ["Default"]


def test_write_without_mlflow_registers_nothing(
    registry: Registry, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    cut_off = Registry(registry.engine, f"http://127.0.0.1:{free_port()}", registry.artifacts)

    with pytest.raises(Unavailable, match="does not take the run"):
        pipeline.train(SPEC, registry=cut_off)

    assert registry.models() == []


def test_write_that_breaks_midway_leaves_a_failed_run(
    registry: Registry, store: mlflow.MlflowClient
) -> None:
    class Unpicklable(Exception):
        def __reduce__(self) -> tuple[object, ...]:
            raise self

    pipeline.train(SPEC, registry=registry)
    record = _record(registry, Unpicklable())

    with pytest.raises(Unpicklable):
        recording.write(record, uri=registry.tracking_uri, artifacts=registry.artifacts)

    experiment = store.get_experiment_by_name("iris")
    states = {run.info.status for run in store.search_runs([experiment.experiment_id])}
    assert states == {"FINISHED", "FAILED"}
    assert len(registry.versions("iris")) == 1


def _record(registry: Registry, model: object) -> recording.Record:
    fit = learn(SPEC, None, None, lambda stage: None)
    version = registry.get("iris", "1.0.0")
    truth = fit.test["target"]
    return recording.Record(
        fitted=model,
        candidate=Candidate(uri="", manifest=version.manifest, model_type="classification"),
        prepared=fit.prepared,
        train=fit.train,
        report=fit.report,
        evaluation=evaluate(fit.model, fit.inputs(fit.test), truth, fit.prepared.classes, 0),
        started_us=clock.epoch_us(),
    )
