"""Ending in good order when somebody asks for it."""

from __future__ import annotations

import signal
import threading
from types import FrameType


def on_signal(stop: threading.Event) -> None:
    """Set ``stop`` on SIGTERM and SIGINT; to be called by the main thread."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
