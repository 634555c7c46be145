"""What a rollout came to, read from the store; two of them compared, and one checked by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

from sqlalchemy import Connection, Engine, select

from serinus.delivery.records import deployments, evidence, journal
from serinus.delivery.types import TRANSITIONS, Phase, Transition
from serinus.registry import repository as versions
from serinus.store import schema
from serinus.store.engine import reading

Move = tuple[str, str, int, str, str]


@dataclass(frozen=True)
class Course:
    """A deployment's course without what depends on the run: no ids, no writers' names.

    Attributes:
        phase: where it ended.
        verdict: with which.
        reason: in words, with every figure.
        digest: of the evidence.
        moves: phase from and to, step, actor and reason of each transition.
        revisions: each revision of the routing table, and the routes it holds.
        folds: how far into the log each fold of the evidence reached; those that read nothing, and
            only looked at the time, are left out.
        stages: each change of a stage.
    """

    phase: str
    verdict: str
    reason: str
    digest: str
    moves: tuple[Move, ...]
    revisions: tuple[tuple[int, str], ...]
    folds: tuple[tuple[tuple[int, int], ...], ...]
    stages: tuple[tuple[str, str, str], ...]


def read(engine: Engine, deployment: str) -> Course:
    """The course of a deployment so far."""
    with reading(engine) as connection:
        found = deployments.get(connection, deployment)
        history = deployments.history(connection, deployment)
        return Course(
            phase=str(found.phase),
            verdict=str(found.verdict),
            reason=found.reason,
            digest=evidence.get(connection, deployment).digest(),
            moves=tuple(_move(item) for item in history),
            revisions=_revisions(connection),
            folds=tuple(
                tuple(span.end for span in fold.spans)
                for fold in journal.folds(connection, deployment)
                if fold.spans
            ),
            stages=_stages(connection, found.model),
        )


def differences(one: Course, other: Course) -> list[str]:
    """In what two courses differ, in words."""
    return [
        f"{item.name}: {getattr(one, item.name)!r} became {getattr(other, item.name)!r}"
        for item in fields(Course)
        if getattr(one, item.name) != getattr(other, item.name)
    ]


def faults(history: Sequence[Transition], revisions: Sequence[int]) -> list[str]:
    """What of a history cannot be: broken chains, illegal moves, steps skipped or repeated."""
    found = []
    for before, after in pairwise(history):
        if after.from_phase != before.to_phase:
            found.append(f"{after.from_phase} follows {before.to_phase}")
        if after.to_phase not in TRANSITIONS[after.from_phase]:
            found.append(f"{after.from_phase} became {after.to_phase}")
        if _is_promotion(after) and after.step != before.step + 1:
            found.append(f"step {after.step} follows step {before.step}")
    found += [
        f"revision {later} follows {earlier}"
        for earlier, later in pairwise(revisions)
        if later <= earlier
    ]
    return found


def _is_promotion(move: Transition) -> bool:
    """Whether a move led to a further step."""
    return move.from_phase is Phase.RUNNING and move.to_phase in (Phase.RUNNING, Phase.SOAKING)


def _move(item: Transition) -> Move:
    return (str(item.from_phase), str(item.to_phase), item.step, item.actor, item.reason)


def _revisions(connection: Connection) -> tuple[tuple[int, str], ...]:
    table = schema.routing_revisions
    rows = connection.execute(select(table.c.revision, table.c.routes).order_by(table.c.revision))
    return tuple((row.revision, repr(row.routes)) for row in rows)


def _stages(connection: Connection, model: str) -> tuple[tuple[str, str, str], ...]:
    changes = versions.history(connection, model, limit=1_000)
    return tuple((item.version, str(item.from_stage), str(item.to_stage)) for item in changes)
