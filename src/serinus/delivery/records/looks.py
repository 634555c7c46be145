"""Recorded looks at the evidence: what was said of it when, for the curves and the replays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import exp
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, insert, select

from serinus.delivery.types import (
    Assessment,
    Deployment,
    Outcome,
    Phase,
    Transition,
    Verdict,
)
from serinus.store import schema

_LOOKS = schema.verdicts


@dataclass(frozen=True)
class Look:
    """One recorded verdict: when, at which step, after which fold, and on whom.

    ``challenger`` is empty where it was not yet kept.
    """

    at: datetime
    step: int
    fold: int
    verdict: Verdict
    challenger: str = ""


def add(
    connection: Connection, seen: Sequence[tuple[Deployment, Verdict, int]], at: datetime
) -> None:
    """Keep looks at the evidence as it stood after a fold.

    Args:
        connection: the transaction.
        seen: deployment, verdict and fold of each look.
        at: when they were made.
    """
    rows = [
        {
            "deployment": deployment.id,
            "step": deployment.step,
            "at": at,
            "verdict": verdict.outcome,
            "reason": verdict.reason,
            "requests": verdict.requests,
            "guardrails": msgspec.to_builtins(verdict.guardrails),
            "fold": fold,
            "challenger": deployment.challenger,
        }
        for deployment, verdict, fold in seen
    ]
    if rows:
        connection.execute(insert(_LOOKS), rows)


def newest(
    connection: Connection, deployment_id: str, limit: int
) -> list[tuple[datetime, int, Verdict]]:
    """The newest looks at a deployment with their time and step, oldest first."""
    rows = connection.execute(
        select(_LOOKS)
        .where(_LOOKS.c.deployment == deployment_id)
        .order_by(_LOOKS.c.id.desc())
        .limit(limit)
    ).all()
    return [(row.at, row.step, verdict_of(row)) for row in reversed(rows)]


def every(connection: Connection, *ids: str) -> list[Look]:
    """Every look at these deployments or comparisons, oldest first."""
    here = _LOOKS.c.deployment.in_(ids)
    rows = connection.execute(select(_LOOKS).where(here).order_by(_LOOKS.c.id))
    return [Look(row.at, row.step, row.fold, verdict_of(row), row.challenger or "") for row in rows]


def verdict_of(row: Row[Any]) -> Verdict:
    """The verdict in a row of the recorded looks."""
    guardrails = msgspec.convert(row.guardrails, tuple[Assessment, ...])
    spent = sum(exp(-item.harm_bound) for item in guardrails)
    return Verdict(Outcome(row.verdict), row.reason, row.requests, spent, guardrails)


def drops(connection: Connection, deployment: Deployment) -> list[tuple[int, Transition]]:
    """When challengers of an experiment were taken out of it and why, oldest first.

    Each with the last fold before it.

    They are no moves of the deployment, which goes on; told among them they say who it goes on
    with.
    """
    beside = [deployment.comparison(place) for place in range(len(deployment.challengers))]
    query = (
        select(_LOOKS.c.at, _LOOKS.c.step, _LOOKS.c.fold, _LOOKS.c.challenger, _LOOKS.c.reason)
        .where(_LOOKS.c.deployment.in_(beside), _LOOKS.c.verdict == Outcome.ROLLBACK)
        .order_by(_LOOKS.c.id)
    )
    return [
        (
            row.fold,
            Transition(
                from_phase=Phase.RUNNING,
                to_phase=Phase.RUNNING,
                step=row.step,
                at=row.at,
                actor="controller",
                verdict=Outcome.ROLLBACK,
                reason=f"{row.challenger} was dropped: {row.reason}",
            ),
        )
        for row in connection.execute(query)
    ]
