"""How many workers a gateway should have, by how busy those are that it has. Pure.

One more once they were busy for more than ``HIGH`` of some seconds; one less once one less would
have been busy for less than ``LOW`` of a minute. Up fast, down slowly: a worker too many costs a
little memory, one too few costs answers.
"""

from __future__ import annotations

HIGH = 0.75
LOW = 0.5
UP_SECONDS = 3.0
DOWN_SECONDS = 60.0


class Scaler:
    """Decides for one gateway.

    Args:
        least: workers that there always are.
        most: workers that there are at most.
    """

    def __init__(self, least: int, most: int) -> None:
        self._least = least
        self._most = max(least, most)
        self._wanted = least
        self._high_since: float | None = None
        self._low_since: float | None = None

    @property
    def wanted(self) -> int:
        """How many there should be now."""
        return self._wanted

    def note(self, busy: list[float], now: float) -> int:
        """Take note of the share of a core that each worker used lately; how many are wanted.

        Args:
            busy: by worker, 1 is a whole core.
            now: seconds of a monotonic clock.
        """
        if len(busy) != self._wanted:
            self._high_since = self._low_since = None  # one is on its way, up or down
            return self._wanted
        load = sum(busy)
        self._high_since = _since(self._high_since, now, holds=load > HIGH * self._wanted)
        self._low_since = _since(self._low_since, now, holds=load < LOW * (self._wanted - 1))
        if self._held(self._high_since, now, UP_SECONDS) and self._wanted < self._most:
            self._wanted += 1
        elif self._held(self._low_since, now, DOWN_SECONDS) and self._wanted > self._least:
            self._wanted -= 1
        return self._wanted

    @staticmethod
    def _held(since: float | None, now: float, seconds: float) -> bool:
        return since is not None and now - since >= seconds


def _since(before: float | None, now: float, *, holds: bool) -> float | None:
    if not holds:
        return None
    return now if before is None else before
