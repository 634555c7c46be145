"""Faces over an installation of their own, one a test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api.running import Faces, running

from serinus.registry import tracking
from serinus.store.engine import migrate, open_engine


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with both databases migrated: that takes seconds, once."""
    home = tmp_path_factory.mktemp("home")
    engine = open_engine(f"sqlite:///{home / 'serinus.db'}")
    migrate(engine)
    engine.dispose()
    tracking.client(f"sqlite:///{home / 'mlflow.db'}").search_experiments()
    return home


@pytest.fixture
def faces(template: Path, tmp_path: Path) -> Iterator[Faces]:
    """Running faces of an empty installation."""
    home = tmp_path / "home"
    shutil.copytree(template, home)
    with running(home) as started:
        yield started
