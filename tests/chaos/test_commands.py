"""What a person orders while the control plane dies of it happens once."""

from __future__ import annotations

import pytest

from serinus.chaos import commands, rollout
from serinus.chaos.commands import Walked

pytestmark = pytest.mark.timeout(300)


def test_repeated_commands_have_one_effect() -> None:
    found = commands.run("sqlite", one_in=12, seed=0)
    assert found.differences == []
    assert found.faults == []
    assert found.exact
    assert tuple(found.kills) == commands.COMMANDS
    assert sum(found.kills.values()) >= 2


@pytest.mark.parametrize(
    "walked",
    [
        Walked("x", {"pause": 3}, differences=["moves"]),
        Walked("x", {"pause": 3}, faults=["pause was refused when repeated"]),
        Walked("x", {"pause": 3}, exact=False),
        Walked("x", {"pause": 0}),
    ],
    ids=["differs", "refused", "unexact", "unharmed"],
)
def test_every_fault_of_a_command_breaks_a_bar(walked: Walked) -> None:
    held = Walked("x", {"pause": 3})
    assert all(bar.passed for bar in rollout._command_bars([held]))
    assert not all(bar.passed for bar in rollout._command_bars([walked]))
