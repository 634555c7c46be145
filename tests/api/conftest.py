"""Faces over an installation of their own, one a test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.api.running import Faces, running


@pytest.fixture
def faces(template: Path, tmp_path: Path) -> Iterator[Faces]:
    """Running faces of an empty installation."""
    home = tmp_path / "home"
    shutil.copytree(template, home)
    with running(home) as started:
        yield started
