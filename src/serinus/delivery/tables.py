"""Who serves what by now: composed of what the store holds, noted as a revision, and carried."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from serinus.delivery import routing, turns
from serinus.delivery.experiments import traffic
from serinus.delivery.leases import Guard, unguarded
from serinus.delivery.records import deployments
from serinus.delivery.rollback import repository as rollbacks
from serinus.delivery.routing import Beside, Publisher
from serinus.delivery.types import Deployment, Phase
from serinus.registry import repository as versions
from serinus.store.engine import reading
from serinus.wire import BreakerRules, Route, RoutingTable, Target


@dataclass(frozen=True)
class Tables:
    """The routing tables of an installation.

    Attributes:
        engine: of the store that holds them.
        publisher: carries them to this machine's gateways.
        breakers: reads the rules of models whose type has its own.
    """

    engine: Engine
    publisher: Publisher
    breakers: Callable[[Connection], Mapping[str, BreakerRules]]

    def revise(
        self, connection: Connection, reason: str, live: Sequence[Deployment] | None = None
    ) -> RoutingTable:
        """The table as it has to be now, noted as a revision in the caller's turn.

        ``live`` spares reading the live deployments once more.
        """
        routes, staging = self._composed(connection, live)
        table = routing.revise(connection, routes, reason, staging=staging)
        rollbacks.stamp(connection, table.revision)
        return table

    def publish(
        self,
        guard: Guard = unguarded,
        everyone: Callable[[Connection], Sequence[Deployment]] = deployments.live,
    ) -> RoutingTable:
        """Compose the table anew, note a revision if it changed, and put it before the gateways.

        Args:
            guard: what makes sure that a controller may still write.
            everyone: reads the live deployments, as far as its caller does not know them.
        """
        with reading(self.engine) as connection:
            table = routing.newest(connection)
            made = self._composed(connection, everyone(connection))
            stale = table is None or (table.routes, table.staging) != made
        if table is None or stale:
            with turns.turn(self.engine, guard) as connection:
                table = self.revise(connection, "the champions changed")
        return self.bring(table, guard)

    def bring(self, table: RoutingTable, guard: Guard = unguarded) -> RoutingTable:
        """Put a stored table before the gateways, or the one above what they know already."""
        if self.publisher.ahead_of(table.revision):
            table = self._overtake(guard)
        self.publisher.publish(table)
        return table

    def carry(self) -> None:
        """Put the newest stored table before this machine's gateways, if it is not there yet.

        It composes nothing and writes nothing to the store, so anybody may at any time.
        """
        with reading(self.engine) as connection:
            revision = routing.newest_revision(connection)
            if revision is None or self.publisher.has(revision):
                return
            table = routing.newest(connection)
        if table is not None:
            self.publisher.publish(table)

    def _overtake(self, guard: Guard) -> RoutingTable:
        """A revision above the published one, unless the store has it by now.

        A store that was restored from a backup, or replaced by a new one, counts from below what
        the gateways know; they would never take its tables.
        """
        with turns.turn(self.engine, guard) as connection:
            table = self.revise(connection, "the champions changed")
            published = self.publisher.ahead_of(table.revision)
            if published:
                table = routing.revise(
                    connection,
                    table.routes,
                    f"the gateways know revision {published} of an earlier store",
                    staging=table.staging,
                    least=published + 1,
                )
        return table

    def _composed(
        self, connection: Connection, live: Sequence[Deployment] | None = None
    ) -> tuple[dict[str, Route], dict[str, Target]]:
        """Who serves what, and the versions in Staging of models that nobody serves."""
        champions = versions.champions(connection)
        everyone = deployments.live(connection) if live is None else live
        # Whom nobody can judge gets no traffic, unless nobody else could answer.
        live = [item for item in everyone if not item.unreadable or item.model not in champions]
        others = {item.id: (item.model, _beside(item)) for item in live}
        folders = versions.folders(connection, list(others.values()))
        known = [
            (item, Target(others[item.id][1], folders[others[item.id]]))
            for item in live
            if others[item.id] in folders
        ]
        staged = versions.staged(connection)
        staging = {model: Target(*staged[model]) for model in staged}
        holders = {model: Target(*champions[model]) for model in champions}
        warming = rollbacks.warming(connection)
        found = versions.folders(connection, list(warming.items())) if warming else {}
        warm = {model: [Target(version, uri)] for (model, version), uri in found.items()}
        defaults = rollbacks.routed_defaults(connection)
        warm |= traffic.awaited(connection, live)
        splits = traffic.splits(connection, live)
        beside = Beside(
            staging=staging,
            warm=warm,
            defaults=defaults,
            splits=splits,
            breakers=self.breakers(connection),
        )
        routes = routing.compose(holders, known, beside)
        return routes, routing.unserved(routes, beside)


def _beside(deployment: Deployment) -> str:
    """Which version a live deployment keeps beside the one that holds Production."""
    if deployment.phase is Phase.SOAKING and deployment.champion is not None:
        return deployment.champion
    return traffic.first(deployment)
