"""The one table of stage transitions. The database repeats the guard (``WHERE stage = …``)."""

from __future__ import annotations

from collections.abc import Mapping

from serinus.errors import Conflict
from serinus.registry.types import GateResult, Stage

TRANSITIONS: Mapping[Stage, frozenset[Stage]] = {
    Stage.NONE: frozenset({Stage.STAGING, Stage.ARCHIVED}),
    Stage.STAGING: frozenset({Stage.PRODUCTION, Stage.ARCHIVED}),
    Stage.PRODUCTION: frozenset({Stage.ARCHIVED}),
    Stage.ARCHIVED: frozenset({Stage.STAGING, Stage.PRODUCTION}),
}
"""From each stage the stages that follow. Archived → Production is the rollback."""

TO_TRAFFIC = frozenset({Stage.STAGING, Stage.PRODUCTION})
"""Stages that no version with a failed gate enters."""


def check(name: str, version: str, stage: Stage, to: Stage, failed: tuple[GateResult, ...]) -> None:
    """Do nothing if the version may move from ``stage`` to ``to``.

    Raises:
        Conflict: the table has no such move, or a gate that the version failed forbids it.
    """
    where = f"{name} {version}"
    if to not in TRANSITIONS[stage]:
        follow = ", ".join(sorted(TRANSITIONS[stage]))
        raise Conflict(
            f"a version in stage {stage} cannot move to {to}",
            where=where,
            remedy=f"From {stage} it can move to: {follow}.",
        )
    if to in TO_TRAFFIC and failed:
        raise Conflict(
            f"the version failed {len(failed)} of its gates and cannot enter {to}",
            where=where,
            faults=[f"{gate.name}: {gate.detail}" for gate in failed],
            remedy="Train a version that passes; a registered version never changes.",
        )
