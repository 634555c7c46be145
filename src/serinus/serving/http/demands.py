"""What a request's headers demand beside its body: an arm or a version, a time to answer in."""

from __future__ import annotations

import re
from typing import NamedTuple

from serinus.errors import InvalidInput
from serinus.serving.http.exchange import ARM, TIMEOUT, Exchange
from serinus.wire import Arm

SHORTEST_TIMEOUT_MS = 1
_VERSION = re.compile(rb"[0-9][0-9A-Za-z.+-]{0,63}")


class Demand(NamedTuple):
    """Who is demanded, and how many seconds the client waits; None is no demand."""

    arm: Arm | str | None
    seconds: float | None


def of(exchange: Exchange) -> Demand:
    """What a request demands.

    Raises:
        InvalidInput: there is no such arm, or the time is none.
    """
    chosen, waits = exchange.header(ARM), exchange.header(TIMEOUT)
    return Demand(
        None if chosen is None else arm(chosen), None if waits is None else seconds(waits)
    )


def arm(value: bytes) -> Arm | str:
    """The arm that a header names, or the version.

    Raises:
        InvalidInput: it names neither.
    """
    if value == b"champion":
        return Arm.CHAMPION
    if value == b"challenger":
        return Arm.CHALLENGER
    if _VERSION.fullmatch(value):
        return value.decode()
    raise InvalidInput(
        f"there is no arm {value.decode('latin-1')[:50]!r}",
        where=ARM.decode(),
        remedy="Send champion, challenger or a version that is being served, or leave it out.",
    )


def seconds(value: bytes) -> float:
    """The seconds that a header's milliseconds are.

    Raises:
        InvalidInput: it is no time to wait.
    """
    if not value.isdigit() or len(value) > 9 or int(value) < SHORTEST_TIMEOUT_MS:
        raise InvalidInput(
            f"{value.decode('latin-1')[:50]!r} is no time to wait",
            where=TIMEOUT.decode(),
            remedy="Send whole milliseconds, at least 1.",
        )
    return int(value) / 1e3
