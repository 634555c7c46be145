from __future__ import annotations

import signal
import subprocess
import sys

SCRIPT = """
import sys, threading
from serinus.processes import lifeline
from serinus.processes.signals import on_signal
stop = threading.Event()
on_signal(stop)
lifeline.GRACE_SECONDS = 0.3
lifeline.hold()
assert threading.active_count() == 1 or "open" not in sys.argv
lifeline.ready()
if "deaf" in sys.argv:
    stop.wait = lambda: threading.Event().wait(600)
stop.wait()
print("in good order")
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_ready_is_said_and_the_end_of_input_stops_in_good_order() -> None:
    with start("open") as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "serinus ready\n"
        assert child.poll() is None
        out, _ = child.communicate(timeout=20)

    assert out == "in good order\n"
    assert child.returncode == 0


def test_child_of_a_supervisor_that_is_gone_already_stops() -> None:
    child = start()
    assert child.stdin is not None
    child.stdin.close()
    child.stdin = None
    out, _ = child.communicate(timeout=20)

    assert out.endswith("in good order\n")


def test_child_that_hangs_is_killed() -> None:
    child = start("deaf")
    out, _ = child.communicate(timeout=20)

    assert "good order" not in out
    assert child.returncode == -signal.SIGKILL
