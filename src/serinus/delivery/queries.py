"""What a person can look at of delivery; nothing here changes anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import Engine

from serinus import clock
from serinus.delivery import repository, routing
from serinus.delivery.types import Deployment, Transition, Verdict
from serinus.delivery.verdicts.evidence import Evidence, Measure
from serinus.store.engine import reading
from serinus.wire import Arm, RoutingTable

# The levels at which a challenger failed: of pairs the one where only it did.
_FAILED = {Measure.ERROR: 1, Measure.PAIR_ERROR: 2}
_MATURED = {Arm.SHADOW: Measure.PAIR_MATURED}

# Named here because a method below is called list.
Looks: TypeAlias = list[tuple[datetime, int, Verdict]]
Page: TypeAlias = list[Deployment]
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
            return repository.get(connection, deployment_id)

    def find(self, model: str) -> Deployment | None:
        """The live deployment of a model, if there is one."""
        with reading(self.engine) as connection:
            return next(iter(repository.live(connection, model)), None)

    def list(self, model: str | None, *, limit: int, after: str | None) -> Page:
        """A page of deployments, newest first; ``after`` is the last id of the page before."""
        with reading(self.engine) as connection:
            return repository.listing(connection, model, limit, after)

    def history(self, deployment_id: str) -> Transitions:
        """Every transition, oldest first. Raises NotFound."""
        with reading(self.engine) as connection:
            repository.get(connection, deployment_id)
            return repository.history(connection, deployment_id)

    def verdicts(self, deployment_id: str, *, limit: int) -> Looks:
        """The newest recorded looks at the evidence, oldest first. Raises NotFound."""
        with reading(self.engine) as connection:
            repository.get(connection, deployment_id)
            return repository.verdicts(connection, deployment_id, limit)

    def latest_verdict(self, deployment_id: str) -> Verdict | None:
        """The last recorded look, if there was one. Raises NotFound."""
        looks = self.verdicts(deployment_id, limit=1)
        return looks[-1][2] if looks else None

    def evidence(self, deployment_id: str) -> Evidence:
        """The evidence so far. Raises NotFound."""
        with reading(self.engine) as connection:
            repository.get(connection, deployment_id)
            return repository.evidence(connection, deployment_id)

    def counts(self, deployment_id: str) -> dict[str, Any]:
        """Requests, failures and labels by arm, the shares in force, and the gateway workers.

        Labels count in the order of their requests: ``delayed`` ones wait for an earlier request
        that has none yet, until ``delayed_until`` at the latest. Raises NotFound.
        """
        with reading(self.engine) as connection:
            deployment = repository.get(connection, deployment_id)
            evidence = repository.evidence(connection, deployment_id)
            delayed, oldest = repository.delayed_labels(connection, deployment_id)
            table = routing.newest(connection)
        window = timedelta(seconds=deployment.plan.label_window_seconds)
        route = table.routes.get(deployment.model) if table else None
        mine = route if route and route.deployment == deployment_id else None
        measures = dict.fromkeys((Arm.CHAMPION, Arm.CHALLENGER), Measure.ERROR)
        measures[Arm.SHADOW] = Measure.PAIR_ERROR
        return {
            "requests": {arm: evidence.total(kind, arm) for arm, kind in measures.items()},
            "failures": {
                arm: evidence.total(kind, arm, _FAILED[kind]) for arm, kind in measures.items()
            },
            "labelled": {
                arm: evidence.total(_MATURED.get(arm, Measure.MATURED), arm, 1) for arm in measures
            },
            "told": {
                name: evidence.total(Measure.TOLD, level=level)
                for level, name in enumerate(("labels", "values"))
            },
            "delayed": delayed,
            "delayed_until": None if oldest is None else clock.from_epoch_us(oldest) + window,
            "share": mine.share if mine else 0.0,
            "mirror": mine.mirror if mine else 0.0,
            "revision": table.revision if table else 0,
            "workers": self.workers(),
        }

    def workers(self) -> Workers:
        """The gateway workers that reported lately and what they have ready."""
        with reading(self.engine) as connection:
            views = repository.workers(connection, clock.now(), self.worker_seconds)
        return [msgspec.to_builtins(view) for view in views]

    def routing(self) -> RoutingTable:
        """The routing table in force."""
        with reading(self.engine) as connection:
            return routing.newest(connection) or RoutingTable(0, {})
