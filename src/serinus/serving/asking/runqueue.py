"""How long this thread has waited for a core: a busy machine's doing, and not that of what it runs.

Linux tells it of each thread, in nanoseconds. Elsewhere nothing is known, and nothing is taken off.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress

_PATH = "/proc/thread-self/schedstat"
_LONGEST = 64


class _File:
    """What the kernel tells of the thread that opened it; closed with the object."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._descriptor: int | None = None
        with suppress(OSError):
            self._descriptor = os.open(_PATH, os.O_RDONLY)

    @property
    def is_own(self) -> bool:
        """Whether this process opened it: a forked one's tells of its parent."""
        return self._process == os.getpid()

    def seconds(self) -> float:
        if self._descriptor is None:
            return 0.0
        try:
            # Time on a core, time waiting for one, number of turns.
            return int(os.pread(self._descriptor, _LONGEST, 0).split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0

    def __del__(self) -> None:
        # A forked process may have closed its copy, and the number may be another file's by now.
        if self._descriptor is not None and self.is_own:
            os.close(self._descriptor)


class _Told(threading.local):
    """The open file of each thread, which goes with the thread.

    An object of its own, since ``__del__`` here would be that of the whole, not of each thread's.
    """

    def __init__(self) -> None:
        self._file = _File()

    def seconds(self) -> float:
        if not self._file.is_own:
            self._file = _File()
        return self._file.seconds()


_told = _Told()


def waited_seconds() -> float:
    """Seconds that the calling thread has waited for a core since it began; 0 where unknown."""
    return _told.seconds()
