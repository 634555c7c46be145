"""The record of a control process's strikes: a file of lines that outlives each of its lives."""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Literal

import msgspec

from serinus import clock
from serinus.chaos.types import Note

_LINES = msgspec.json.Decoder(Note)


def note(path: str, kind: Literal["began", "resumed", "struck"], point: str = "") -> None:
    """Add a line in one write, so that a process killed just behind it has told."""
    line = msgspec.json.encode(Note(kind, clock.monotonic(), os.getpid(), point)) + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def read(path: str | Path) -> list[Note]:
    """All lines so far; none of a file that is not there yet."""
    with suppress(FileNotFoundError):
        return [_LINES.decode(line) for line in Path(path).read_bytes().splitlines()]
    return []


def strikes(notes: list[Note]) -> list[str]:
    """The points at which somebody was struck, in that order."""
    return [line.point for line in notes if line.kind == "struck"]


def absences(notes: list[Note]) -> list[tuple[float, float]]:
    """After each strike, the seconds until a successor began, and until one had resumed its work.

    A successor that was struck before it had done anything counts to the absence of the first.
    """
    found = []
    struck: float | None = None
    began: float | None = None
    for line in notes:
        if line.kind == "struck" and struck is None:
            struck, began = line.at, None
        elif line.kind == "began" and struck is not None and began is None:
            began = line.at
        elif line.kind == "resumed" and struck is not None and began is not None:
            found.append((began - struck, line.at - struck))
            struck = None
    return found


def lives(notes: list[Note]) -> list[float]:
    """The seconds from one strike to the next."""
    struck = [line.at for line in notes if line.kind == "struck"]
    return [later - earlier for earlier, later in pairwise(struck)]
