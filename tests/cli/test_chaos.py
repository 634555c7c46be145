"""The commands of chaos: their options, and what refuses them."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from serinus.cli.root import app

COMMANDS = ("rollout", "rollback", "leader", "clock", "disk", "database")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_there(command: str) -> None:
    told = CliRunner().invoke(app, ["chaos", command, "--help"])
    assert told.exit_code == 0
    assert "--seed" in told.output
    assert "--json" in told.output


@pytest.mark.parametrize("value", ["none", "0", "-3"])
def test_kills_are_at_all_writes_or_one_in_some(value: str) -> None:
    told = CliRunner().invoke(app, ["chaos", "rollout", "--kill-at", value])
    assert told.exit_code == 2
    assert "--kill-at" in told.output
