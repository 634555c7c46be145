"""Where a rollback by hand may lead. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from serinus.delivery.types import Deployment
from serinus.errors import Conflict, NotFound
from serinus.registry.types import ModelVersion, Stage, StageChange


def check(version: str, live: Deployment | None) -> None:
    """Refuse a version that a rollback cannot lead to.

    Raises:
        Conflict: it is the live deployment's challenger.
    """
    if live is not None and version == live.challenger:
        raise Conflict(
            f"version {version} is the challenger that would be taken back",
            where=live.id,
            remedy="Name another version, or none for the champion.",
        )


def former(champion: ModelVersion, changes: Sequence[StageChange]) -> str:
    """The version that the champion replaced when it first entered Production.

    Not simply the last one that left it: after a rollback that is the version taken back, and
    asking twice must not bring it again.

    Args:
        champion: the version that holds Production.
        changes: the model's stage changes, newest first.

    Raises:
        NotFound: it has replaced none.
    """
    for before, entered in pairwise(reversed(changes)):
        if entered.version == champion.version and entered.to_stage is Stage.PRODUCTION:
            if before.from_stage is Stage.PRODUCTION:
                return before.version
            break
    raise NotFound(
        f"{champion.model} {champion.version} has replaced no version that one could go back to",
        where=champion.model,
        remedy="Name a version: serinus rollback MODEL --to VERSION.",
    )
