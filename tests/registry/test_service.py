from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import mlflow
import msgspec
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sqlalchemy import Engine

from serinus import wire
from serinus.errors import Conflict, InvalidInput, NotFound
from serinus.registry import folders
from serinus.registry.service import Registry
from serinus.registry.types import Candidate, GateResult, Stage

MANIFEST = wire.Manifest(
    model="fraud",
    task="classification",
    inputs=(wire.Field("x", "double", required=True),),
    target="t",
    classes=(0, 1),
)


def _candidate(tmp_path: Path, **changes: object) -> Candidate:
    base = Candidate(
        uri=str(tmp_path),
        manifest=MANIFEST,
        model_type="classification",
        params={"algorithm": "ridge"},
        dataset={"digest": "one"},
        metrics={"f1": 0.5},
    )
    return replace(base, **changes)


def _staged(registry: Registry, version: str, *stages: Stage) -> None:
    for stage in stages:
        registry.transition(None, "fraud", version, stage, actor="test", reason="test")


def test_register_counts_up_by_what_changed(registry: Registry, tmp_path: Path) -> None:
    def number(**changes: object) -> str:
        return registry.register(_candidate(tmp_path, **changes)).version

    wider = msgspec.structs.replace(MANIFEST, inputs=(*MANIFEST.inputs, wire.Field("y", "double")))
    broken = msgspec.structs.replace(MANIFEST, inputs=(wire.Field("z", "double"),))

    assert number() == "1.0.0"
    assert number(metrics={"f1": 0.9}) == "1.0.1"
    assert number(params={"algorithm": "trees"}) == "1.1.0"
    assert number(params={"algorithm": "trees"}, dataset={"digest": "two"}) == "1.2.0"
    assert number(manifest=wider) == "1.3.0"
    assert number(manifest=broken) == "2.0.0"


def test_register_given_version_and_then_the_next(registry: Registry, tmp_path: Path) -> None:
    assert registry.register(_candidate(tmp_path, version="4.2.9")).version == "4.2.9"
    assert registry.register(_candidate(tmp_path)).version == "4.2.10"


def test_register_duplicate_is_refused(registry: Registry, tmp_path: Path) -> None:
    registry.register(_candidate(tmp_path, version="1.0.0"))

    with pytest.raises(Conflict, match="registered already"):
        registry.register(_candidate(tmp_path, version="1.0.0", metrics={"f1": 1.0}))

    assert registry.get("fraud", "1.0.0").metrics == {"f1": 0.5}


def test_register_at_once_gives_each_its_own_version(registry: Registry, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: registry.register(_candidate(tmp_path)), range(6)))

    assert sorted(item.version for item in made) == ["1.0.0", *(f"1.0.{n}" for n in range(1, 6))]
    assert len({registry.get("fraud", item.version).mlflow_version for item in made}) == 6


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"version": "1.0"}, InvalidInput),
        ({"parent": "9.9.9"}, NotFound),
        ({"manifest": msgspec.structs.replace(MANIFEST, model="../x")}, InvalidInput),
    ],
)
def test_register_refused_leaves_nothing(
    registry: Registry, tmp_path: Path, changes: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        registry.register(_candidate(tmp_path, **changes))

    assert registry.models() == []


def test_parent_is_the_champion_else_the_newest(registry: Registry, tmp_path: Path) -> None:
    assert registry.register(_candidate(tmp_path)).parent is None
    assert registry.register(_candidate(tmp_path)).parent == "1.0.0"
    _staged(registry, "1.0.0", Stage.STAGING, Stage.PRODUCTION)
    registry.register(_candidate(tmp_path))

    assert registry.register(_candidate(tmp_path)).parent == "1.0.0"
    assert registry.register(_candidate(tmp_path, parent="1.0.1")).parent == "1.0.1"


def test_transition_into_production_archives_the_holder(registry: Registry, tmp_path: Path) -> None:
    registry.register(_candidate(tmp_path))
    registry.register(_candidate(tmp_path))
    _staged(registry, "1.0.0", Stage.STAGING, Stage.PRODUCTION)
    _staged(registry, "1.0.1", Stage.STAGING, Stage.PRODUCTION)

    assert registry.get("fraud", "1.0.0").stage is Stage.ARCHIVED
    champion = registry.champion("fraud")
    assert champion is not None
    assert champion.version == "1.0.1"
    assert registry.champions() == {"fraud": champion}
    moves = [(change.version, change.to_stage) for change in registry.history("fraud")]
    assert moves == [
        ("1.0.1", Stage.PRODUCTION),
        ("1.0.0", Stage.ARCHIVED),
        ("1.0.1", Stage.STAGING),
        ("1.0.0", Stage.PRODUCTION),
        ("1.0.0", Stage.STAGING),
    ]


def test_transition_rollback_brings_the_archived_one_back(
    registry: Registry, tmp_path: Path
) -> None:
    registry.register(_candidate(tmp_path))
    registry.register(_candidate(tmp_path))
    _staged(registry, "1.0.0", Stage.STAGING, Stage.PRODUCTION)
    _staged(registry, "1.0.1", Stage.STAGING, Stage.PRODUCTION)
    _staged(registry, "1.0.0", Stage.PRODUCTION)

    assert [v.stage for v in registry.versions("fraud")] == [Stage.ARCHIVED, Stage.PRODUCTION]


def test_transition_again_writes_nothing(registry: Registry, tmp_path: Path) -> None:
    registry.register(_candidate(tmp_path))
    _staged(registry, "1.0.0", Stage.STAGING, Stage.STAGING, Stage.STAGING)

    assert len(registry.history("fraud")) == 1


def test_transition_of_failed_gates_names_them(registry: Registry, tmp_path: Path) -> None:
    gates = (GateResult("size", True, "ok"), GateResult("latency", False, "900 ms"))
    registry.register(_candidate(tmp_path, gates=gates))

    with pytest.raises(Conflict) as caught:
        _staged(registry, "1.0.0", Stage.STAGING)

    assert caught.value.faults == ("latency: 900 ms",)
    assert registry.history("fraud") == []


def test_transition_in_a_transaction_that_fails_is_undone(
    registry: Registry, engine: Engine, tmp_path: Path
) -> None:
    registry.register(_candidate(tmp_path))

    def crash() -> None:
        with engine.begin() as connection:
            registry.transition(connection, "fraud", "1.0.0", Stage.STAGING, actor="a", reason="r")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        crash()

    assert registry.get("fraud", "1.0.0").stage is Stage.NONE
    assert registry.history("fraud") == []


def test_transition_at_once_leaves_one_in_production(registry: Registry, tmp_path: Path) -> None:
    for _ in range(4):
        _staged(registry, registry.register(_candidate(tmp_path)).version, Stage.STAGING)
    numbers = [item.version for item in registry.versions("fraud")]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: _staged(registry, number, Stage.PRODUCTION), numbers))

    stages = [item.stage for item in registry.versions("fraud")]
    assert sorted(stages) == [Stage.ARCHIVED] * 3 + [Stage.PRODUCTION]


def test_get_unknown_names_the_known_ones(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no model 'fraud'") as empty:
        registry.get("fraud", "1.0.0")
    registry.register(_candidate(tmp_path))
    with pytest.raises(NotFound, match=r"no version '9\.0\.0'") as version:
        registry.get("fraud", "9.0.0")
    with pytest.raises(NotFound, match="no model 'froud'") as model:
        registry.versions("froud")

    assert "No model is registered yet" in empty.value.remedy
    assert "1.0.0" in version.value.remedy
    assert "fraud" in model.value.remedy


def test_compare_tells_what_differs(registry: Registry, tmp_path: Path) -> None:
    registry.register(_candidate(tmp_path))
    registry.register(
        _candidate(tmp_path, params={"algorithm": "trees", "depth": 3}, metrics={"auc": 0.9})
    )
    found = registry.compare("fraud", "1.0.0", "1.1.0")

    assert found.metrics == {"auc": (None, 0.9), "f1": (0.5, None)}
    assert found.params == {"algorithm": ("ridge", "trees"), "depth": (None, 3)}
    assert found.same_data
    assert found.breaks == ()


def test_register_stands_when_mlflow_does_not_follow(
    engine: Engine,
    registry: Registry,
    tmp_path: Path,
    free_port: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    nobody = f"http://127.0.0.1:{free_port()}"
    cut_off = Registry(engine, nobody, tmp_path / "artifacts")

    made = cut_off.register(_candidate(tmp_path))
    registry.mirror("fraud")

    assert made.mlflow_version == ""
    assert registry.get("fraud", made.version).mlflow_version == "1"


@pytest.fixture
def fitted() -> tuple[LogisticRegression, pd.DataFrame, Candidate]:
    rows = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0] * 5, "b": [1.0, 0.0] * 10})
    model = LogisticRegression().fit(rows, ["no", "no", "yes", "yes"] * 5)
    manifest = wire.Manifest(
        model="fraud",
        task="classification",
        inputs=folders.inputs_of(rows),
        target="t",
        classes=folders.classes_of(model),
        example=folders.example_of(rows),
    )
    return model, rows, Candidate(uri="", manifest=manifest, model_type="classification")


def test_register_object_serves_by_alias_what_was_promoted(
    registry: Registry, fitted: tuple[LogisticRegression, pd.DataFrame, Candidate]
) -> None:
    model, rows, candidate = fitted
    made = registry.register_object(model, replace(candidate, metrics={"f1": 1.0}))
    _staged(registry, made.version, Stage.STAGING, Stage.PRODUCTION)

    loaded = mlflow.pyfunc.load_model("models:/fraud@production")
    assert loaded.predict(rows).tolist() == model.predict(rows).tolist()
    assert loaded.metadata.run_id == made.run_id
    folder = Path(made.uri)
    assert folder.is_absolute()
    manifest = msgspec.json.decode((folder / wire.MANIFEST_FILE).read_bytes(), type=wire.Manifest)
    assert manifest == made.manifest
    assert (folder / "MLmodel").is_file()


@pytest.mark.filterwarnings("ignore:Operation with range")
def test_register_uri_copies_a_model_that_mlflow_has(
    registry: Registry,
    store: mlflow.MlflowClient,
    tmp_path: Path,
    fitted: tuple[LogisticRegression, pd.DataFrame, Candidate],
) -> None:
    model, rows, _ = fitted
    experiment = store.create_experiment("theirs", artifact_location=str(tmp_path / "theirs"))
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_metric("f1", 0.75)
        mlflow.log_param("C", 1.0)
        logged = mlflow.sklearn.log_model(
            model,
            name="theirs",
            signature=mlflow.models.infer_signature(rows, model.predict(rows)),
            serialization_format="cloudpickle",
            pip_requirements=["scikit-learn"],
            input_example=rows.head(3),
        )
    made = registry.register_uri(logged.model_uri, model="fraud", target="t")

    assert made.run_id == run.info.run_id
    assert made.metrics == {"f1": 0.75}
    assert made.manifest.classes == ("no", "yes")
    assert [item.name for item in made.manifest.inputs] == ["a", "b"]
    assert made.manifest.example == folders.example_of(rows)
    assert (Path(made.uri) / wire.MANIFEST_FILE).is_file()
    assert not (Path(logged.artifact_path) / wire.MANIFEST_FILE).exists()
    assert folders.load(made.uri).predict(rows).tolist() == model.predict(rows).tolist()


def test_register_uri_of_nothing_is_not_found(registry: Registry) -> None:
    with pytest.raises(NotFound, match="no MLflow model"):
        registry.register_uri("models:/nobody/1", model="fraud", target="t")

    assert registry.models() == []
