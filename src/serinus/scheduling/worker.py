"""Runs jobs, each in a process of its own, so that time-out, cancel and kill are real."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, BinaryIO, Literal, TypeAlias, cast

import msgspec
from sqlalchemy.exc import DBAPIError

from serinus import clock
from serinus.scheduling.child import Message, Task
from serinus.scheduling.jobs import Jobs
from serinus.scheduling.types import Job

_POLL_SECONDS = 0.25
_PROGRESS_SECONDS = 0.5
_RENEWALS_PER_LEASE = 4
_READ_BYTES = 65_536
_PARTING_SECONDS = 5.0

Settlement: TypeAlias = Callable[[Job, str], bool]
"""What is to be done about a job in the end, given the job and its holder."""


class Worker:
    """Claims jobs and runs them until it is told to stop.

    Args:
        jobs: where work comes from.
        name: unique among running workers.
        handlers_factory: ``module:function`` that each job's process calls for its handlers.
        factory_args: keyword arguments of that function, in plain JSON.
        kinds: only jobs of these kinds; None is any.
        limit_per_kind: at most so many of a kind at a time, over all workers.
        slots: jobs that this worker runs at a time.
        timeout_seconds: a job that runs longer is killed and failed.
    """

    def __init__(
        self,
        jobs: Jobs,
        name: str,
        handlers_factory: str,
        factory_args: Mapping[str, Any],
        *,
        kinds: Sequence[str] | None = None,
        limit_per_kind: Mapping[str, int] | None = None,
        slots: int = 1,
        timeout_seconds: float = 6 * 3600.0,
    ) -> None:
        self._jobs = jobs
        self._name = name
        self._factory = handlers_factory
        self._arguments = dict(factory_args)
        self._kinds = kinds
        self._limits = limit_per_kind
        self._slots = slots
        self._timeout = timeout_seconds

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set; what still runs then is killed and given back."""
        others = [
            threading.Thread(target=self._serve, args=(f"{self._name}/{slot}", stop))
            for slot in range(1, self._slots)
        ]
        for thread in others:
            thread.start()
        self._serve(f"{self._name}/0", stop)
        for thread in others:
            thread.join()

    def _serve(self, holder: str, stop: threading.Event) -> None:
        while not stop.is_set():
            # One process is always ready, its modules loaded, before there is a job for it.
            with Child(self._factory) as child:
                died = not self._serve_one(child, holder, stop)
            if died:
                # Whatever kills it while it loads would kill the next one at once.
                stop.wait(_POLL_SECONDS * 10)

    def _serve_one(self, child: Child, holder: str, stop: threading.Event) -> bool:
        """Wait for a job and run it; False if the waiting process died before there was one."""
        while not stop.is_set() and not child.dead:
            try:
                job = self._jobs.claim(holder, self._kinds, self._limits)
                if job is not None:
                    self._do(job, child, holder, stop)
                    return True
                stop.wait(_POLL_SECONDS)
            except DBAPIError:
                # The database is away: leases run out meanwhile, and nobody loses a job by it.
                stop.wait(_POLL_SECONDS * 10)
        return False

    def _do(self, job: Job, child: Child, holder: str, stop: threading.Event) -> None:
        """Run one job to its end, or until it must not go on."""
        lease = Lease(self._jobs, job, holder)
        task = Task(
            factory=self._factory,
            arguments=self._arguments,
            job=job,
            lease_seconds=self._jobs.lease_seconds,
        )
        child.begin(task)
        settle = self._attend(child, lease, stop)
        child.kill()
        # Only now, with the process gone, may anyone else have the job.
        lease.settle(settle)

    def _attend(self, child: Child, lease: Lease, stop: threading.Event) -> Settlement:
        """Stay with the process until it ends or must; what is then to be done about its job."""
        deadline = clock.monotonic() + self._timeout
        while not child.ended:
            for message in child.listen(_POLL_SECONDS):
                if message.kind == "progress":
                    lease.progress = message.text
                    continue
                child.part(self._jobs.lease_seconds / _RENEWALS_PER_LEASE)
                if message.kind == "result":
                    return partial(self._jobs.finish, result=message.result)
                return partial(self._jobs.fail, error=message.text, retry=message.retry)
            if stop.is_set():
                return self._jobs.release
            if clock.monotonic() > deadline:
                text = f"it ran longer than {self._timeout:g} seconds and was killed"
                return partial(self._jobs.fail, error=text, retry=False)
            if lease.due:
                renewed = lease.renew()
                if renewed == "lost":
                    return _nothing
                if renewed == "held":
                    child.reassure()
        return partial(self._jobs.fail, error=child.epitaph, retry=True)


def _nothing(_job: Job, _holder: str) -> bool:
    """What is to be done about a job that is lost: it is another's, or cancelled."""
    return False


class Lease:
    """A worker's hold on a job, renewed well before it ends."""

    def __init__(self, jobs: Jobs, job: Job, holder: str) -> None:
        self._jobs = jobs
        self._job = job
        self._holder = holder
        self._told = self.progress = ""
        self._renewed = clock.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to renew, or there is progress to tell."""
        age = clock.monotonic() - self._renewed
        news = self.progress != self._told and age > _PROGRESS_SECONDS
        return news or age > self._jobs.lease_seconds / _RENEWALS_PER_LEASE

    def renew(self) -> Literal["held", "lost", "unknown"]:
        """Renew it; it may be lost: cancelled, held by another by now, or the database away."""
        asked = clock.monotonic()
        try:
            held = self._jobs.heartbeat(self._job, self._holder, self.progress)
        except DBAPIError:
            return "unknown" if self._lasts else "lost"
        self._renewed, self._told = asked, self.progress
        return "held" if held else "lost"

    def settle(self, settlement: Settlement) -> None:
        """Do what is to be done about the job, trying as long as it can still be done."""
        while True:
            try:
                settlement(self._job, self._holder)
                return
            except DBAPIError:
                if not self._lasts:
                    return  # the job runs again, elsewhere
            clock.sleep(_POLL_SECONDS)

    @property
    def _lasts(self) -> bool:
        return clock.monotonic() - self._renewed < self._jobs.lease_seconds


class Child:
    """A process that waits for one job and runs it.

    Leaving the ``with`` block kills it and all that it started.
    """

    def __init__(self, factory: str) -> None:
        self._factory = factory
        self._unread = b""
        self.ended = False

    def __enter__(self) -> Child:
        self._messages, theirs = os.pipe()
        # Not select(): a process with many connections has descriptors beyond what that can take.
        self._arrivals = select.poll()
        self._arrivals.register(self._messages, select.POLLIN)
        self._process = subprocess.Popen(
            # Without the working directory among the places of modules: it may hold a ``queue.py``.
            [sys.executable, "-P", "-m", "serinus.scheduling.child", str(theirs), self._factory],
            stdin=subprocess.PIPE,
            pass_fds=[theirs],
            start_new_session=True,
            bufsize=0,
        )
        os.close(theirs)
        self._input = cast(BinaryIO, self._process.stdin)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        os.close(self._messages)
        self._input.close()

    @property
    def dead(self) -> bool:
        """Whether the process has ended."""
        return self._end() is not None

    def begin(self, task: Task) -> None:
        """Give the process its job."""
        self._send(msgspec.json.encode(task) + b"\n")

    def listen(self, seconds: float) -> Iterator[Message]:
        """Messages as they come, waiting at most so long for the first."""
        if not self._arrivals.poll(1e3 * seconds):
            # A process it forked may hold the pipe open beyond its death.
            self.ended = self._end() is not None
            return
        found = os.read(self._messages, _READ_BYTES)
        self.ended = not found
        *lines, self._unread = (self._unread + found).split(b"\n")
        for line in lines:
            yield msgspec.json.decode(line, type=Message)

    def reassure(self) -> None:
        """Tell the process that the job is still its own."""
        self._send(b".")

    def part(self, seconds: float) -> None:
        """Let a process that has told its result leave in peace, for so long at most."""
        deadline = clock.monotonic() + min(seconds, _PARTING_SECONDS)
        while self._end() is None and clock.monotonic() < deadline:
            clock.sleep(0.01)

    @property
    def epitaph(self) -> str:
        """How a process ended that told no result."""
        self.part(_PARTING_SECONDS)
        end = self._end()
        if end is None:
            return "its process fell silent"
        if end.si_code == os.CLD_EXITED:
            return f"its process ended with code {end.si_status} and without a result"
        return f"its process was killed by {signal.Signals(end.si_status).name}"

    def kill(self) -> None:
        """Kill the process and all it started; again is nothing."""
        if self._process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _end(self) -> os.waitid_result | None:
        # Looked at but not collected: until kill() its number cannot become another process's.
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)

    def _send(self, text: bytes) -> None:
        with suppress(BrokenPipeError):  # it has ended; listening will tell
            self._input.write(text)
