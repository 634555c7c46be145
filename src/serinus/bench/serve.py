"""The gateway beside a bare ASGI answerer, in one run: requests per second, latency, ratio.

One core for the servers and one for the load, servers taking turns, medians over the rounds:
what the machine does besides then meets all of them alike.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import msgspec

from serinus import clock
from serinus.bench import artifact, load, servers
from serinus.errors import InvalidInput, Unavailable

BARE = "bare ASGI"
WARM_UP_SECONDS = 0.5
START_SECONDS = 60.0


@dataclass(frozen=True)
class Served:
    """One server's medians over all rounds. Latencies in milliseconds; ``ratio`` to bare ASGI."""

    name: str
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    ratio: float
    requests: int
    refused: int


@dataclass(frozen=True)
class ServeReport:
    """What ``serinus bench serve`` found."""

    servers: tuple[Served, ...]
    rounds: int
    seconds: float
    connections: int
    cores: int

    def table(self) -> list[tuple[str, ...]]:
        """The figures as rows of text; the first row is the heading."""
        rows: list[tuple[str, ...]] = [("server", "requests/s", "p50 ms", "p99 ms", "of bare ASGI")]
        rows += [
            (
                item.name,
                f"{item.requests_per_second:,.0f}",
                f"{item.p50_ms:.2f}",
                f"{item.p99_ms:.2f}",
                f"{item.ratio:.2f}",
            )
            for item in self.servers
        ]
        return rows

    def __str__(self) -> str:
        return columns(self.table())

    def as_dict(self) -> dict[str, object]:
        """The figures as plain JSON."""
        return asdict(self)


def run(seconds: float = 3.0, rounds: int = 5, connections: int = 32) -> ServeReport:
    """Measure the gateway (one worker) and the bare answerer.

    Args:
        seconds: of load on each server in each round.
        rounds: how often each server has its turn.
        connections: that are open at a time, each with one request under way.

    Raises:
        InvalidInput: a number that makes no sense.
        Unavailable: a server did not start, or stopped answering.
    """
    for name, value in (("seconds", seconds), ("rounds", rounds), ("connections", connections)):
        if value <= 0:
            raise InvalidInput(f"it must be more than 0, not {value}", where=name)
    cores = _cores()
    with tempfile.TemporaryDirectory(prefix="serinus-bench-") as folder, ExitStack() as stack:
        home = Path(folder)
        body = artifact.make(home)
        gateway = stack.enter_context(_server(home, cores[0]))
        bare = stack.enter_context(_server(None, cores[0]))
        orders = {
            BARE: load.Order(bare, "/", body, connections, seconds),
            "gateway, champion alone": load.Order(
                gateway, f"/models/{artifact.ALONE}/predict", body, connections, seconds
            ),
            f"gateway, {artifact.CANARY_SHARE:.0%} canary": load.Order(
                gateway, f"/models/{artifact.CANARY}/predict", body, connections, seconds
            ),
        }
        for order in orders.values():
            _drive(msgspec.structs.replace(order, seconds=WARM_UP_SECONDS), cores[-1])
        tallies: dict[str, list[load.Tally]] = {name: [] for name in orders}
        for _ in range(rounds):
            for name, order in orders.items():
                tallies[name].append(_drive(order, cores[-1]))
    return ServeReport(summarise(tallies), rounds, seconds, connections, len(set(cores)))


def columns(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows of text in columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def summarise(tallies: dict[str, list[load.Tally]]) -> tuple[Served, ...]:
    """Medians by server; a ratio is the median of the ratios within each round."""
    return tuple(
        Served(
            name=name,
            requests_per_second=statistics.median(tally.per_second for tally in found),
            p50_ms=statistics.median(tally.p50_ms for tally in found),
            p99_ms=statistics.median(tally.p99_ms for tally in found),
            ratio=statistics.median(
                tally.per_second / bare.per_second
                for tally, bare in zip(found, tallies[BARE], strict=True)
            ),
            requests=sum(tally.answered for tally in found),
            refused=sum(tally.refused for tally in found),
        )
        for name, found in tallies.items()
    )


def _cores() -> tuple[int, ...]:
    """The core for the servers and the core for the load; the same one if there is but one."""
    if not hasattr(os, "sched_getaffinity"):
        return (0, 1)
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else (usable[0],)


def _pinned(command: Sequence[str], core: int) -> list[str]:
    """A command of this interpreter, kept to one core where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        return [sys.executable, "-m", *command]
    pin = (
        f"import os, runpy, sys; os.sched_setaffinity(0, {{{core}}}); "
        "sys.argv = sys.argv[1:]; runpy.run_module(sys.argv[0], run_name='__main__')"
    )
    return [sys.executable, "-c", pin, *command]


@contextmanager
def _server(home: Path | None, core: int) -> Iterator[int]:
    """A server that runs for as long as the block; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    order = servers.Order(port, str(home) if home else "")
    command = [servers.__name__, msgspec.json.encode(order).decode()]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(_pinned(command, core), stdout=log, stderr=log)
        try:
            _await_start(process, f"http://127.0.0.1:{port}/health/ready")
            yield port
        except Unavailable as error:
            log.seek(0)
            error.faults = (*error.faults, log.read().decode(errors="replace")[-2_000:])
            raise
        finally:
            process.terminate()
            process.wait(30)


def _await_start(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = clock.monotonic() + START_SECONDS
    while clock.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        clock.sleep(0.02)
    raise Unavailable("a server did not start", where=url)


def _drive(order: load.Order, core: int) -> load.Tally:
    done = subprocess.run(
        _pinned([load.__name__], core),
        input=msgspec.json.encode(order),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise Unavailable(
            "the load ended early", where=order.path, faults=[done.stderr.decode()[-2_000:]]
        )
    return msgspec.json.decode(done.stdout, type=load.Tally)
