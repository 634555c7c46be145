"""The only place that reads the clock. Times are UTC; naive times are refused."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from serinus.errors import InvalidInput


def now() -> datetime:
    """The present moment, aware and in UTC."""
    return datetime.now(UTC)


def epoch_us() -> int:
    """Microseconds since 1970-01-01 UTC, as events carry them."""
    return time.time_ns() // 1_000


def monotonic() -> float:
    """Seconds on a clock that never jumps; only differences mean anything."""
    return time.monotonic()


def processor() -> float:
    """Seconds that this process has computed, in all its threads; others do not count."""
    return time.process_time()


def sleep(seconds: float) -> None:
    """Wait for ``seconds``; for loops and tests that have no event to wait on."""
    time.sleep(seconds)


def from_epoch_us(microseconds: int) -> datetime:
    """The aware UTC time of an event's microseconds."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC)


def to_epoch_us(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC of an aware time.

    Raises:
        InvalidInput: the time has no zone.
    """
    return round(require_aware(moment).timestamp() * 1e6)


def require_aware(moment: datetime) -> datetime:
    """The same moment in UTC.

    Raises:
        InvalidInput: the time has no zone, so it could mean any of 38 moments.
    """
    if moment.tzinfo is None:
        raise InvalidInput(
            f"the time {moment.isoformat()} has no time zone",
            remedy="Give times with an offset, such as 2026-01-31T12:00:00Z.",
        )
    return moment.astimezone(UTC)
