"""Watching deployments from afar: each in a line, and what comes when one of them changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from serinus.client.calls import Call, listing, path_of
from serinus.client.foresight import Forecast
from serinus.client.types import DeploymentStatus, Page, percent, step_name


class Glance(msgspec.Struct, frozen=True):
    """One deployment in a line; ``requests`` are those that its newest verdict rests on.

    ``shares`` are those of the challengers in force at the gateways, in the order of the plan;
    ``dropped`` says of challengers of an experiment why they were taken out.
    """

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
    shares: dict[str, float] = {}
    dropped: dict[str, str] = {}

    @property
    def live(self) -> bool:
        """Whether it still moves or holds traffic."""
        return self.ended_at is None

    @property
    def several(self) -> bool:
        """Whether more than one challenger is in the test now, or was until one was dropped."""
        return len(self.shares) > 1 and self.phase in ("pending", "running", "paused")

    @property
    def versions(self) -> str:
        """Its challengers: ``1.1.0``, or of several each with what it has: ``1.1.0 20 %``."""
        if not self.several:
            return self.challenger
        return ", ".join(
            f"{version} out" if version in self.dropped else f"{version} {percent(share)}"
            for version, share in self.shares.items()
        )

    @property
    def position(self) -> str:
        """Where it is, in words: ``shadow``, ``25 %`` or ``all traffic``."""
        return self.steps[min(self.step, len(self.steps) - 1)]


def glance_of(status: DeploymentStatus) -> Glance:
    """A status in a line."""
    item, verdict = status.deployment, status.verdict
    told = item.live and verdict is not None
    return Glance(
        id=item.id,
        model=item.model,
        champion=item.champion,
        challenger=item.challenger,
        strategy=item.strategy,
        phase=item.phase,
        step=item.step,
        steps=tuple(step_name(item.plan, number) for number in range(len(item.plan.steps) + 1)),
        verdict=verdict.outcome if verdict and told else item.verdict,
        reason=verdict.reason if verdict and told else item.reason,
        requests=verdict.requests if verdict else 0,
        requested_by=item.requested_by,
        created_at=item.created_at,
        updated_at=item.updated_at,
        ended_at=item.ended_at,
        shares={name: status.counts.shares.get(name, 0.0) for name in item.challengers},
        dropped=status.dropped,
    )


class Message(msgspec.Struct, frozen=True):
    """One server-sent event: its name, its data, and the id by which a stream goes on after it."""

    name: str
    data: bytes
    id: str = ""


def statuses(*, after: str | None = None) -> Call[Page[DeploymentStatus]]:
    """Every model's newest deployment with all that is known of it, by the models' names."""
    return listing("/deployments/status", DeploymentStatus, after)


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
