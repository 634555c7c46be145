from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from sqlalchemy import Engine

from serinus import clock, wire
from serinus.errors import Unavailable
from serinus.registry import mirror
from serinus.registry.service import Registry
from serinus.registry.types import Candidate, GateResult, Stage


def _register(registry: Registry, tmp_path: Path, *, passed: bool = True) -> str:
    candidate = Candidate(
        uri=str(tmp_path),
        manifest=wire.Manifest("m", "regression", (wire.Field("x", "double"),), "t"),
        model_type="regression",
        gates=(GateResult("size", passed, "detail"),),
    )
    return registry.register(candidate).version


def _aliases(store: mlflow.MlflowClient, registry: Registry) -> dict[str, str]:
    numbers = {v.mlflow_version: v.version for v in registry.versions("m")}
    shown = store.get_registered_model("m").aliases
    return {alias: numbers[str(number)] for alias, number in shown.items()}


def test_follow_shows_versions_with_tags(
    registry: Registry, store: mlflow.MlflowClient, tmp_path: Path
) -> None:
    _register(registry, tmp_path)
    _register(registry, tmp_path, passed=False)
    shown = {
        item.tags[mirror.TAG_VERSION]: item.tags for item in store.search_model_versions("name='m'")
    }

    assert shown["1.0.0"][mirror.TAG_GATES] == "passed"
    assert shown["1.0.1"][mirror.TAG_GATES] == "failed: size"
    assert shown["1.0.0"][mirror.TAG_STAGE] == "None"


def test_follow_moves_aliases_with_the_stages(
    registry: Registry, store: mlflow.MlflowClient, tmp_path: Path
) -> None:
    for _ in range(2):
        _register(registry, tmp_path)

    def move(version: str, to: Stage) -> dict[str, str]:
        registry.transition(None, "m", version, to, actor="a", reason="r")
        return _aliases(store, registry)

    assert move("1.0.0", Stage.STAGING) == {"staging": "1.0.0"}
    assert move("1.0.0", Stage.PRODUCTION) == {"production": "1.0.0"}
    assert move("1.0.1", Stage.STAGING) == {"production": "1.0.0", "staging": "1.0.1"}
    assert move("1.0.1", Stage.PRODUCTION) == {"production": "1.0.1"}
    assert move("1.0.1", Stage.ARCHIVED) == {}
    shown = store.search_model_versions("name='m'")
    assert {item.tags[mirror.TAG_STAGE] for item in shown} == {"Archived"}


def test_follow_twice_changes_nothing(
    registry: Registry, store: mlflow.MlflowClient, tmp_path: Path
) -> None:
    _register(registry, tmp_path)
    before = store.search_model_versions("name='m'")[0].last_updated_timestamp

    registry.mirror("m")
    registry.mirror("m")

    (only,) = store.search_model_versions("name='m'")
    assert only.last_updated_timestamp == before


def test_follow_repairs_what_was_changed_in_mlflow(
    registry: Registry, store: mlflow.MlflowClient, tmp_path: Path
) -> None:
    _register(registry, tmp_path)
    _register(registry, tmp_path)
    registry.transition(None, "m", "1.0.0", Stage.STAGING, actor="a", reason="r")
    other = registry.get("m", "1.0.1").mlflow_version
    store.set_registered_model_alias("m", "staging", other)
    store.set_registered_model_alias("m", "mine", other)

    registry.mirror("m")

    assert _aliases(store, registry) == {"staging": "1.0.0", "mine": "1.0.1"}


def test_follow_without_mlflow_is_unavailable(
    engine: Engine, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    with pytest.raises(Unavailable, match="did not follow"):
        mirror.follow(engine, f"http://127.0.0.1:{free_port()}", "m")


def test_mirror_soon_follows_without_making_the_caller_wait(
    registry: Registry, store: mlflow.MlflowClient, tmp_path: Path
) -> None:
    _register(registry, tmp_path)
    with registry.engine.begin() as connection:
        registry.transition(connection, "m", "1.0.0", Stage.STAGING, actor="a", reason="r")
    registry.mirror_soon("m")
    deadline = clock.monotonic() + 20
    while _aliases(store, registry) != {"staging": "1.0.0"}:
        assert clock.monotonic() < deadline
        clock.sleep(0.02)
