"""A circuit breaker: whether a version that has somebody to stand in for it is asked at all. Pure.

Only failures count that the one who stood in could answer: what fails both is no fault of one.
Whether a circuit is open is looked at before a request draws its arm, so that requests without a
choice are evidence for neither.

Closed, it counts; once at least ``ROWS`` rows within ``WINDOW_SECONDS`` failed by half or more, it
opens; after ``REST_SECONDS`` it lets probes through, of which a failure opens it again (for twice
as long, up to a limit) and ``PROBES`` successes close it.
"""

from __future__ import annotations

from enum import StrEnum

ROWS = 20
FAILING_SHARE = 0.5
WINDOW_SECONDS = 10.0
REST_SECONDS = 2.0
LONGEST_REST_SECONDS = 60.0
PROBES = 5


class Circuit(StrEnum):
    """What a breaker lets through: all, nothing, or a few to try."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """The breaker of one version in one worker. Times in seconds of one monotonic clock."""

    def __init__(self) -> None:
        self.circuit = Circuit.CLOSED
        self._good = self._bad = 0
        self._since = 0.0
        self._rest = REST_SECONDS
        self._asked = self._passed = 0

    def allows(self, now: float) -> bool:
        """Whether a row may be sent; an open circuit becomes half-open here when it has rested."""
        if self.circuit is Circuit.CLOSED:
            return True
        if self.circuit is Circuit.OPEN:
            if now - self._since < self._rest:
                return False
            self.circuit = Circuit.HALF_OPEN
            self._asked = self._passed = 0
            self._since = now
        elif now - self._since > self._rest:
            # Probes that never came back must not keep it half-open for ever.
            self._asked = self._passed
            self._since = now
        return self._asked < PROBES

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
        if now - self._since > WINDOW_SECONDS:
            self._good = self._bad = 0
            self._since = now
        self._good += good
        self._bad += bad
        rows = self._good + self._bad
        if bad and rows >= ROWS and self._bad >= FAILING_SHARE * rows:
            self._open(now)

    def _try(self, good: int, bad: int, now: float) -> None:
        if bad:
            self._rest = min(self._rest * 2, LONGEST_REST_SECONDS)
            self._open(now)
            return
        self._passed += good
        if self._passed >= PROBES:
            self.circuit = Circuit.CLOSED
            self._rest = REST_SECONDS
            self._good = self._bad = 0
            self._since = now

    def _open(self, now: float) -> None:
        self.circuit = Circuit.OPEN
        self._since = now
        self._good = self._bad = 0
