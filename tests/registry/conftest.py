"""A registry on a database of each kind, with an MLflow store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from sqlalchemy import Engine

from serinus.registry import tracking
from serinus.registry.service import Registry


@pytest.fixture
def tracking_uri(mlflow_uri: str) -> str:
    """The address of a fresh MLflow store on SQLite."""
    return mlflow_uri


@pytest.fixture
def registry(engine: Engine, tracking_uri: str, tmp_path: Path) -> Iterator[Registry]:
    """A registry on a database of each kind."""
    made = Registry(engine, tracking_uri, tmp_path / "artifacts")
    yield made
    made.close()


@pytest.fixture
def store(tracking_uri: str) -> mlflow.MlflowClient:
    """MLflow's own view of the test's store."""
    return tracking.client(tracking_uri)
