"""An end in good order: who is told to stop ends its processes first and takes its folders away."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_NUMBERS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def orderly() -> Iterator[None]:
    """Let SIGTERM and SIGINT end the block as an error would; only the first of them counts.

    To be used in the main thread. Every process and folder of a proof is a context manager's, so
    all of them go. The second signal of an impatient person must not leave half of them behind.

    Raises:
        SystemExit: one came; with the code that shells give to who died of it.
    """
    before = {number: signal.signal(number, _end) for number in _NUMBERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> None:
    for other in _NUMBERS:
        signal.signal(other, signal.SIG_IGN)
    raise SystemExit(128 + number)
