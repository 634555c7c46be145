"""A circuit breaker: whether a version that has somebody to stand in for it is asked at all. Pure.

Only failures count that the one who stood in could answer: what fails both is no fault of one.
Whether a circuit is open is looked at before a request draws its arm, so that requests without a
choice are evidence for neither.

Closed, it counts; once enough of the rows within its window failed, it opens; when it has rested
it lets probes through, of which a failure opens it again (for twice as long, up to a limit), and
which close it once enough of them succeeded.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from serinus.wire import BreakerRules

_MOST_DOUBLINGS = 30


class Circuit(StrEnum):
    """What a breaker lets through: all, nothing, or a few to try."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


def silent() -> None:
    """What is done when a circuit changes, where nobody asks for anything."""


class Breaker:
    """The breaker of one version in one worker. Times in seconds of one monotonic clock.

    ``rules`` may be replaced at any time: what was counted stays, and is judged by the new ones.

    Args:
        rules: when the circuit opens, and when it closes again.
        changed: called whenever it did either.
    """

    def __init__(
        self, rules: BreakerRules | None = None, changed: Callable[[], None] = silent
    ) -> None:
        self.rules = rules or BreakerRules()
        self.circuit = Circuit.CLOSED
        self._changed = changed
        self._good = self._bad = 0
        self._since = 0.0
        self._relapses = 0
        self._asked = self._passed = 0

    def allows(self, now: float) -> bool:
        """Whether a row may be sent; an open circuit becomes half-open here when it has rested."""
        if self.circuit is Circuit.CLOSED:
            return True
        if self.circuit is Circuit.OPEN:
            if now - self._since < self._rest:
                return False
            self._asked = self._passed = 0
            self._enter(Circuit.HALF_OPEN, now)
        elif now - self._since > self._rest:
            # Probes that never came back must not keep it half-open for ever.
            self._asked = self._passed
            self._since = now
        return self._asked < self.rules.probes

    def ask(self) -> None:
        """Take note that a row is being sent: of a half-open circuit, one probe less is left."""
        self._asked += 1

    def note(self, good: int, bad: int, now: float) -> None:
        """Count what became of rows that were sent."""
        if self.circuit is Circuit.OPEN:
            return
        if self.circuit is Circuit.HALF_OPEN:
            self._try(good, bad, now)
            return
        rules = self.rules
        if now - self._since > rules.window_seconds:
            self._good = self._bad = 0
            self._since = now
        self._good += good
        self._bad += bad
        rows = self._good + self._bad
        if bad and rows >= rules.rows and self._bad >= rules.failing_share * rows:
            self._enter(Circuit.OPEN, now)

    @property
    def _rest(self) -> float:
        doubled: float = self.rules.rest_seconds * 2 ** min(self._relapses, _MOST_DOUBLINGS)
        return min(doubled, self.rules.longest_rest_seconds)

    def _try(self, good: int, bad: int, now: float) -> None:
        if bad:
            self._relapses += 1
            self._enter(Circuit.OPEN, now)
            return
        self._passed += good
        if self._passed >= self.rules.probes:
            self._relapses = 0
            self._enter(Circuit.CLOSED, now)

    def _enter(self, circuit: Circuit, now: float) -> None:
        self.circuit = circuit
        self._since = now
        self._good = self._bad = 0
        self._changed()
