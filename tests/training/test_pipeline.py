from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import msgspec
import numpy as np
import pandas as pd
import pytest

from serinus import wire
from serinus.data import ingest
from serinus.errors import Conflict, InvalidInput, SerinusError
from serinus.registry.model_types import ModelType
from serinus.registry.packaging import packager
from serinus.registry.packaging.types import Limits
from serinus.registry.service import Registry
from serinus.registry.types import Stage
from serinus.training import pipeline
from serinus.training.spec import TrainingSpec


def _spec(**changes: Any) -> TrainingSpec:
    return TrainingSpec(
        **{"model": "cancer", "data": "breast_cancer", "target": "target", **changes}
    )


def _promote(registry: Registry, version: str, model: str = "cancer") -> None:
    for stage in (Stage.STAGING, Stage.PRODUCTION):
        registry.transition(None, model, version, stage, actor="test", reason="test")


def test_train_serves_by_alias_what_was_promoted(registry: Registry) -> None:
    result = pipeline.train(_spec(), registry=registry)
    _promote(registry, result.version.version)
    rows = ingest.read("breast_cancer").frame.drop(columns="target")

    loaded = mlflow.pyfunc.load_model("models:/cancer@production")

    answers = np.asarray(loaded.predict(rows))
    assert np.mean(answers == ingest.read("breast_cancer").frame["target"]) > 0.95
    assert loaded.metadata.run_id == result.version.run_id
    assert result.version.version == "1.0.0"
    assert not result.version.failed_gates


def test_train_folder_is_all_that_a_gateway_needs(registry: Registry) -> None:
    version = pipeline.train(_spec(algorithm="xgboost"), registry=registry).version
    folder = Path(version.uri)
    manifest = msgspec.json.decode((folder / wire.MANIFEST_FILE).read_bytes(), type=wire.Manifest)

    assert folder.is_absolute()
    assert (folder / "MLmodel").is_file()
    assert manifest == version.manifest
    assert manifest.classes == (0, 1)
    assert len(manifest.inputs) == 30
    assert all(field.type == "double" and field.required for field in manifest.inputs)
    answer = mlflow.pyfunc.load_model(version.uri).predict(pd.DataFrame([manifest.example]))
    assert answer[0] in manifest.classes


def test_train_tells_mlflow_everything(registry: Registry, store: mlflow.MlflowClient) -> None:
    spec = _spec(reason="drift", tags={"team": "health"}, params={"C": 0.5})
    result = pipeline.train(spec, registry=registry)
    run = store.get_run(result.version.run_id)

    assert run.info.status == "FINISHED"
    assert run.data.params["algorithm"] == "logistic_regression"
    assert json.loads(run.data.params["algorithm_params"])["C"] == 0.5
    auc = result.evaluation.metrics["roc_auc"]
    assert run.data.metrics["roc_auc"] == auc.value
    assert run.data.metrics["roc_auc_low"] == auc.low
    assert run.data.tags["serinus.reason"] == "drift"
    assert run.data.tags["team"] == "health"
    (dataset,) = run.inputs.dataset_inputs
    assert dataset.dataset.name == "breast_cancer"
    assert result.version.dataset["digest"].startswith(dataset.dataset.digest)
    files = {item.path for item in store.list_artifacts(run.info.run_id)}
    assert {"validation.json", "evaluation.json", "gates.json"} <= files
    (shown,) = store.search_model_versions("name='cancer'")
    assert (shown.run_id, shown.tags["serinus.version"]) == (run.info.run_id, "1.0.0")


def test_train_lineage_names_data_code_and_environment(registry: Registry) -> None:
    version = pipeline.train(_spec(), registry=registry).version
    lineage = registry.lineage("cancer", version.version)

    assert lineage["dataset"]["source"] == "bundled:breast_cancer"
    assert lineage["dataset"]["train_rows"] + lineage["dataset"]["test_rows"] == 569
    assert lineage["environment"]["python"].startswith("3.")
    assert lineage["run"] == version.run_id


def test_train_packages_what_it_registers_on_the_rows_that_were_held_out(
    registry: Registry,
) -> None:
    registry.packaging = Limits()
    version = pipeline.train(_spec(algorithm="xgboost"), registry=registry).version
    made = packager.packaged(version.uri)

    assert (made.form, made.rows) == ("onnx", version.dataset["test_rows"])
    assert (Path(version.uri) / made.path).is_file()
    assert [tried.outcome for tried in made.attempts] == ["used"]


def test_train_numbers_by_what_changed(registry: Registry) -> None:
    def number(**changes: Any) -> str:
        return pipeline.train(_spec(**changes), registry=registry).version.version

    assert number() == "1.0.0"
    assert number(seed=5) == "1.0.1"
    assert number(algorithm="decision_tree") == "1.1.0"
    assert number(exclude=("mean radius",)) == "2.0.0"


def test_train_progress_tells_each_stage_in_order(registry: Registry) -> None:
    told: list[tuple[str, float]] = []
    result = pipeline.train(
        _spec(data="iris"), registry=registry, progress=lambda *step: told.append(step)
    )

    assert [stage for stage, _ in told] == [*pipeline.STAGES, "done"]
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert set(result.seconds) == set(pipeline.STAGES)


def test_train_result_is_plain_json(registry: Registry) -> None:
    document = json.loads(json.dumps(pipeline.train(_spec(), registry=registry).to_dict()))

    assert document["passed"] is True
    assert document["evaluation"]["metrics"]["roc_auc"]["value"] > 0.9


def signature(manifest: wire.Manifest) -> list[tuple[str, str, bool]]:
    return [(field.name, field.type, field.required) for field in manifest.inputs]


def test_train_mixed_columns_from_a_file_and_serve_what_a_request_holds(
    registry: Registry, tmp_path: Path
) -> None:
    random = np.random.default_rng(3)
    place = random.choice(["north", "south"], 200)
    age = random.integers(18, 80, 200).astype(float)
    frame = pd.DataFrame(
        {
            "age": np.where(random.random(200) < 0.1, np.nan, age),
            "place": np.where(random.random(200) < 0.1, None, place),
            "member": random.random(200) < 0.5,
            "churned": np.where((place == "north") ^ (random.random(200) < 0.1), "yes", "no"),
        }
    )
    frame.to_csv(tmp_path / "churn.csv", index=False)
    spec = _spec(model="churn", data=str(tmp_path / "churn.csv"), target="churned")
    version = pipeline.train(spec, registry=registry).version

    assert signature(version.manifest) == [
        ("age", "double", False),
        ("place", "string", False),
        ("member", "boolean", True),
    ]
    assert version.manifest.classes == ("no", "yes")
    loaded = mlflow.pyfunc.load_model(version.uri)
    request = {"age": [None], "place": ["north"], "member": [True]}
    rows = pd.DataFrame(request).astype({"age": "float64", "place": "object"})
    assert loaded.predict(rows)[0] == "yes"
    assert loaded.predict(rows.assign(place=None).astype({"place": "object"}))[0] in ("no", "yes")


# ------------------------------------------------------------------ gates


def test_train_failed_gate_names_itself_and_keeps_from_traffic(registry: Registry) -> None:
    strict = {"classification": ModelType(task="classification", least={"accuracy": 0.999})}
    result = pipeline.train(_spec(), registry=registry, types=strict)

    assert [gate.name for gate in result.version.failed_gates] == ["threshold accuracy"]
    with pytest.raises(Conflict, match="failed 1 of its gates") as caught:
        _promote(registry, result.version.version)
    assert "threshold accuracy" in caught.value.faults[0]
    assert registry.get("cancer", "1.0.0").stage is Stage.NONE


def test_train_worse_than_the_champion_on_the_same_rows_fails(registry: Registry) -> None:
    champion = pipeline.train(_spec(), registry=registry)
    _promote(registry, champion.version.version)
    worse = pipeline.train(
        _spec(algorithm="decision_tree", params={"max_depth": 1}), registry=registry
    )

    assert [gate.name for gate in worse.version.failed_gates] == ["benchmark brier"]
    assert worse.champion is not None
    assert worse.champion.rows == worse.evaluation.rows
    assert worse.champion == champion.evaluation  # the same seed deals the same test rows


def test_train_champion_that_cannot_answer_forbids_nothing(registry: Registry) -> None:
    champion = pipeline.train(_spec(), registry=registry).version
    _promote(registry, champion.version)
    (Path(champion.uri) / "MLmodel").unlink()
    result = pipeline.train(_spec(algorithm="decision_tree"), registry=registry)

    assert result.champion is None
    assert not result.version.failed_gates
    assert (
        "cannot be asked"
        in {gate.name: gate for gate in result.version.gates}["benchmark brier"].detail
    )


# ------------------------------------------------------------------ retraining


def test_retrain_frame_follows_the_version_with_the_same_signature(registry: Registry) -> None:
    first = pipeline.train(_spec(algorithm="random_forest"), registry=registry).version
    frame = ingest.read("breast_cancer").frame.head(300)
    live = pd.concat([frame, frame.head(40)]).assign(prediction_id="x", **{"mean radius": 12.0})
    result = pipeline.retrain_frame(live, first, registry=registry, reason="drift found")

    assert result.version.version == "1.1.0"
    assert signature(result.version.manifest) == signature(first.manifest)
    assert result.version.params["algorithm"] == "random_forest"
    assert result.version.tags["serinus.reason"] == "drift found"
    assert result.version.parent == "1.0.0"
    rows = result.version.dataset
    assert rows["rows"] == len(frame.drop(columns="mean radius").drop_duplicates())


def test_retrain_frame_lacking_an_input_names_it(registry: Registry) -> None:
    first = pipeline.train(_spec(), registry=registry).version
    frame = ingest.read("breast_cancer").frame.drop(columns="mean area")

    with pytest.raises(InvalidInput, match="input column 'mean area'"):
        pipeline.retrain_frame(frame, first, registry=registry, reason="r")


# ------------------------------------------------------------------ bad input


def _rows(**columns: Any) -> str:
    base = pd.DataFrame({"x": np.arange(40.0) ** 2, "y": np.arange(40) % 7, "t": [0, 1] * 20})
    return str(base.assign(**columns).to_csv(index=False))


BAD = {
    "empty file": ("", {}, "", "the file is empty", "header and rows"),
    "header only": ("x,y,t\n", {}, "the rows", "there are none", "rows of data"),
    "missing target": (_rows(), {"target": "u"}, "target column 'u'", "no such column", "x, y, t"),
    "one class": (_rows(t=1), {}, "target column 't'", "only one class", "two classes"),
    "all columns useless": (_rows(x=1, y=None), {}, "the columns", "no column is left", "differ"),
    "text in a number column": (
        _rows(x=[*range(39), "many"]),
        {},
        "column 'x'",
        "row 40, such as 'many'",
        "Correct",
    ),
    "infinite values": (
        _rows(x=[np.inf, *range(39)]),
        {},
        "column 'x'",
        "infinite values in row 1",
        "Correct",
    ),
    "duplicate column names": (
        _rows().replace("x,y,t", "x,x,t"),
        {},
        "column 'x'",
        "2 columns",
        "Rename",
    ),
    "0 rows after filtering": (_rows(t=None), {}, "target column 't'", "0 rows are left", "known"),
    "leak": (_rows(z=["a", "b"] * 20), {}, "column 'z'", "tells the target", "Exclude"),
    "unknown algorithm": (_rows(), {"algorithm": "magic"}, "algorithm", "not known", "auto"),
    "unknown parameter": (_rows(), {"params": {"wings": 2}}, "params", "wings", "defaults"),
    "parameter out of range": (_rows(), {"params": {"C": -1}}, "fit", "cannot be fitted", "Change"),
    "unknown model type": (_rows(), {"model_type": "magic"}, "model_type", "not known", "one of"),
    "path as a name": (
        _rows(),
        {"model": "../../etc"},
        "model",
        "reads as a path",
        "such as fraud",
    ),
    "split without times": (
        _rows(),
        {"split": "time"},
        "time_column",
        "needs one",
        "column of times",
    ),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
def test_train_bad_input_names_place_and_remedy_and_changes_nothing(
    case: str, registry: Registry, store: mlflow.MlflowClient, tmp_path: Path
) -> None:
    text, changes, place, what, remedy = BAD[case]
    path = tmp_path / "rows.csv"
    path.write_text(text)

    with pytest.raises(SerinusError) as caught:
        pipeline.train(
            TrainingSpec(**{"model": "m", "data": str(path), "target": "t", **changes}),
            registry=registry,
        )

    told = str(caught.value)
    assert isinstance(caught.value, InvalidInput)
    assert (caught.value.exit_code, caught.value.status) == (2, 422)
    assert (place or str(path)) in told
    assert what in told
    assert remedy in told
    assert registry.models() == []
    assert store.search_model_versions() == []
    assert [item.name for item in store.search_experiments()] == ["Default"]
    assert not registry.artifacts.exists()


def test_train_version_that_exists_is_refused_before_any_work(
    registry: Registry, store: mlflow.MlflowClient
) -> None:
    pipeline.train(_spec(version="1.0.0"), registry=registry)
    told: list[str] = []

    with pytest.raises(Conflict, match="registered already"):
        pipeline.train(
            _spec(version="1.0.0"), registry=registry, progress=lambda stage, _: told.append(stage)
        )

    assert told == []
    assert len(store.search_model_versions("name='cancer'")) == 1
