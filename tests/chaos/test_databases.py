"""Copies of a database go their own ways."""

from __future__ import annotations

from pathlib import Path

import pytest

from serinus.chaos import databases
from serinus.errors import Unavailable


def test_sqlite_lies_in_the_home(tmp_path: Path) -> None:
    with databases.opened("sqlite") as database:
        assert database.address(tmp_path) == f"sqlite:///{tmp_path}/serinus.db"
        database.copy(tmp_path, tmp_path / "other")


def test_a_missing_server_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "_PACKAGE", "no_such_package")
    with pytest.raises(Unavailable, match="PostgreSQL"), databases.postgresql():
        pass
