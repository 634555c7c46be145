"""The lock-step proof in small, on both databases: killed at some writes, it comes to the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from serinus.chaos import exact
from serinus.chaos.databases import Kind

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_killed_controllers_come_to_the_same(tmp_path: Path, kind: Kind) -> None:
    taken_back = exact.scripts(0)[1]
    [found] = exact.run(tmp_path, [kind], [taken_back], one_in=25)
    assert found.differences == []
    assert found.faults == []
    assert found.exact
    assert found.phase == "rolled_back"
    assert found.kills >= 2
