from __future__ import annotations

from pathlib import Path

from tests.api.running import Faces
from tests.app.test_isolation import finished, registered
from tests.cli.calling import serinus

from serinus import wire


def test_package_in_a_process(faces: Faces, tmp_path: Path) -> None:
    registered(faces, tmp_path / "m")
    home = faces.app.settings.home

    answer = serinus("models", "package", "wild", "1.0.0", "--process", "--json", home=home)

    assert answer.code == 0, answer.err
    assert answer.json["form"] == "process"
    assert (tmp_path / "m" / wire.PACKAGE_FILE).exists()


def test_package_with_an_environment_of_a_model_that_does_not_say_what_it_needs(
    faces: Faces, tmp_path: Path
) -> None:
    registered(faces, tmp_path / "m")
    home = faces.app.settings.home

    answer = serinus("models", "package", "wild", "1.0.0", "--environment", home=home)

    assert answer.code == 2
    assert "does not say which packages it needs" in answer.err
    assert not (tmp_path / "m" / wire.PACKAGE_FILE).exists()


def test_environments_are_listed_and_pruned_when_told_to(faces: Faces) -> None:
    home = faces.app.settings.home
    made = finished(home, "aaaa")

    listed = serinus("models", "environments", home=home)
    assert (listed.code, "unused" in listed.out, "pandas" in listed.out) == (0, True, True)
    assert Path(made.folder).exists()
    gone = serinus("models", "environments", "--prune", "--yes", home=home)
    assert "1 environments, 0 MB: removed." in gone.out
    assert not Path(made.folder).exists()
