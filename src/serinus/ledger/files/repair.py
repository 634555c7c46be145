"""Cuts the torn tails that killed writers left behind; called by whoever owns the folder at start.

A writer that lives holds the lock in its folder, so a live ledger is never touched.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from serinus.ledger import frames
from serinus.ledger.files import segments


def repair(folder: Path) -> int:
    """Truncate each dead writer's last segment behind its last whole frame, and close the writer.

    Returns:
        How many bytes were cut, over all writers. Doing it twice cuts nothing more.
    """
    return sum(
        _close_dead(folder, writer)
        for writer in segments.writers(folder)
        if not segments.is_closed(folder, writer)
    )


def _close_dead(folder: Path, writer: str) -> int:
    lock = os.open(folder / writer / segments.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return 0
    try:
        numbers = segments.numbers(folder, writer)
        cut = _truncate(segments.path(folder, writer, numbers[-1])) if numbers else 0
        (folder / writer / segments.CLOSED).touch()
        return cut
    finally:
        os.close(lock)


def _truncate(path: Path) -> int:
    data = memoryview(path.read_bytes())
    end = 0
    start: int | None = 0
    while start is not None:
        for frame in frames.scan(data, start):
            end = frame.end
        # A frame cut short is the tail; anything else may be damage with whole frames behind it.
        start = None if frames.is_cut_short(data, end) else frames.next_whole(data, end + 1)
    if end < len(data):
        os.truncate(path, end)
    return len(data) - end
