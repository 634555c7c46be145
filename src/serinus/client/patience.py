"""How long one waits for a control plane that is away, as while it restarts, and for which calls.

A call may be sent again if nobody can have heard it, or if it does no more when it arrives twice.
"""

from __future__ import annotations

import logging
from typing import Any

import httpx

from serinus import clock
from serinus.client.calls import Call
from serinus.errors import Unavailable

RESTART_SECONDS = 10.0
"""A control plane that was killed is back within seconds."""

# For who waits for a deployment's end, a machine that starts anew may take its time.
_OUTAGE_SECONDS = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 1.0
# Who waits longer than for a hiccup wants to know what for.
_SILENT_SECONDS = 0.5
UNHEARD = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""With these, no byte of a call was sent."""

_OF_A_PROXY = (502, 503, 504)

_log = logging.getLogger(__name__)


def unanswered(answer: httpx.Response) -> bool:
    """Whether only a proxy answered, for a server behind it that is away; ours say what is wrong.

    Whether that server heard the call is not known.
    """
    kind = answer.headers.get("content-type", "")
    return answer.status_code in _OF_A_PROXY and not kind.startswith("application/problem+json")


class Attempts:
    """The attempts at one call.

    Args:
        call: which. The gateway's are sent once: its callers have deadlines of their own, and
            whoever asks for health is told how it is now.
        seconds: that the call may take, all attempts together.
        patience: seconds from the first on after which none begins any more.
    """

    def __init__(self, call: Call[Any], seconds: float, patience: float) -> None:
        self._call = call
        self._told = False
        self._began = clock.monotonic()
        self._end = clock.monotonic() + seconds
        self._last = clock.monotonic() + min(seconds, patience)
        self._pause = _FIRST_PAUSE
        self._may_wait = call.plane == "control" and not call.probes

    @property
    def seconds(self) -> float:
        """What is left for the next attempt."""
        return max(self._end - clock.monotonic(), _FIRST_PAUSE)

    def pause_after(self, outcome: httpx.TransportError | httpx.Response) -> float | None:
        """Seconds to rest before the next attempt; None if this was the last."""
        if isinstance(outcome, httpx.Response) and not unanswered(outcome):
            return None
        harmless = isinstance(outcome, UNHEARD) or self._call.repeatable
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
        now = clock.monotonic()
        if not (self._may_wait and harmless and now + pause <= self._last):
            return None
        self._told = self._told or _tell(now - self._began, self._last - now)
        return pause


class Outage:
    """Until when looks may fail; before the first answer not at all, since nobody may be there.

    Args:
        deadline: by the monotonic clock, after which looking ends anyway.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._answered = self._told = False
        self._began = 0.0
        self._end: float | None = None

    def patience(self, own: float) -> float:
        """Seconds for which the next look is tried again, by a client with a patience of its own.

        It is for the first answer; after that, looking again and again is patience enough.
        """
        return 0.0 if self._answered else max(0.0, min(own, self._deadline - clock.monotonic()))

    def end(self) -> None:
        """It answered: the next outage may take its full time."""
        self._answered, self._told, self._end = True, False, None

    def bear(self, error: Unavailable) -> None:
        """Return if looking may go on in spite of ``error``, else raise it."""
        now = clock.monotonic()
        if self._end is None:
            self._began, self._end = now, min(now + _OUTAGE_SECONDS, self._deadline)
        if not self._answered or now >= self._end:
            raise error
        self._told = self._told or _tell(now - self._began, self._end - now)


def _tell(waited: float, left: float) -> bool:
    """Say what is waited for, if it is no hiccup any more; whether it was said."""
    if waited < _SILENT_SECONDS:
        return False
    _log.warning(
        "The control plane does not answer; it is tried for %d s more.", max(1, round(left))
    )
    return True
