"""From the services' values to the API's public shapes."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from serinus.client import types
from serinus.delivery.queries import Queries
from serinus.delivery.statuses import Status
from serinus.registry.types import Model, ModelVersion

T = TypeVar("T")


def view(value: Any, kind: type[T]) -> T:
    """``value`` as the public type; fields that this one does not show are left out."""
    return msgspec.convert(value, kind, from_attributes=True)


def model(delivery: Queries, entry: Model, champions: dict[str, ModelVersion]) -> types.Model:
    """A model with its champion and its live deployment."""
    champion = champions.get(entry.name)
    live = delivery.find(entry.name)
    return types.Model(
        name=entry.name,
        model_type=entry.model_type,
        task=entry.task,
        description=entry.description,
        created_at=entry.created_at,
        champion=champion.version if champion else None,
        deployment=live.id if live else None,
    )


def version(entry: ModelVersion) -> types.Version:
    """A version without its reference profile, which is as long as its columns are many."""
    return view(entry, types.Version)


def status(entry: Status) -> types.DeploymentStatus:
    """A deployment with all that is known of it now."""
    return view(entry, types.DeploymentStatus)
