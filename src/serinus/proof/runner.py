"""Runs simulations on all cores, so that their figures depend on the seed and on nothing else.

Each run draws from a generator of its own, made from the seed, the trial's name and the run's
number. So any run can be repeated alone, and any number of processes gives the same figures.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import zlib
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from types import TracebackType
from typing import TypeAlias

import numpy as np
import threadpoolctl
from numpy.typing import NDArray

from serinus.proof.types import Trial

Floats: TypeAlias = NDArray[np.float64]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told a trial's name, how many of its runs are done, and how many there are."""

# Small enough for steady progress, large enough that passing results costs nothing.
_RUNS_AT_ONCE = 10


class Runner:
    """A pool of processes that lives for a whole proof. Use as a context manager.

    Args:
        seed: of every run.
        processes: how many; None for one a core. 0 runs here, in this process.
        progress: told after every few runs.
    """

    def __init__(
        self, seed: int, *, processes: int | None = None, progress: Progress | None = None
    ) -> None:
        self.seed = seed
        self._processes = _cores() if processes is None else processes
        self._progress = progress or _silent
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Runner:
        if self._processes:
            self._pool = ProcessPoolExecutor(
                self._processes,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            # After an interruption only what has begun is finished: less than a second.
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def run(self, trial: Trial, runs: int, *, name: str) -> Floats:
        """The figures of ``runs`` runs, shape (runs, figures).

        Args:
            trial: what to run.
            runs: how often.
            name: of the trial; it selects the streams, so that trials are independent.
        """
        parts = [
            range(start, min(start + _RUNS_AT_ONCE, runs))
            for start in range(0, runs, _RUNS_AT_ONCE)
        ]
        self._progress(name, 0, runs)
        if self._pool is None:
            done = []
            for part in parts:
                done.append(_some(trial, self.seed, name, part))
                self._progress(name, part.stop, runs)
            return np.concatenate(done)
        futures: list[Future[Floats]] = [
            self._pool.submit(_some, trial, self.seed, name, part) for part in parts
        ]
        found = []
        for part, future in zip(parts, futures, strict=True):
            found.append(future.result())
            self._progress(name, part.stop, runs)
        return np.concatenate(found)


def generator(seed: int, name: str, run: int) -> np.random.Generator:
    """What one run of one trial draws from."""
    key = (zlib.crc32(name.encode()), run)
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed, spawn_key=key)))


def _some(trial: Trial, seed: int, name: str, part: range) -> Floats:
    return np.stack([np.atleast_1d(trial(generator(seed, name, run))) for run in part])


def _start() -> None:
    # Ctrl-C reaches every process of the terminal; this one is ended by its parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # One process a core: more threads in each would only fight.
    threadpoolctl.threadpool_limits(1)


def _cores() -> int:
    # A container may be given fewer cores than there are; not every system can say so.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _silent(name: str, done: int, runs: int) -> None:
    """Nobody wants to know."""
