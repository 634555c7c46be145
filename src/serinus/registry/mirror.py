"""Makes MLflow's own registry show what Serinus's says: versions, aliases, tags.

The database is the truth and MLflow follows, after the commit. Following is idempotent, and it
looks again at the end: two processes that follow at once end with what the database says last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode
from sqlalchemy import Engine

from serinus.errors import Unavailable
from serinus.registry import repository, tracking
from serinus.registry.types import ModelVersion, Stage
from serinus.store.engine import reading

ALIASES: Mapping[str, Stage] = {"production": Stage.PRODUCTION, "staging": Stage.STAGING}
"""MLflow aliases and the stages whose latest version they point to."""

TAG_VERSION = "serinus.version"
TAG_STAGE = "serinus.stage"
TAG_GATES = "serinus.gates"
TAG_SOURCE = "serinus.source"

_MOST_ROUNDS = 5


@dataclass(frozen=True)
class _Wanted:
    """What MLflow should show of one model."""

    stages: Mapping[str, Stage]
    numbers: Mapping[str, str]
    aliases: Mapping[str, str]


def follow(engine: Engine, uri: str, model: str) -> None:
    """Bring MLflow's registry at ``uri`` to what the database says of ``model``.

    Raises:
        Unavailable: MLflow does not follow; calling again later catches up.
    """
    try:
        store = tracking.client(uri)
        wanted = _wanted(engine, model)
        for _ in range(_MOST_ROUNDS):
            _apply(engine, store, model, wanted)
            latest = _wanted(engine, model)
            if latest == wanted:
                return
            wanted = latest
    except MlflowException as error:
        raise Unavailable(
            f"MLflow's registry did not follow ({error})",
            where=f"model {model}",
            remedy="Check that MLflow is reachable; what Serinus has recorded stands.",
        ) from error


def _wanted(engine: Engine, model: str) -> _Wanted:
    with reading(engine) as connection:
        states = repository.states(connection, model)
        stages = {version: stage for version, stage, _ in states}
        aliases: dict[str, str] = {}
        for alias, stage in ALIASES.items():
            for version in repository.last_entered(connection, model, stage):
                if stages.get(version) is stage:
                    aliases[alias] = version
                    break
    return _Wanted(stages, {version: number for version, _, number in states}, aliases)


def _apply(engine: Engine, store: mlflow.MlflowClient, model: str, wanted: _Wanted) -> None:
    shown = _registered_model(store, model)
    numbers = dict(wanted.numbers)
    for version, number in wanted.numbers.items():
        if not number:
            numbers[version] = _create(engine, store, model, version)
    tags = {str(item.version): item.tags for item in _all_versions(store, model)}
    for version, stage in wanted.stages.items():
        number = numbers[version]
        if tags.get(number, {}).get(TAG_STAGE) != str(stage):
            store.set_model_version_tag(model, number, TAG_STAGE, str(stage))
    for alias in ALIASES:
        holder = wanted.aliases.get(alias)
        if holder is None:
            if alias in shown:
                store.delete_registered_model_alias(model, alias)
        elif shown.get(alias) != numbers[holder]:
            store.set_registered_model_alias(model, alias, numbers[holder])


def _registered_model(store: mlflow.MlflowClient, model: str) -> dict[str, str]:
    try:
        found = store.get_registered_model(model)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_DOES_NOT_EXIST):
            raise
        store.create_registered_model(model)
        return {}
    return {alias: str(number) for alias, number in found.aliases.items()}


def _all_versions(store: mlflow.MlflowClient, model: str) -> list[Any]:
    found: list[Any] = []
    token = None
    while True:
        page = store.search_model_versions(f"name='{model}'", max_results=500, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _create(engine: Engine, store: mlflow.MlflowClient, model: str, version: str) -> str:
    with reading(engine) as connection:
        row = repository.find(connection, model, version)
    assert row is not None  # versions are never deleted
    made = store.create_model_version(
        model,
        source=row.tags.get(TAG_SOURCE) or row.uri,
        run_id=row.run_id or None,
        description=row.description or None,
        tags=_tags(row),
        await_creation_for=0,
    )
    number = str(made.version)
    with engine.begin() as connection:
        if repository.set_mlflow_version(connection, model, version, number):
            return number
        kept = repository.find(connection, model, version)
    # Another process made it in the same moment: this one is surplus.
    store.delete_model_version(model, number)
    assert kept is not None
    return kept.mlflow_version


def _tags(row: ModelVersion) -> dict[str, str]:
    failed = ", ".join(gate.name for gate in row.failed_gates)
    return {
        TAG_VERSION: row.version,
        TAG_STAGE: str(row.stage),
        TAG_GATES: f"failed: {failed}" if failed else "passed",
    }
