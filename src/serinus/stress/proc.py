"""What the kernel tells of processes under ``/proc``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from serinus.errors import Unavailable

_PROC = Path("/proc")


def children(pid: int) -> list[int]:
    """The processes that ``pid`` has started and that are still there, in ascending order.

    Raises:
        Unavailable: this system has no ``/proc`` that tells it.
    """
    tasks = _PROC / "self" / "task"
    if not any(tasks.glob("*/children")):
        raise Unavailable(
            "processes cannot be looked at on this system",
            where=str(tasks),
            remedy="Run this proof on Linux.",
        )
    found: set[int] = set()
    for path in (_PROC / str(pid) / "task").glob("*/children"):
        with suppress(OSError):
            found.update(map(int, path.read_text().split()))
    return sorted(found)


def words(pid: int) -> list[str]:
    """The command line of a process; nothing for one that is gone or has ended."""
    with suppress(OSError):
        return (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    return []


def memory(pid: int) -> int:
    """The bytes of memory that a process has for itself (not of files); 0 if it is gone."""
    with suppress(OSError):
        for line in (_PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0
