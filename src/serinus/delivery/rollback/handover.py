"""Giving all traffic to a version: what a rollback by hand and one that had to wait both do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

import msgspec
import structlog
from sqlalchemy import Connection, Engine

from serinus.delivery.leases import Guard, unguarded
from serinus.delivery.reconcile import Decision
from serinus.delivery.rollback import repository
from serinus.delivery.rollback.types import Rollback, State
from serinus.delivery.types import Deployment
from serinus.registry import repository as versions
from serinus.registry.model_types import ModelType
from serinus.registry.service import Registry
from serinus.registry.types import Stage
from serinus.wire import RoutingTable

_log = structlog.get_logger(__name__)


class Carrier(Protocol):
    """Who notes routing tables, and carries them to the gateways."""

    def revise(self, connection: Connection, reason: str) -> RoutingTable:
        """The routing table as it has to be now."""

    def bring(self, table: RoutingTable, guard: Guard = unguarded) -> RoutingTable:
        """Put a stored table before the gateways."""


class Moves(Protocol):
    """What delivery does for a rollback."""

    @property
    def engine(self) -> Engine:
        """The store."""

    @property
    def registry(self) -> Registry:
        """Where versions are."""

    @property
    def tables(self) -> Carrier:
        """Who serves what."""

    @property
    def worker_seconds(self) -> float:
        """A gateway worker silent for longer is taken for dead."""

    @property
    def types(self) -> Mapping[str, ModelType]:
        """What each type of model is held to."""

    def move(
        self,
        connection: Connection,
        deployment: Deployment,
        decision: Decision,
        *,
        actor: str,
        at: datetime,
    ) -> Deployment:
        """Carry out a decision without a revision."""


def route(
    delivery: Moves, connection: Connection, rollback: Rollback, reason: str, now: datetime
) -> tuple[Rollback, RoutingTable]:
    """Give the target all traffic, in the caller's turn."""
    model, target, actor = rollback.model, rollback.to, rollback.actor
    found = versions.find(connection, model, target)
    way = [Stage.PRODUCTION]
    if found is not None and found.stage is Stage.NONE:
        way = [Stage.STAGING, Stage.PRODUCTION]
    for stage in way:
        delivery.registry.transition(
            connection, model, target, stage, actor=actor, reason=rollback.reason
        )
    routed = repository.move(
        connection, rollback, State.ROUTED, actor=actor, at=now, reason=reason, routed_at=now
    )
    table = delivery.tables.revise(
        connection, f"rollback of {model} to {target}: {rollback.reason}"
    )
    return msgspec.structs.replace(routed, revision=table.revision), table


def tell(
    delivery: Moves, rollback: Rollback, table: RoutingTable, guard: Guard = unguarded
) -> None:
    """Routing first; what only people look at afterwards."""
    delivery.tables.bring(table, guard)
    _log.info(
        "rollback",
        id=rollback.id,
        model=rollback.model,
        taken_back=rollback.taken_back,
        to=rollback.to,
        state=rollback.state,
        revision=table.revision,
        reason=rollback.reason,
    )
    delivery.registry.mirror_soon(rollback.model)
