"""Two undisturbed runs come to the same: nothing is left to chance."""

from __future__ import annotations

from pathlib import Path

import pytest

from serinus.chaos import course, exact, scene
from serinus.chaos.databases import Files
from serinus.chaos.lockstep import perform

pytestmark = pytest.mark.timeout(300)


def test_runs_of_one_script_are_alike_and_those_of_another_are_not(tmp_path: Path) -> None:
    script = exact.scripts(0)[1]
    start = scene.prepare(tmp_path / "start", Files(), script)
    first, second = (perform(start.copy(tmp_path / name), script) for name in "ab")
    assert course.differences(first.course, second.course) == []
    assert first.exact
    assert first.faults == []
    other = perform(start.copy(tmp_path / "c"), exact.scripts(5)[1])
    assert other.course.digest != first.course.digest
