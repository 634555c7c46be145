"""Starts processes, waits until they are ready, restarts what dies, stops them all.

A child runs in a session of its own, so that Ctrl-C reaches the supervisor alone and stopping is
orderly; whatever a dead child left behind in its session is killed before it is started again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

import structlog

from serinus import clock
from serinus.errors import InvalidInput, Unavailable
from serinus.processes import lifeline

log = structlog.get_logger(__name__)

READY_SECONDS = 60.0
STOP_SECONDS = 6.0
# A child that lived this long has earned a fresh start of the pauses between restarts, and so has
# one that lived so much longer than the last pause: to wait for it again costs next to nothing.
_STEADY_SECONDS = 30.0
_STEADY_PAUSES = 20
_SHORTEST_PAUSE = 0.2
_LONGEST_PAUSE = 15.0
# One that had come up before it died can work: what killed it is not in its start.
_LONGEST_PAUSE_OF_ABLE = 0.3
_TICK_SECONDS = 0.1
_PROBE_SECONDS = 2.0


@dataclass(frozen=True)
class Program:
    """What to run under which name.

    ``probe`` is an address that answers once the program is ready; without one, the program
    itself says so (see :mod:`serinus.processes.lifeline`). ``after`` names what must be ready
    before it is first started.
    """

    name: str
    command: Sequence[str]
    probe: str = ""
    after: Sequence[str] = ()


@dataclass
class Child:
    """One program's present process."""

    program: Program
    process: subprocess.Popen[bytes] | None = None
    ready: threading.Event = field(default_factory=threading.Event)
    started: float = 0.0
    restart_at: float = 0.0
    pause: float = _LONGEST_PAUSE
    failures: int = 0

    def start(self) -> None:
        """Run the program; its standard input is the lifeline."""
        self.ready = threading.Event()
        self.started = clock.monotonic()
        self.process = subprocess.Popen(
            self.program.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        threading.Thread(
            target=_listen, args=(self.process.stdout, self.ready), daemon=True
        ).start()

    @property
    def code(self) -> int | None:
        """The exit code of the process, None while it runs or before it was started."""
        return None if self.process is None else self.process.poll()

    def signal(self, number: int) -> None:
        """Send the process a signal, if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def sweep(self) -> None:
        """Kill whatever is left in the process's session."""
        if self.process is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def _listen(pipe: IO[bytes], ready: threading.Event) -> None:
    """Note the child's one word, and pass on whatever else it prints to standard error."""
    try:
        for line in pipe:
            if line.decode(errors="replace").strip() == lifeline.READY:
                ready.set()
            else:
                sys.stderr.write(line.decode(errors="replace"))
    except ValueError:
        pass  # the pipe was closed because the child is over


class Supervisor:
    """Looks after some programs until it is told to stop.

    Args:
        programs: what to run.
        stop: set (by a signal handler, usually) to end everything.
    """

    def __init__(self, programs: Sequence[Program], stop: threading.Event) -> None:
        self._children = [Child(program) for program in programs]
        self._stop = stop

    @property
    def processes(self) -> dict[str, int]:
        """The process ids of what runs now, by name."""
        return {
            child.program.name: child.process.pid
            for child in self._children
            if child.process is not None and child.process.poll() is None
        }

    def start(self, *, seconds: float = READY_SECONDS) -> bool:
        """Start everything and wait until all are ready; False if told to stop meanwhile.

        Raises:
            InvalidInput: a program refused what it was given; its own message says why.
            Unavailable: something was not ready in time.
        """
        deadline = clock.monotonic() + seconds
        while not all(child.ready.is_set() for child in self._children):
            if self._stop.is_set():
                return False
            self._look()
            self._refuse_bad_input()
            self._probe()
            if clock.monotonic() > deadline:
                waiting = [c.program.name for c in self._children if not c.ready.is_set()]
                raise Unavailable(
                    f"not ready after {seconds:g} seconds: {', '.join(waiting)}",
                    remedy="The log lines above say what they are waiting for.",
                )
            self._stop.wait(_TICK_SECONDS)
        return True

    def run(self) -> None:
        """Restart whatever dies until told to stop."""
        while not self._stop.wait(_TICK_SECONDS):
            self._look()

    def end(self) -> None:
        """Ask everything to stop, kill what does not within a few seconds, leave nothing behind."""
        for child in self._children:
            child.signal(signal.SIGTERM)
        deadline = clock.monotonic() + STOP_SECONDS
        while self.processes and clock.monotonic() < deadline:
            clock.sleep(0.05)
        for name, pid in self.processes.items():
            log.warning("killed, it did not stop in time", name=name, pid=pid)
        for child in self._children:
            child.sweep()

    def _look(self) -> None:
        ready = {child.program.name for child in self._children if child.ready.is_set()}
        for child in self._children:
            if child.process is None:
                if ready.issuperset(child.program.after):
                    child.start()
            elif child.code is not None:
                self._revive(child)

    def _probe(self) -> None:
        for child in self._children:
            if child.program.probe and not child.ready.is_set() and child.code is None:
                with (
                    suppress(OSError),
                    urllib.request.urlopen(child.program.probe, timeout=_PROBE_SECONDS),
                ):
                    child.ready.set()

    def _revive(self, child: Child) -> None:
        now = clock.monotonic()
        if not child.restart_at:
            steady = now - child.started > min(_STEADY_SECONDS, _STEADY_PAUSES * child.pause)
            child.failures = 1 if steady else child.failures + 1
            longest = _LONGEST_PAUSE_OF_ABLE if child.ready.is_set() else _LONGEST_PAUSE
            pause = min(_SHORTEST_PAUSE * 2 ** (child.failures - 1), longest)
            child.pause = pause
            child.restart_at = now + pause
            log.warning(
                "ended, will be restarted",
                name=child.program.name,
                code=child.code,
                pause_seconds=pause,
            )
            child.sweep()
        elif now >= child.restart_at:
            child.restart_at = 0.0
            child.start()

    def _refuse_bad_input(self) -> None:
        for child in self._children:
            if child.code == InvalidInput.exit_code:
                raise InvalidInput(
                    f"the {child.program.name} process refused its settings",
                    remedy="Its message above says what to change.",
                )
