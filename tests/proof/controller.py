"""The product's own controller on a simulated stream: events, a store, the judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from math import inf

import msgspec
from sqlalchemy import Connection, insert
from tests.delivery.samples import deployment

from serinus.delivery.folding.absorb import absorb
from serinus.delivery.records import evidence
from serinus.delivery.types import Deployment, Kind, Plan
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts.judge import judge
from serinus.store import schema
from serinus.store.engine import open_engine
from serinus.wire import Arm, Assignment, Event, Failure, Label, Output, Prediction

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
BEGAN_US = round(BEGAN.timestamp() * 1e6)
RIGHT, WRONG = 1, 2


def at_us(request: float) -> int:
    """When a request comes: one a second."""
    return BEGAN_US + round(request * 1e6)


def identity(request: int) -> bytes:
    return request.to_bytes(16, "big")


def assigned(share: float, challenger: bool, step: int, unit: int = 0) -> Assignment:
    arm = Arm.CHALLENGER if challenger else Arm.CHAMPION
    return Assignment("model", arm, share, 1, "d1", step, unit)


def request_event(at: int, assignment: Assignment, *, failed: bool, answer: int = RIGHT) -> Event:
    if failed:
        return Failure(at, assignment, "2", "raised", 20_000)
    return Prediction(at, assignment, "2", (), Output(answer), 20_000)


def label_event(at: int, request: int, asked: Assignment, answer: int) -> Event:
    return Label(at, identity(request), RIGHT, at_us(request), asked, "2", Output(answer))


def first_harm(
    plan: Plan, kind: Kind, step: int, batches: Mapping[int, Iterable[tuple[bytes, Event]]]
) -> float:
    """The look at which the judge first calls a guardrail harmed; infinity is never.

    Args:
        plan: of the deployment.
        kind: of the guardrail.
        step: where the deployment stands.
        batches: by look, in requests, the events since the one before.
    """
    live = msgspec.structs.replace(deployment(), plan=plan, step=step)
    with memory(live) as connection:
        for look, records in batches.items():
            now = BEGAN + timedelta(seconds=look)
            absorb(connection, list(records), [live], now, complete=True)
            verdict = judge(plan, step, evidence.get(connection, live.id))
            if any(one.kind == kind and one.state == "harm" for one in verdict.guardrails):
                return float(look)
    return inf


@contextmanager
def memory(live: Deployment) -> Iterator[Connection]:
    """A store that knows one deployment."""
    engine = open_engine("sqlite://")
    try:
        with engine.begin() as connection:
            schema.metadata.create_all(connection)
            connection.execute(
                insert(schema.evidence).values(
                    deployment=live.id, summary=ev.EMPTY.encode(), updated_at=live.created_at
                )
            )
            yield connection
    finally:
        engine.dispose()
