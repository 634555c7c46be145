from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from serinus import clock
from serinus.client import Serinus
from serinus.errors import InvalidInput
from serinus.processes import control, ports
from serinus.settings import Settings


def test_taken_port_is_refused(tmp_path: Path) -> None:
    with ports.listen("127.0.0.1", 0, setting="control_port") as taken:
        settings = Settings(home=tmp_path, control_port=taken.getsockname()[1])
        with pytest.raises(InvalidInput, match="is taken"):
            control.run(settings)


def test_control_answers_and_stops_its_loops_in_order(tmp_path: Path) -> None:
    port = ports.free("127.0.0.1")
    command = [sys.executable, "-m", "serinus", "control", "--home", str(tmp_path)]
    process = subprocess.Popen(
        [*command, "--control-port", str(port), "--supervised"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "serinus ready\n"
        with Serinus(f"http://127.0.0.1:{port}") as client:
            health = client.health()
            assert {part.name: part.status for part in health.parts} == {
                "controller": "ok",
                "monitoring": "ok",
                "archive": "ok",
            }
        assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 200
    finally:
        began = clock.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert clock.monotonic() - began < 8
    assert "Traceback" not in err
    assert "control plane stopped" in err
