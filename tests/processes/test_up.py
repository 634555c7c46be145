from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serinus.errors import InvalidInput
from serinus.processes import ports, up
from serinus.settings import Settings


def test_programs_get_what_was_given_and_nothing_else(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, gateway_port=18080)

    made = up.programs(settings, {"home": str(tmp_path), "gateway_port": 18080})

    assert [program.name for program in made] == ["control", "gateway", "worker"]
    for program in made:
        assert program.command[:3] == [sys.executable, "-m", "serinus"]
        assert program.command[3:7] == [
            "--set",
            f"home={tmp_path}",
            "--set",
            "gateway_port=18080",
        ]
        assert program.command[7:] == [program.name, "--supervised"]
    assert made[1].probe == "http://127.0.0.1:18080/health/live"


@pytest.mark.parametrize("setting", ["control_port", "gateway_port"])
def test_taken_port_is_told_before_anything_is_started(
    tmp_path: Path, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_arguments: object, **_options: object) -> None:
        raise AssertionError("something was started")

    monkeypatch.setattr(subprocess, "Popen", start)
    with ports.listen("127.0.0.1", 0, setting=setting) as taken:
        given = {"control_port": ports.free("127.0.0.1"), "gateway_port": ports.free("127.0.0.1")}
        given[setting] = taken.getsockname()[1]
        with pytest.raises(InvalidInput) as refusal:
            up.run(Settings(home=tmp_path / "home", **given), given)

    assert refusal.value.where == setting
