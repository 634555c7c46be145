"""Settled rows -> what their client is told; and requests whose rows are answered together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from serinus.errors import SerinusError, Unavailable
from serinus.serving.asking.assigning import Demand
from serinus.serving.asking.live import LiveRoute
from serinus.serving.asking.rows import Row
from serinus.serving.protocols import answers
from serinus.serving.protocols.answers import Predicted
from serinus.serving.protocols.decode import Request
from serinus.serving.service import Service
from serinus.serving.types import Features

Answered: TypeAlias = Callable[["list[Predicted] | Exception"], None]
"""Called once: with an answer to each row, or with why there is none to any."""


def predicted(row: Row) -> Predicted:
    """The answer to a row that has one: what its version said, or else its route's default."""
    output, lane = row.output, row.answered_by
    if output is None or lane is None:
        return _default(row)
    scores = output.scores
    return Predicted(
        output.value,
        row.id.hex(),
        row.live.route.model,
        lane.version,
        row.assignment.arm,
        row.live.revision,
        dict(zip(lane.class_names, scores, strict=True)) if scores else None,
        bool(row.fallback),
        bool(row.id),
    )


def _default(row: Row) -> Predicted:
    if row.default is None:
        raise RuntimeError("a row without an answer was taken for one with an answer")
    live, arm = row.live, row.assignment.arm
    return Predicted(
        row.default,
        row.id.hex(),
        live.route.model,
        "",
        arm,
        live.revision,
        fallback=True,
        recorded=bool(row.id),
    )


def failed(row: Row) -> dict[str, object]:
    """The problem document of a row that its model failed."""
    document = answers.problem(503, f"the model failed ({row.failure})")
    document["title"] = "Model failed"
    document["model"] = row.live.route.model
    document["version"] = row.answered_by.version if row.answered_by else ""
    document["revision"] = row.live.revision
    return document


def ask(
    service: Service,
    live: LiveRoute,
    features: Sequence[Features],
    answered: Answered,
    *,
    demand: Demand | None = None,
    entity: str | None = None,
    seconds: float | None = None,
) -> None:
    """Have rows answered for a protocol that has one answer, or one fault, for all of them.

    Each is routed and recorded for itself all the same: rows that share an arm only because they
    came together would be evidence that is counted too often.

    Args:
        service: of this worker.
        live: the route of the model that is asked.
        features: at least one row.
        answered: told of the answers, in the order of the rows, or of the first fault.
        demand: who shall answer; None leaves that to the route.
        entity: whose rows they are.
        seconds: how long the client waits.

    Raises:
        Conflict: who is demanded is not being served.
        Overloaded: too many rows wait already.
    """

    def done(error: SerinusError | None) -> None:
        try:
            answered(error or _told(rows))
        except Exception as fault:
            answered(fault)

    requests = [(live, Request(row, entity)) for row in features]
    rows = service.predict_many(requests, demand, done, seconds=seconds)


def _told(rows: Sequence[Row]) -> list[Predicted] | SerinusError:
    for index, row in enumerate(rows):
        if row.error is not None:
            return row.error
        if row.failure and row.default is None:
            return Unavailable(
                f"the model failed ({row.failure})",
                where=f"row {index}",
                remedy="Other rows may be answered: send them without this one.",
            )
    return [predicted(row) for row in rows]
