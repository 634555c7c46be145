"""Three controllers, one of which leads, in small: whoever dies, each move is made once."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from serinus.chaos import course, leader, scene
from serinus.chaos.databases import Files
from serinus.chaos.lockstep import perform

pytestmark = pytest.mark.timeout(300)


def test_whoever_leads_may_die_or_stand_still(tmp_path: Path) -> None:
    script = leader._scripts(0)[1]
    start = scene.prepare(tmp_path / "start", Files(), script)
    calm = perform(start.copy(tmp_path / "calm"), script)
    made = leader._disturbed(start.copy(tmp_path / "rough"), script, random.Random("0 0"))
    assert course.differences(calm.course, made.course) == []
    assert made.faults == []
    assert made.exact
    assert made.drill.died or made.drill.stood or made.drill.alone
