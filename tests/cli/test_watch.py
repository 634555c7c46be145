"""`serinus deployments watch` over a real installation, as a process of its own."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from tests.api.running import MODEL, Faces
from tests.cli.calling import Answer, serinus

from serinus import clock
from serinus.cli.watch import away
from serinus.registry.types import Stage


@pytest.fixture
def canary(faces: Faces) -> tuple[Faces, str]:
    """A canary in its first live step."""
    faces.register("1.0.0", stage=Stage.PRODUCTION)
    faces.register("1.1.0")
    with faces.client as client:
        begun = client.deploy(MODEL, "1.1.0", shadow=False, shares=[0.5], min_requests=10)
    faces.report("1.0.0", "1.1.0")
    return faces, begun.id


def call(faces: Faces, *arguments: str) -> Answer:
    return serinus(*arguments, home=faces.app.settings.home, control=faces.url)


@contextmanager
def watching(faces: Faces, *arguments: str, **given: object) -> Iterator[subprocess.Popen[str]]:
    """The command in a session of its own."""
    command = [
        sys.executable, "-m", "serinus", "--home", str(faces.app.settings.home),
        "--set", f"control_port={urlsplit(faces.url).port}", "deployments", "watch", *arguments,
    ]  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **given}
    with subprocess.Popen(command, text=True, start_new_session=True, **pipes) as started:  # type: ignore[call-overload]
        try:
            yield started
        finally:
            started.kill()


def test_watch_writes_a_line_of_json_for_each_change(canary: tuple[Faces, str]) -> None:
    faces, begun = canary
    with watching(faces, begun, "--json") as watcher:
        assert watcher.stdout is not None
        first = json.loads(watcher.stdout.readline())
        faces.traffic(100, 100, failures=60)
        out, err = watcher.communicate(timeout=60)
    told = [json.loads(line) for line in out.splitlines()]
    assert first["deployment"]["phase"] == "running"
    assert told[-1]["deployment"]["phase"] == "rolled_back"
    assert told[-1]["verdict"]["outcome"] == "rollback"
    # Whoever waits for it in a script must not take a rollback for success.
    assert (watcher.returncode, err) == (1, "")


def test_watch_without_a_terminal_is_lines_and_ctrl_c_says_how_to_come_back(
    canary: tuple[Faces, str],
) -> None:
    faces, begun = canary
    # A model stands for its newest deployment.
    with watching(faces, MODEL) as watcher:
        assert watcher.stdout is not None
        assert watcher.stdout.readline().startswith("running at 50 %: ")
        os.kill(watcher.pid, signal.SIGINT)
        _, err = watcher.communicate(timeout=60)
    assert watcher.returncode == 130
    assert err.strip() == f"It goes on. Look again: serinus deployments watch {begun}"
    assert faces.app.delivery.get(begun).live


def test_watch_on_a_terminal_is_alive_and_leaves_the_last_picture(
    canary: tuple[Faces, str],
) -> None:
    faces, begun = canary
    ours, theirs = pty.openpty()
    with watching(faces, begun, stdout=theirs, env={**os.environ, "NO_COLOR": "1"}) as watcher:
        os.close(theirs)
        read(ours, "▶ 50 %")
        faces.traffic(100, 100, failures=60)
        last = read(ours, "serinus deployments show")
        watcher.wait(timeout=60)
    assert watcher.returncode == 1
    assert "rolled back" in last
    assert "evidence" in last
    assert "\x1b[3" not in last


def read(terminal: int, until: str, seconds: float = 60.0) -> str:
    """What a terminal shows until certain words come."""
    shown, deadline = "", clock.monotonic() + seconds
    while until not in shown:
        assert clock.monotonic() < deadline, shown
        if select.select([terminal], [], [], 0.5)[0]:
            shown += os.read(terminal, 65_536).decode(errors="replace")
    return shown


def test_watch_all_tells_of_each(canary: tuple[Faces, str]) -> None:
    faces, _ = canary
    with watching(faces, "--all") as watcher:
        assert watcher.stdout is not None
        assert watcher.stdout.readline().startswith(f"{MODEL} 1.1.0 running at 50 %")
        os.kill(watcher.pid, signal.SIGINT)
        _, err = watcher.communicate(timeout=60)
    assert "watch --all" in err


def test_watch_of_nobody_knows_says_what_there_is(faces: Faces) -> None:
    unknown, unclear = (
        call(faces, "deployments", "watch", *given) for given in (["nobody"], ["x", "--all"])
    )
    assert (unknown.code, unclear.code) == (2, 2)
    assert "neither a deployment nor a model" in unknown.err
    assert "--all" in unclear.err


def test_status_and_show_tell_all(canary: tuple[Faces, str]) -> None:
    faces, begun = canary
    faces.traffic(100, 100, failures=60)
    status = call(faces, "deployments", "status", MODEL)
    shown = call(faces, "deployments", "show", begun)
    assert "rolled back at 50 %" in status.out
    for words in ("harm", "Evidence", "History", "by controller", "by test"):
        assert words in shown.out


def test_away_says_since_when_and_that_it_is_no_harm() -> None:
    told = away(12.3, "no control plane answers")
    assert told.startswith("No word from the control plane for 12 s")
    assert "Gateways go on" in told
