"""One loaded version and the rows that wait for it: when they are answered, and in which thread.

A version is called by one thread at a time. Cheap calls run in the event loop itself, because a
change of threads costs as much as a small model; the others run in the lane's own thread, where
rows that arrive meanwhile wait and share the next call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from serinus import clock
from serinus.serving.asking import runqueue
from serinus.serving.asking.breaker import Breaker, silent
from serinus.serving.protocols import answers
from serinus.serving.runtimes import probes
from serinus.serving.runtimes.cached import CachedRuntime
from serinus.serving.runtimes.types import Runtime
from serinus.serving.threads import Hand
from serinus.serving.types import Features, Outcome

MAX_CALL_ROWS = 1_024
INLINE_SECONDS = 0.004
CHALLENGER_INLINE_SECONDS = 0.001
"""What a challenger's call may delay the answers of champions by."""
PATIENT_CALLS, PATIENT_SECONDS = 3.0, 0.002
"""A lane leaves a rival at work to itself for so many calls of its own, and so long beyond."""
SLOW_SECONDS = 0.050
PROVING_CALLS = 100
TIMEOUT = "timeout"
_TRIALS = 3
_NEWEST = 0.05
"""The weight of the newest call in what a row is expected to cost."""
# A model that calls exit() must not end its worker.
_MODEL_FAULTS = (Exception, SystemExit)

Answered = Callable[[list[Outcome], float], None]


class Called(NamedTuple):
    """What came of a call.

    ``seconds`` are those by the clock; ``own`` are what is held against the version: of one that
    does nothing but reckon the processor's time, of others those by the clock without what the
    thread waited for a core. So a busy machine, which makes all rows of one call late together,
    tells nothing against either of two versions.
    """

    outcomes: list[Outcome]
    seconds: float
    own: float


class Round:
    """What lanes that are compared have in common: ``until`` when the rows came of this round.

    In nanoseconds of ``time.perf_counter_ns``.
    """

    __slots__ = ("until",)

    def __init__(self) -> None:
        self.until = 0


class Lane:
    """A loaded version, ready to be called.

    ``busy`` is whether its thread is at work, ``stuck`` whether that has taken too long already;
    ``pending`` rows were given to it and are not settled; ``used_at`` is when it last answered.
    ``rivals`` are the lanes that share live traffic with it, to be compared with it, and ``round``
    is the one that they are all in.

    Args:
        version: its version.
        runtime: the loaded version itself.
        loop: the event loop that all calls come from.
        timeout_seconds: how long one call may take.
        freed: called in the loop whenever the lane's thread has become free.
        remembered_rows: how many answers are not asked for again.
        tripped: called in the loop whenever the version's circuit has changed.
    """

    def __init__(
        self,
        version: str,
        runtime: Runtime,
        loop: asyncio.AbstractEventLoop,
        *,
        timeout_seconds: float,
        freed: Callable[[], None],
        remembered_rows: int = 0,
        tripped: Callable[[], None] = silent,
    ) -> None:
        self.version = version
        self.runtime = runtime
        self.class_names = answers.class_names(runtime.manifest)
        self.busy = False
        self.stuck = False
        self.is_champion = False
        self.breaker = Breaker(changed=tripped)
        self.pending = 0
        self.used_at = clock.monotonic()
        self.rivals: tuple[Lane, ...] = ()
        self.round = Round()
        self._loop = loop
        self._timeout = timeout_seconds
        self._freed = freed
        self._tripped = tripped
        self._memory = CachedRuntime(runtime, remembered_rows) if remembered_rows else None
        self._uses_memory = True
        self._hand = Hand(loop, f"model {runtime.manifest.model} {version}")
        self._unproven = PROVING_CALLS
        self._call_seconds = 0.0
        self._row_seconds = 0.0
        self._called_at = 0.0
        self._called_rows = 0

    def measure(self) -> None:
        """Learn what a call costs, from the fastest of a few; to be called before any traffic."""
        one, many = (self._fastest(rows) for rows in (1, 64))
        self._row_seconds = max(many - one, 0.0) / 63
        self._call_seconds = max(one - self._row_seconds, 0.0)

    def trust(self) -> None:
        """Take the version as proven: as the champion it has nothing that could replace it."""
        self._unproven = 0
        self._take_role(is_champion=True)

    def mistrust(self) -> None:
        """Take note that it is the champion no more, and that others come before it."""
        self._take_role(is_champion=False)

    def remember(self, *, allowed: bool) -> None:
        """Whether answers may come from memory.

        Not during a deployment: a cold memory would make a challenger look slow.
        """
        self._uses_memory = allowed

    def _take_role(self, *, is_champion: bool) -> None:
        if self.is_champion is not is_champion:
            self.breaker = Breaker(self.breaker.rules, self._tripped)
        self.is_champion = is_champion

    def expected_seconds(self, rows: int) -> float:
        """How long a call with so many rows takes, as far as is known."""
        return self._call_seconds + rows * self._row_seconds

    def is_inline(self, rows: int) -> bool:
        """Whether a call with so many rows may run in the event loop."""
        if not self._is_cheap(rows):
            return False
        # Those that are compared are called alike, or the place would make the difference.
        return not self.rivals or all(rival._is_cheap(rows) for rival in self.rivals)

    def wait_seconds(self, now: float) -> float:
        """For how long it leaves a rival to itself that is at work in its thread.

        Two calls beside each other make both look slow, and most of all the one that is asked
        less often. It waits no longer than the rival's call would reasonably take by itself.

        Args:
            now: in seconds of ``time.perf_counter``.
        """
        waits = [
            rival._called_at
            + PATIENT_CALLS * self.expected_seconds(rival._called_rows)
            + PATIENT_SECONDS
            - now
            for rival in self.rivals
            if rival.busy
        ]
        return max(0.0, *waits) if waits else 0.0

    def answer_here(self, rows: Sequence[Features]) -> tuple[list[Outcome], float]:
        """Call the version in the event loop; the outcomes, and the seconds of its own."""
        called = _timed(self._asked, rows)
        self._learn(called.seconds)
        return called.outcomes, called.own

    def answer_aside(self, rows: Sequence[Features], answered: Answered) -> None:
        """Call the version in its own thread; ``answered`` is called in the loop, once.

        After the time-out it is called with that as each row's outcome, and the lane is stuck
        until the call returns after all: a thread cannot be stopped. Rows for a stuck lane have
        to be answered elsewhere.
        """
        self.busy = True
        started = self._called_at = time.perf_counter()
        self._called_rows = len(rows)

        def done(result: Called | None, error: Exception | None) -> None:
            late = self.stuck
            self.busy = self.stuck = False
            timer.cancel()
            # The rows of a late call were given up when their time was over.
            if not late and result is not None:
                self._learn(result.seconds)
                self._relearn_cost(result.seconds, len(rows))
                answered(result.outcomes, result.own)
            elif not late:
                answered([reason(error)] * len(rows), time.perf_counter() - started)
            self._freed()

        def expire() -> None:
            self.stuck = True
            self._unproven = PROVING_CALLS
            answered([TIMEOUT] * len(rows), time.perf_counter() - started)

        timer = self._loop.call_later(self._timeout, expire)
        self._hand.run(lambda: _timed(self._asked, rows), done)

    @property
    def _asked(self) -> Runtime:
        if self._memory is not None and self._uses_memory:
            return self._memory
        return self.runtime

    def close(self) -> None:
        """Let the thread go; calls under way still finish."""
        self._hand.close()
        self.runtime.close()

    def _is_cheap(self, rows: int) -> bool:
        limit = INLINE_SECONDS if self.is_champion else CHALLENGER_INLINE_SECONDS
        steady = self.runtime.is_steady
        return steady and self._unproven == 0 and self.expected_seconds(rows) <= limit

    def _learn(self, seconds: float) -> None:
        self.used_at = clock.monotonic()
        if seconds > SLOW_SECONDS:
            self._unproven = PROVING_CALLS
        elif self._unproven:
            self._unproven -= 1

    def _relearn_cost(self, seconds: float, rows: int) -> None:
        # Only of calls aside: a pause of the machine must not drive a cheap model out of the loop.
        each = max(seconds - self._call_seconds, 0.0) / rows
        self._row_seconds += _NEWEST * (each - self._row_seconds)

    def _fastest(self, rows: int) -> float:
        tried = probes.probe_rows(self.runtime.manifest, rows)
        return min(_timed(self.runtime, tried).seconds for _ in range(_TRIALS))


class LaneApart(Lane):
    """A lane that is never called in the event loop: what it answers, production must not feel."""

    def is_inline(self, rows: int) -> bool:
        """Never."""
        return False


def reason(error: BaseException | None) -> str:
    """An exception in a few words, for events and answers."""
    text = str(error).strip().split("\n", 1)[0]
    return f"{type(error).__name__}: {text}"[:200]


def _timed(runtime: Runtime, rows: Sequence[Features]) -> Called:
    """A call. Rows that a model cannot answer together are tried one by one."""
    steady = runtime.is_steady
    before = time.thread_time() if steady else runqueue.waited_seconds()
    started = time.perf_counter()
    try:
        outcomes = runtime.answer(rows)
        if len(outcomes) != len(rows):
            outcomes = [f"{len(outcomes)} answers to {len(rows)} rows"] * len(rows)
    except _MODEL_FAULTS as error:
        outcomes = [reason(error)] if len(rows) == 1 else _one_by_one(runtime, rows)
    seconds = time.perf_counter() - started
    if steady:
        return Called(outcomes, seconds, time.thread_time() - before)
    waited = runqueue.waited_seconds() - before
    return Called(outcomes, seconds, max(0.0, seconds - waited))


def _one_by_one(runtime: Runtime, rows: Sequence[Features]) -> list[Outcome]:
    """One client's row must not fail the rows of others."""
    outcomes: list[Outcome] = []
    for row in rows:
        try:
            outcomes += runtime.answer([row])
        except _MODEL_FAULTS as error:
            outcomes.append(reason(error))
    return outcomes
