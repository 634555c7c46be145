"""Watching deployments from afar: each in a line, and what comes when one of them changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from serinus.client.calls import Call, path_of
from serinus.client.foresight import Forecast


class Glance(msgspec.Struct, frozen=True):
    """One deployment in a line; ``requests`` are those that its newest verdict rests on."""

    id: str
    model: str
    champion: str | None
    challenger: str
    strategy: str
    phase: str
    step: int
    steps: tuple[str, ...]
    verdict: str
    reason: str
    requests: int
    requested_by: str
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None

    @property
    def live(self) -> bool:
        """Whether it still moves or holds traffic."""
        return self.ended_at is None

    @property
    def position(self) -> str:
        """Where it is, in words: ``shadow``, ``25 %`` or ``all traffic``."""
        return self.steps[min(self.step, len(self.steps) - 1)]


class Message(msgspec.Struct, frozen=True):
    """One server-sent event: its name, its data, and the id by which a stream goes on after it."""

    name: str
    data: bytes
    id: str = ""


def prognosis(id: str) -> Call[Forecast]:
    """How a live deployment's plan will go with the traffic of late; nothing changes."""
    return Call("GET", path_of("deployments", id, "forecast"), Forecast)


def messages(lines: Iterable[str]) -> Iterator[Message]:
    """The events of a stream of lines, as HTML's standard has it; comments are left out.

    A field without a space after its colon is taken as well; what has no data is no event.
    """
    name, last = "message", ""
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield Message(name, "\n".join(data).encode(), last)
            name, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            last = value
