"""How the gateways are to share an experiment's traffic among its versions."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from serinus.delivery import routing
from serinus.delivery.experiments import design, repository
from serinus.delivery.routing import Split
from serinus.delivery.types import Deployment, Phase
from serinus.registry import repository as versions
from serinus.wire import Target


def first(deployment: Deployment) -> str:
    """The challenger that has the first place in a route until the planned end."""
    if deployment.phase is Phase.SOAKING:
        return deployment.challenger
    return deployment.challengers[0]


def splits(connection: Connection, live: Sequence[Deployment]) -> dict[str, Split]:
    """By deployment, the shares in force of every experiment among these.

    By entity each challenger keeps its place, so that nobody moves when another one is dropped. By
    request every draw is new, and the places follow the shares.
    """
    trials = [item for item in live if design.is_collecting(item) and item.plan.steps]
    if not trials:
        return {}
    known = repository.shares(connection, [item.id for item in trials])
    found = {}
    for trial in trials:
        asked = design.of(trial)
        shares = known.get(trial.id, asked.shares)
        reserved = asked.shares if asked.unit == "entity" else shares
        found[trial.id] = routing.split(others(connection, trial), reserved, shares)
    return found


def awaited(connection: Connection, live: Sequence[Deployment]) -> dict[str, list[Target]]:
    """By model, the further challengers that gateways are to load before an experiment begins."""
    waiting = [item for item in live if item.phase is Phase.PENDING]
    found = {item.model: others(connection, item) for item in waiting}
    return {model: targets for model, targets in found.items() if targets}


def others(connection: Connection, deployment: Deployment) -> list[Target]:
    """The challengers behind the first, with where they are."""
    names = [(deployment.model, version) for version in deployment.challengers[1:]]
    folders = versions.folders(connection, names) if names else {}
    return [Target(version, folders[(model, version)]) for model, version in names]
