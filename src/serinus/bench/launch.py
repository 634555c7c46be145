"""Starts what is measured, each on the cores that it is given: servers, and the load on them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from serinus import clock
from serinus.bench import load
from serinus.errors import Unavailable
from serinus.settings import bare_environment

START_SECONDS = 60.0
STOP_SECONDS = 20.0

_PIN = (
    "import os, sys; os.sched_setaffinity(0, map(int, sys.argv[1].split(','))); "
    "os.execvp(sys.argv[2], sys.argv[2:])"
)


@dataclass(frozen=True)
class Cores:
    """Which cores of this machine serve, and which drive; the same one if there is but one."""

    server: int
    load: int

    @property
    def all(self) -> tuple[int, ...]:
        """Each once."""
        return tuple(sorted({self.server, self.load}))


@dataclass(frozen=True)
class Running:
    """A server that runs: where it listens, and the process that started it."""

    port: int
    pid: int

    def pause(self) -> None:
        """Stop all that belongs to it, where it is; it holds its memory and its port."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.killpg(self.pid, signal.SIGCONT)


def cores() -> Cores:
    """The first two cores that this process may use."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(0, 1)
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[0], usable[1 if len(usable) > 1 else 0])


def pinned(command: Sequence[str], on: Sequence[int]) -> list[str]:
    """A command kept to some cores, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        return list(command)
    return [sys.executable, "-c", _PIN, ",".join(map(str, on)), *command]


@contextmanager
def server(
    command: Callable[[int], Sequence[str]],
    on: Sequence[int],
    *,
    ready: str,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """A server that runs for as long as the block, with everything that it started.

    Args:
        command: of a port that is free.
        on: the cores that it may use.
        ready: the path that answers 200 once it serves.
        folder: that it is started in.
        environment: all of its variables; None for this process's own without settings.

    Raises:
        Unavailable: it did not start, with the end of what it wrote.
    """
    port = free_port()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            pinned(command(port), on),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            env=bare_environment() if environment is None else environment,
            process_group=0,
        )
        try:
            _await_start(process, f"http://127.0.0.1:{port}{ready}")
            yield Running(port, process.pid)
        except Unavailable as error:
            log.seek(0)
            error.faults = (*error.faults, log.read().decode(errors="replace")[-2_000:])
            raise
        finally:
            _end(process)


def drive(order: load.Order, core: int) -> load.Tally:
    """Carry out an order in a process of its own on a core.

    Raises:
        Unavailable: the server did not bear it.
    """
    done = subprocess.run(
        pinned([sys.executable, "-m", load.__name__], (core,)),
        input=msgspec.json.encode(order),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise Unavailable(
            "the load ended early", where=order.path, faults=[done.stderr.decode()[-2_000:]]
        )
    return msgspec.json.decode(done.stdout, type=load.Tally)


def free_port() -> int:
    """A port that nothing listened on a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def _await_start(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = clock.monotonic() + START_SECONDS
    while clock.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        clock.sleep(0.02)
    raise Unavailable("a server did not start", where=url)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end; then make sure of all that it started, which some servers leave behind."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGCONT)
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
    finally:
        # The group outlives its first process for as long as another is in it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
