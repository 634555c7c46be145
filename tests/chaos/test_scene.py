"""Copies of a scene go their own ways."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import delete, func, select

from serinus.chaos import exact, scene
from serinus.chaos.databases import Files
from serinus.store import schema


def test_what_happens_to_a_copy_does_not_touch_the_scene(tmp_path: Path) -> None:
    start = scene.prepare(tmp_path / "start", Files(), exact.scripts(0)[1])
    copy = start.copy(tmp_path / "copy")
    counted = select(func.count()).select_from(schema.deployments)
    with copy.engine() as engine, engine.begin() as connection:
        assert connection.scalar(counted) == 1
        connection.execute(delete(schema.deployments))
    with start.engine() as engine, engine.begin() as connection:
        assert connection.scalar(counted) == 1
