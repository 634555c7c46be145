"""Where segments lie: ``folder/<writer>/<number>.log``, and what else is in a writer's folder."""

from __future__ import annotations

import os
from pathlib import Path

SUFFIX = ".log"
LOCK = "lock"
"""Held by a living writer with ``flock``, so that the kernel frees it however the writer ends."""
CLOSED = "closed"
"""Present once nothing more will be written there: readers need not look again."""


def path(folder: Path, writer: str, number: int) -> Path:
    """The file of a segment."""
    return folder / writer / f"{number:08d}{SUFFIX}"


def writers(folder: Path) -> list[str]:
    """The names of all writers that ever wrote there, in order; none if the folder is missing."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if _is_writer(entry.name))
    except FileNotFoundError:
        return []


def numbers(folder: Path, writer: str) -> list[int]:
    """The numbers of the segments that a writer's folder holds, in order."""
    try:
        names = [entry.name for entry in (folder / writer).iterdir()]
    except FileNotFoundError:
        return []
    return sorted(
        int(name.removesuffix(SUFFIX))
        for name in names
        if name.endswith(SUFFIX) and name.removesuffix(SUFFIX).isdecimal()
    )


def size(folder: Path, writer: str, number: int) -> int | None:
    """Bytes in a segment; None if it does not exist."""
    try:
        return path(folder, writer, number).stat().st_size
    except FileNotFoundError:
        return None


def changed_ns(folder: Path, writer: str) -> int:
    """When a file was last made in a writer's folder or taken away; 0 if there is no folder."""
    try:
        return (folder / writer).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def is_closed(folder: Path, writer: str) -> bool:
    """Whether nothing more will be written by this writer."""
    return (folder / writer / CLOSED).exists()


def _is_writer(name: str) -> bool:
    return len(name) == 8 and all(digit in "0123456789abcdef" for digit in name)
