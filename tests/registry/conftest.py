"""An MLflow store of each test's own: making one is slow, copying one is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import mlflow
import pytest
from sqlalchemy import Engine

from serinus.registry import tracking
from serinus.registry.service import Registry


@pytest.fixture
def tracking_uri(mlflow_template: Path, tmp_path: Path) -> str:
    """The address of a fresh MLflow store on SQLite."""
    path = tmp_path / "mlflow.db"
    shutil.copyfile(mlflow_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def registry(engine: Engine, tracking_uri: str, tmp_path: Path) -> Registry:
    """A registry on a database of each kind."""
    return Registry(engine, tracking_uri, tmp_path / "artifacts")


@pytest.fixture
def store(tracking_uri: str) -> mlflow.MlflowClient:
    """MLflow's own view of the test's store."""
    return tracking.client(tracking_uri)
