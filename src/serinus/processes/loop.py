"""A thread that does one thing again and again, rests when idle, and can say how it is."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from serinus.client.types import Part

log = structlog.get_logger(__name__)

# After a fault the loop waits at least this long, twice as long each time, up to the longest: what
# was away and is back must not be waited for any longer than a restart takes.
_FAULT_SECONDS = 0.5
_LONGEST_FAULT_SECONDS = 1.0


class Loop:
    """One repeated step in a thread of its own.

    The pause doubles from ``shortest`` to ``longest`` while steps find nothing to do, and is
    ``shortest`` again as soon as one does, or when it is woken: quick under traffic, all but asleep
    without. The first pass is made at once.

    Args:
        name: what it is called in health reports and logs.
        step: one pass; whether there was something to do.
        stop: set when the process is about to end.
        shortest: seconds between passes that found something.
        longest: seconds between passes that found nothing for a while.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], bool],
        stop: threading.Event,
        *,
        shortest: float,
        longest: float,
    ) -> None:
        self.name = name
        self._step = step
        self._stop = stop
        self._shortest = shortest
        self._longest = max(longest, shortest)
        self._faults = 0
        self._fault = ""
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Let the next pass begin now: something is known to have changed."""
        self._woken.set()

    def join(self, seconds: float) -> None:
        """Wait until the loop saw the stop signal and ended, at most ``seconds``."""
        if self._thread.ident is not None:
            self.wake()
            self._thread.join(seconds)

    def part(self) -> Part:
        """The loop's health: failing while its last pass failed, or when its thread is gone."""
        if not self._thread.is_alive():
            return Part(self.name, "failing", "it does not run")
        return Part(self.name, "failing" if self._fault else "ok", self._fault)

    def _run(self) -> None:
        pause = self._shortest
        while not self._stop.is_set():
            # Before the pass, so that what changes during it is looked at in another one.
            self._woken.clear()
            try:
                busy = self._step()
            except Exception as error:
                # Whatever a pass raises, the next one may succeed: the store may come back.
                self._faults += 1
                self._fault = f"{type(error).__name__}: {error}"
                log.exception("a pass failed", loop=self.name, times=self._faults)
                pause = min(_FAULT_SECONDS * 2 ** (self._faults - 1), _LONGEST_FAULT_SECONDS)
            else:
                self._faults, self._fault = 0, ""
                pause = self._shortest if busy else min(2 * pause, self._longest)
            if self._woken.wait(pause):
                pause = self._shortest
