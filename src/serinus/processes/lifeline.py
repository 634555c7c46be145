"""What ties a supervisor and its children: none of them is left behind by the other's death.

The child's standard input is a pipe that the supervisor holds open and never writes to. However
the supervisor ends, the kernel closes it and tells the child by a signal: no thread is needed,
so a child may still fork. Upwards, one line on standard output says that the child is ready.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
import threading
from types import FrameType

READY = "serinus ready"
# How long a child may take to stop in good order once nobody looks after it.
GRACE_SECONDS = 8.0


def hold() -> None:
    """Stop this process when its supervisor is gone; to be called by the main thread."""
    signal.signal(signal.SIGIO, _lost)
    source = sys.stdin.fileno()
    fcntl.fcntl(source, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(source, fcntl.F_SETFL, fcntl.fcntl(source, fcntl.F_GETFL) | os.O_ASYNC)
    # Readable can only mean closed. It may have been before anybody was listening.
    present = select.poll()  # Which, unlike select(), takes any descriptor.
    present.register(source, select.POLLIN)
    if present.poll(0):
        _lost(signal.SIGIO, None)


def ready() -> None:
    """Tell the supervisor that this process does its work now."""
    sys.stdout.write(READY + "\n")
    sys.stdout.flush()


def _lost(_number: int, _frame: FrameType | None) -> None:
    """Stop in good order; whatever hangs then must not keep its port."""
    os.kill(os.getpid(), signal.SIGTERM)
    last = threading.Timer(GRACE_SECONDS, os.killpg, (os.getpgid(0), signal.SIGKILL))
    last.daemon = True
    last.start()
