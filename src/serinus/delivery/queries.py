"""What a person can look at of delivery; nothing here changes anything."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import Engine

from serinus import clock
from serinus.delivery import routing, statuses
from serinus.delivery.records import deployments, evidence, looks, workers
from serinus.delivery.statuses import Status
from serinus.delivery.types import Deployment, Transition, Verdict
from serinus.delivery.verdicts.evidence import Evidence
from serinus.store.engine import reading
from serinus.wire import RoutingTable

# Named here because a method below is called list.
Looks: TypeAlias = list[tuple[datetime, int, Verdict]]
Page: TypeAlias = list[Deployment]
Statuses: TypeAlias = list[Status]
Transitions: TypeAlias = list[Transition]
Workers: TypeAlias = list[dict[str, Any]]


@dataclass(frozen=True)
class Queries:
    """The deployments of an installation, to look at.

    Attributes:
        engine: the store.
        worker_seconds: a gateway worker silent for longer is taken for dead.
    """

    engine: Engine
    worker_seconds: float

    def get(self, deployment_id: str) -> Deployment:
        """One deployment. Raises NotFound."""
        with reading(self.engine) as connection:
            return deployments.get(connection, deployment_id)

    def find(self, model: str) -> Deployment | None:
        """The live deployment of a model, if there is one."""
        with reading(self.engine) as connection:
            return next(iter(deployments.live(connection, model)), None)

    def list(self, model: str | None, *, limit: int, after: str | None) -> Page:
        """A page of deployments, newest first; ``after`` is the last id of the page before."""
        with reading(self.engine) as connection:
            return deployments.listing(connection, model, limit, after)

    def history(self, deployment_id: str) -> Transitions:
        """Every transition and every drop from an experiment, oldest first. Raises NotFound.

        The transitions stay in the order in which they were made, and so do the drops; between
        them the folds decide, and the clock, which may have been set back, only within one.
        """
        with reading(self.engine) as connection:
            found = deployments.get(connection, deployment_id)
            folds = (fold for fold, _ in deployments.phases(connection, deployment_id))
            moves = zip(folds, deployments.history(connection, deployment_id), strict=True)
            drops = looks.drops(connection, found)
        merged = heapq.merge(moves, drops, key=lambda item: (item[0], item[1].at))
        return [move for _, move in merged]

    def verdicts(self, deployment_id: str, *, limit: int) -> Looks:
        """The newest recorded looks at the evidence, oldest first. Raises NotFound."""
        with reading(self.engine) as connection:
            deployments.get(connection, deployment_id)
            return looks.newest(connection, deployment_id, limit)

    def latest_verdict(self, deployment_id: str) -> Verdict | None:
        """The last recorded look, if there was one. Raises NotFound."""
        looks = self.verdicts(deployment_id, limit=1)
        return looks[-1][2] if looks else None

    def evidence(self, deployment_id: str) -> Evidence:
        """The evidence so far. Raises NotFound."""
        with reading(self.engine) as connection:
            deployments.get(connection, deployment_id)
            return evidence.get(connection, deployment_id)

    def status(self, deployment_id: str) -> Status:
        """Everything there is to see of one deployment. Raises NotFound."""
        with reading(self.engine) as connection:
            found = deployments.get(connection, deployment_id)
            return statuses.read(connection, [found], self.worker_seconds)[0]

    def statuses(self, limit: int, after: str | None) -> Statuses:
        """Every model's newest deployment by the models' names, those after the name ``after``."""
        with reading(self.engine) as connection:
            found = statuses.newest(connection, limit, after)
            return statuses.read(connection, found, self.worker_seconds)

    def workers(self) -> Workers:
        """The gateway workers that reported lately and what they have ready."""
        with reading(self.engine) as connection:
            views = workers.read(connection, clock.now(), self.worker_seconds)
        return [msgspec.to_builtins(view) for view in views]

    def routing(self) -> RoutingTable:
        """The routing table in force."""
        with reading(self.engine) as connection:
            return routing.newest(connection) or RoutingTable(0, {})
