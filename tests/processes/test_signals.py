from __future__ import annotations

import os
import signal
import threading

import pytest

from serinus.processes.signals import on_signal


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_on_signal_sets_the_event(number: signal.Signals) -> None:
    before = {item: signal.getsignal(item) for item in (signal.SIGTERM, signal.SIGINT)}
    stop = threading.Event()
    try:
        on_signal(stop)
        os.kill(os.getpid(), number)
        assert stop.wait(5)
    finally:
        for item, handler in before.items():
            signal.signal(item, handler)
