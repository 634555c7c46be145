from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.processes import supervising

from serinus import clock
from serinus.errors import InvalidInput, Unavailable
from serinus.processes import lifeline
from serinus.processes import supervisor as supervision
from serinus.processes.supervisor import Program, Supervisor


def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until the condition holds."""
    deadline = clock.monotonic() + seconds
    while not condition():
        assert clock.monotonic() < deadline
        clock.sleep(0.02)


def pids(folder: Path, name: str) -> list[int]:
    """The ids that processes of a name left behind, in the order of their births."""
    found = sorted(folder.glob(f"{name}.*"), key=lambda path: path.stat().st_mtime_ns)
    return [int(path.suffix[1:]) for path in found]


def alive(pid: int) -> bool:
    """Whether the process runs (one that ended and was not collected does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def program(name: str, folder: Path, **more: object) -> Program:
    """One of the small programs."""
    command = [sys.executable, str(supervising.PROGRAMS), name, str(folder)]
    return Program(name, command, **more)  # type: ignore[arg-type]


@pytest.fixture
def started(tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Starts a supervisor in a process of its own and waits until all is ready."""

    def start(*names: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, supervising.__file__, str(tmp_path), *names]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        eventually((tmp_path / "started").exists)
        return process

    return start


def test_killed_child_is_restarted_and_what_it_left_is_gone(
    started: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    process = started("parent", "plain")
    (first,), (grandchild,), (other,) = (
        pids(tmp_path, name) for name in ("parent", "grandchild", "plain")
    )

    os.kill(first, signal.SIGKILL)

    eventually(lambda: len(pids(tmp_path, "grandchild")) == 2)
    assert not alive(grandchild)
    assert alive(pids(tmp_path, "parent")[-1])
    assert pids(tmp_path, "plain") == [other]
    process.terminate()
    assert process.wait(20) == 0
    assert not any(
        alive(pid) for name in ("parent", "grandchild", "plain") for pid in pids(tmp_path, name)
    )


def test_killed_supervisor_leaves_no_orphan(
    started: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    process = started("plain", "another")
    children = pids(tmp_path, "plain") + pids(tmp_path, "another")
    assert all(map(alive, children))

    process.kill()
    process.wait(10)

    eventually(lambda: not any(map(alive, children)))


def test_interrupt_stops_everything(
    started: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    process = started("plain")

    process.send_signal(signal.SIGINT)

    assert process.wait(20) == 0
    assert not alive(pids(tmp_path, "plain")[0])


def test_deaf_child_is_killed_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "STOP_SECONDS", 0.3)
    stop = threading.Event()
    supervisor = Supervisor([program("deaf", tmp_path)], stop)
    with pytest.raises(Unavailable, match="deaf"):
        supervisor.start(seconds=2)
    (pid,) = pids(tmp_path, "deaf")
    assert alive(pid)

    supervisor.end()

    assert not alive(pid)


def test_refusal_of_settings_is_not_tried_again(tmp_path: Path) -> None:
    supervisor = Supervisor(
        [program("refusing", tmp_path), program("plain", tmp_path)], threading.Event()
    )
    try:
        with pytest.raises(InvalidInput, match="the refusing process"):
            supervisor.start(seconds=30)
    finally:
        supervisor.end()

    assert len(pids(tmp_path, "refusing")) == 1
    assert supervisor.processes == {}


def test_program_waits_for_what_it_needs(tmp_path: Path) -> None:
    stop = threading.Event()
    supervisor = Supervisor(
        [program("plain", tmp_path), program("after", tmp_path, after=["plain"])], stop
    )
    try:
        assert supervisor.start(seconds=30)
        (first,) = tmp_path.glob("plain.*")
        (second,) = tmp_path.glob("after.*")
        assert first.stat().st_mtime_ns < second.stat().st_mtime_ns
        assert set(supervisor.processes) == {"plain", "after"}
    finally:
        supervisor.end()


def test_stop_while_starting_is_heeded(tmp_path: Path) -> None:
    stop = threading.Event()
    supervisor = Supervisor([program("silent", tmp_path)], stop)
    threading.Timer(0.3, stop.set).start()
    try:
        assert supervisor.start(seconds=30) is False
    finally:
        supervisor.end()


def test_program_that_dies_again_and_again_waits_longer(tmp_path: Path) -> None:
    stop = threading.Event()
    marks = tmp_path / "marks"
    command = ["sh", "-c", f"echo x >> {marks}; exit 1"]
    supervisor = Supervisor([Program("dying", command)], stop)
    try:
        with pytest.raises(Unavailable):
            supervisor.start(seconds=1.9)
    finally:
        supervisor.end()

    # After 0.2, 0.4 and 0.8 seconds: four starts fit, a loop without pauses would make dozens.
    assert 2 <= len(marks.read_text().split()) <= 4


def test_program_that_had_come_up_is_back_soon_however_often_it_dies(tmp_path: Path) -> None:
    stop = threading.Event()
    command = ["sh", "-c", f"echo {lifeline.READY}; sleep 0.1; exit 1"]
    supervisor = Supervisor([Program("killed", command)], stop)
    try:
        assert supervisor.start(seconds=20)
        threading.Thread(target=supervisor.run, daemon=True).start()
        (child,) = supervisor._children
        eventually(lambda: child.failures >= 5)
        assert child.pause == supervision._LONGEST_PAUSE_OF_ABLE
    finally:
        stop.set()
        supervisor.end()
