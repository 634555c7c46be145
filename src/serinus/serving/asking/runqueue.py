"""How long this thread has waited for a core: a busy machine's doing, and not that of what it runs.

Linux tells it of each thread, in nanoseconds. Elsewhere nothing is known, and nothing is taken off.
"""

from __future__ import annotations

import os
import threading

_PATH = "/proc/thread-self/schedstat"
_LONGEST = 64


class _Told(threading.local):
    """The open file of each thread; it tells of the thread that opened it."""

    def __init__(self) -> None:
        self._file: int | None = None
        self._process = 0

    def seconds(self) -> float:
        if self._process != os.getpid():
            self._open()
        if self._file is None:
            return 0.0
        try:
            # Time on a core, time waiting for one, number of turns.
            return int(os.pread(self._file, _LONGEST, 0).split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0

    def _open(self) -> None:
        # A forked process has its parent's file, which goes on telling of the parent.
        self._process = os.getpid()
        try:
            self._file = os.open(_PATH, os.O_RDONLY)
        except OSError:
            self._file = None

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)


_told = _Told()


def waited_seconds() -> float:
    """Seconds that the calling thread has waited for a core since it began; 0 where unknown."""
    return _told.seconds()
