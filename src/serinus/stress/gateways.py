"""A gateway of a proof's own: ``serinus gateway`` in a folder, on a free port."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from serinus import clock
from serinus.errors import Unavailable
from serinus.processes import ports
from serinus.settings import bare_environment
from serinus.stress import proc

HOST = "127.0.0.1"
READY_SECONDS = 60.0
STOP_SECONDS = 20.0


@dataclass(frozen=True)
class Gateway:
    """A running gateway."""

    port: int
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def workers(self) -> list[int]:
        """The process ids of its workers."""
        return proc.children(self.process.pid)

    def tracebacks(self) -> int:
        """How often its log tells of an exception that nobody expected."""
        return self.log.read_bytes().count(b"Traceback (most recent call last)")


@contextmanager
def running(home: Path, *, workers: int, settings: Mapping[str, object]) -> Iterator[Gateway]:
    """A gateway that runs for as long as the block; ``home`` has its routing table.

    Raises:
        Unavailable: it did not become ready; with the end of its log.
    """
    port = ports.free(HOST)
    command = [sys.executable, "-m", "serinus", "--home", str(home)]
    for name, value in settings.items():
        command += ["--set", f"{name}={value}"]
    command += ["gateway", "--workers", str(workers), "--gateway-port", str(port)]
    path = home / "gateway.log"
    with path.open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=bare_environment()
        )
    gateway = Gateway(port, path, process)
    try:
        _await_ready(gateway)
        yield gateway
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_revision(port: int, revision: int) -> None:
    """Wait until a routing table is in force in a gateway of one worker, and all of it is loaded.

    Raises:
        Unavailable: it is not after a long time.
    """
    deadline = clock.monotonic() + READY_SECONDS
    url = f"http://{HOST}:{port}/health"
    while clock.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            told = msgspec.json.decode(answer.read())
            if told["revision"] == revision and not told["loading"]:
                return
        clock.sleep(0.05)
    raise Unavailable(f"routing table {revision} is not in force, or not all of it is loaded")


def _await_ready(gateway: Gateway) -> None:
    deadline = clock.monotonic() + READY_SECONDS
    url = f"http://{HOST}:{gateway.port}/health/ready"
    while clock.monotonic() < deadline and gateway.process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        clock.sleep(0.05)
    raise Unavailable(
        "the gateway did not become ready",
        where=str(gateway.log),
        faults=[gateway.log.read_text(errors="replace")[-2_000:]],
    )
