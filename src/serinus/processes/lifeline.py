"""The thread between a supervisor and its children: neither outlives what it must not outlive.

The child's standard input is a pipe that the supervisor holds open. However the supervisor ends,
the kernel closes it, the child reads the end of file and stops. Upwards, one line on standard
output says that the child is ready.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from serinus import clock

READY = "serinus ready"
# How long a child may take to stop in good order once nobody looks after it.
GRACE_SECONDS = 5.0


def hold() -> None:
    """Stop this process when the supervisor is gone: in good order first, then at once."""
    threading.Thread(target=_watch, name="lifeline", daemon=True).start()


def ready() -> None:
    """Tell the supervisor that this process does its work now."""
    sys.stdout.write(READY + "\n")
    sys.stdout.flush()


def _watch() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    clock.sleep(GRACE_SECONDS)
    # Still here: whatever hangs must not keep the port.
    os.killpg(os.getpgid(0), signal.SIGKILL)
