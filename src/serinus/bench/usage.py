"""What a running process uses, as the system counts it in ``/proc``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from serinus.errors import Unavailable

_PROC = Path("/proc")


@dataclass(frozen=True)
class Memory:
    """Resident bytes: all that a process sees, and its own share of what several see."""

    rss: int
    pss: int


def children(pid: int) -> tuple[int, ...]:
    """The processes that a process has started and that still run.

    Raises:
        Unavailable: there is no such process, or no ``/proc`` here.
    """
    try:
        threads = list((_PROC / str(pid) / "task").iterdir())
    except OSError as error:
        raise _unknown(pid, error) from error
    found: list[int] = []
    for thread in threads:
        # It may have ended since, without its process.
        with suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, (thread / "children").read_text().split())
    return tuple(found)


def family(pid: int) -> tuple[int, ...]:
    """A process and all that it and its own have started, as far as they still run.

    Raises:
        Unavailable: there is no such process, or no ``/proc`` here.
    """
    found = [pid]
    for child in children(pid):
        with suppress(Unavailable):
            found += family(child)
    return tuple(found)


def cpu_seconds(pids: Sequence[int]) -> float:
    """The processor time of processes so far, in seconds, the system's work for them included.

    Raises:
        Unavailable: one of them has ended.
    """
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0
    for pid in pids:
        try:
            # The second field is a name in brackets, which may hold blanks and brackets itself.
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        except OSError as error:
            raise _unknown(pid, error) from error
        total += int(fields[11]) + int(fields[12])
    return total / ticks


def memory(pid: int) -> Memory:
    """What a process holds in memory now.

    Raises:
        Unavailable: there is no such process, or the system does not tell.
    """
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError as error:
        raise _unknown(pid, error) from error
    found = {
        name: int(value.split()[0]) * 1024
        for name, _, value in (line.partition(":") for line in lines[1:])
    }
    return Memory(found["Rss"], found["Pss"])


def _unknown(pid: int, error: OSError) -> Unavailable:
    return Unavailable(
        f"the system does not tell what process {pid} uses ({error})",
        remedy="Measure on Linux; if it is, the process has ended.",
    )
