from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from tests.api.running import Faces
from tests.serving.runtimes import wild

from serinus import wire
from serinus.app import isolation
from serinus.errors import NotFound
from serinus.registry import environments
from serinus.registry.types import Candidate


def registered(faces: Faces, folder: Path, count: int = 1) -> None:
    wild.save(folder, wild.wild(), wild.REGRESSION)
    for _ in range(count):
        candidate = Candidate(uri=str(folder), manifest=wild.REGRESSION, model_type="regression")
        faces.app.registry.register(candidate)


def finished(home: Path, name: str) -> environments.Environment:
    """An environment as a builder leaves it, two hours ago, but for what would be in it."""
    folder = home / environments.FOLDER / name
    python = environments.interpreter(folder)
    python.parent.mkdir(parents=True)
    python.touch()
    made = environments.Environment(str(folder), "3.11.7", ("pandas",), 5)
    record = folder / "environment.json"
    record.write_bytes(msgspec.json.encode(made))
    os.utime(record, (0, 0))
    return made


def test_isolate_a_registered_version(faces: Faces, tmp_path: Path) -> None:
    registered(faces, tmp_path / "m")
    told: list[str] = []

    made = isolation.isolate(faces.app, "wild", "1.0.0", told.append, with_environment=False)

    assert made.form == "process"
    assert (tmp_path / "m" / wire.PACKAGE_FILE).exists()
    assert told


def test_isolate_a_version_that_is_not_there(faces: Faces) -> None:
    with pytest.raises(NotFound):
        isolation.isolate(faces.app, "wild", "1.0.0", print, with_environment=False)


def test_environments_in_use_are_those_that_any_version_names(
    faces: Faces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "_PAGE", 2)
    home = faces.app.settings.home
    used, unused = finished(home, "aaaa"), finished(home, "bbbb")
    for name in ("one", "two", "three"):
        registered(faces, tmp_path / name, 1)
    package = wire.Package(form="process", python=used.python)
    (tmp_path / "one" / wire.PACKAGE_FILE).write_bytes(msgspec.json.encode(package))

    assert isolation.listing(faces.app) == [(used, True), (unused, False)]
    assert isolation.prune(faces.app, remove=False) == [unused]
    assert Path(unused.folder).exists()
    assert isolation.prune(faces.app, remove=True) == [unused]
    assert isolation.listing(faces.app) == [(used, True)]
    assert not Path(unused.folder).exists()
