"""A registry on SQLite, with an MLflow store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from serinus.registry import tracking
from serinus.registry.service import Registry
from serinus.store.engine import open_engine


@pytest.fixture
def registry(mlflow_uri: str, _sqlite_template: Path, tmp_path: Path) -> Iterator[Registry]:
    """A registry on SQLite; its own rows are tested on both databases in tests/registry."""
    shutil.copyfile(_sqlite_template, tmp_path / "serinus.db")
    engine = open_engine(f"sqlite:///{tmp_path}/serinus.db")
    made = Registry(engine, mlflow_uri, tmp_path / "artifacts")
    yield made
    made.close()
    engine.dispose()


@pytest.fixture
def store(registry: Registry) -> mlflow.MlflowClient:
    """MLflow's own view of the registry's store."""
    return tracking.client(registry.tracking_uri)
