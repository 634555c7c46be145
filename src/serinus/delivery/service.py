"""What a person can have done: begin a deployment, and intervene. Each call is one transaction."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from serinus import clock
from serinus.delivery import reconcile, repository, rollback, routing
from serinus.delivery.forecast.types import Proposal
from serinus.delivery.planning import plan as plans
from serinus.delivery.proposing import Planner
from serinus.delivery.queries import Queries
from serinus.delivery.reconcile import Decision
from serinus.delivery.routing import Beside, Publisher
from serinus.delivery.types import Deployment, DeploymentSpec, Outcome, Phase
from serinus.errors import Conflict
from serinus.registry import repository as versions
from serinus.registry.service import Registry
from serinus.registry.types import ModelVersion, Stage
from serinus.store.engine import reading
from serinus.wire import Route, RoutingTable, Target

_MOST_HISTORY = 10_000


@dataclass(frozen=True)
class Delivery(Queries):
    """The deployments of an installation, to look at and to move.

    Attributes:
        registry: where versions are and which of them holds Production.
        publisher: carries the routing table to the gateways.
        planner: makes plans of what is asked for.
    """

    registry: Registry
    publisher: Publisher
    planner: Planner

    def propose(self, spec: DeploymentSpec) -> Proposal:
        """The plan of a specification with its forecast; nothing begins.

        Raises:
            NotFound: the model or a version of it does not exist.
            InvalidInput: no plan can be made; every fault is listed.
            Conflict: the version cannot be a challenger.
        """
        return self.planner.propose(spec).proposal

    def create(self, spec: DeploymentSpec, *, actor: str) -> Deployment:
        """Start bringing a challenger to traffic.

        Raises:
            NotFound: the model or a version of it does not exist.
            InvalidInput: the plan cannot be carried out, or cannot decide with the traffic there
                is; every fault is listed, with changes that would help.
            Conflict: another deployment is live, or the version cannot be a challenger.
        """
        now = clock.now()
        identity = f"{now:%Y%m%d-%H%M%S-%f}-{secrets.token_hex(2)}"
        asked = self.planner.accept(spec, salt=identity)
        challenger, champion, plan = asked.challenger, asked.champion, asked.proposal.plan
        deployment = Deployment(
            id=identity,
            model=spec.model,
            champion=champion.version if champion else None,
            challenger=challenger.version,
            strategy=spec.strategy,
            spec=spec,
            plan=plan,
            plan_hash=plans.plan_hash(plan),
            phase=Phase.PENDING,
            step=0,
            step_entered_at=now,
            verdict=Outcome.NO_DATA,
            reason=f"The gateways are loading {challenger.model}@{challenger.version}. "
            + asked.proposal.summary,
            requested_by=actor,
            created_at=now,
            updated_at=now,
            ended_at=None,
        )
        with self.engine.begin() as connection:
            repository.add(connection, deployment)
            self._stage(
                connection,
                spec.model,
                challenger.version,
                Stage.STAGING,
                actor,
                f"{identity} begins",
            )
            self._revise(connection, f"deployment {identity} begins")
        self.publish()
        return deployment

    def pause(self, deployment_id: str, *, actor: str, reason: str) -> Deployment:
        """Hold a running deployment where it is; evidence goes on and rollback stays live."""
        now = self.get(deployment_id)
        if now.phase is Phase.PAUSED:
            return now
        # Only a passed gate that waits for approval is PAUSED with PROMOTE: resume relies on it.
        return self._intervene(now, Phase.PAUSED, now.step, Outcome.CONTINUE, actor, reason)

    def resume(self, deployment_id: str, *, actor: str, reason: str) -> Deployment:
        """Go on with a paused deployment; where its gate has passed, this approves it."""
        now = self.get(deployment_id)
        if now.phase is Phase.RUNNING:
            return now
        if now.phase is Phase.PAUSED and now.verdict is Outcome.PROMOTE:
            phase, step = reconcile.next_position(now)
            return self._intervene(now, phase, step, Outcome.PROMOTE, actor, reason)
        return self._intervene(now, Phase.RUNNING, now.step, Outcome.CONTINUE, actor, reason)

    def promote(self, deployment_id: str, *, actor: str, reason: str) -> Deployment:
        """Give the challenger all traffic now, whatever the evidence says."""
        now = self.get(deployment_id)
        if now.phase in (Phase.SOAKING, Phase.SUCCEEDED):
            return now
        step = len(now.plan.steps)
        return self._intervene(now, Phase.SOAKING, step, Outcome.PROMOTE, actor, reason)

    def abort(self, deployment_id: str, *, actor: str, reason: str) -> Deployment:
        """Give all traffic back to the champion and end; always possible while live."""
        now = self.get(deployment_id)
        if now.phase is Phase.ABORTED:
            return now
        return self._intervene(now, Phase.ABORTED, now.step, now.verdict, actor, reason)

    def rollback(
        self, model: str, version: str | None, *, actor: str, reason: str
    ) -> dict[str, Any]:
        """Take a model back: from a live deployment to its champion, else to an earlier version.

        Args:
            model: the model.
            version: where to; None is the live deployment's champion or the former champion.
            actor: who asks.
            reason: why, kept in the history.

        Raises:
            NotFound: no such model or version. Conflict: nothing to roll back to.
        """
        live = self.find(model)
        champion = self.registry.champion(model)
        if champion is None:
            raise Conflict(
                f"no version of {model} is in production",
                where=model,
                remedy="Deploy a version first.",
            )
        if version is not None:
            self.registry.get(model, version)
            rollback.check(version, live)
        target = version or (live.champion if live else None)
        if target is None:
            target = rollback.former(champion, self.registry.history(model, limit=_MOST_HISTORY))
        now = clock.now()
        with self.engine.begin() as connection:
            if live is not None:
                decision = Decision(Phase.ROLLED_BACK, live.step, Outcome.ROLLBACK, reason)
                self.apply(connection, live, decision, actor=actor, at=now)
            self._stage(connection, model, target, Stage.PRODUCTION, actor, reason)
            table = self._revise(connection, f"rollback of {model} to {target}: {reason}")
        self.publish()
        self.registry.mirror_soon(model)
        taken_back = live.challenger if live else champion.version
        return {
            "model": model,
            "from": taken_back,
            "to": target,
            "deployment": live.id if live else None,
            "revision": table.revision,
        }

    # -------------------------------------------------------- what the controller also needs

    def apply(
        self,
        connection: Connection,
        deployment: Deployment,
        decision: Decision,
        *,
        actor: str,
        at: datetime,
    ) -> Deployment:
        """Carry out a decision in the caller's transaction: phase, history, stages, revision.

        The verdict is latched with the phase before anything outside the store can happen.
        """
        moved = repository.move(connection, deployment, decision, actor=actor, at=at)
        for version, stage in _stages_after(deployment, decision.phase):
            self._stage(connection, deployment.model, version, stage, actor, decision.reason)
        self._revise(connection, f"deployment {deployment.id} is {decision.phase}")
        return moved

    def publish(self) -> RoutingTable:
        """Compose the table anew, note a revision if it changed, and put it before the gateways."""
        with reading(self.engine) as connection:
            table = routing.newest(connection)
            stale = table is None or table.routes != self._routes(connection)
        if table is None or stale:
            with self.engine.begin() as connection:
                table = self._revise(connection, "the champions changed")
        if self.publisher.ahead_of(table.revision):
            table = self._overtake()
        self.publisher.publish(table)
        return table

    def _overtake(self) -> RoutingTable:
        """A revision above the published one, unless the store has it by now.

        A store that was restored from a backup, or replaced by a new one, counts from below what
        the gateways know; they would never take its tables.
        """
        with self.engine.begin() as connection:
            table = self._revise(connection, "the champions changed")
            published = self.publisher.ahead_of(table.revision)
            if published:
                table = routing.revise(
                    connection,
                    table.routes,
                    f"the gateways know revision {published} of an earlier store",
                    least=published + 1,
                )
        return table

    def _stage(
        self,
        connection: Connection,
        model: str,
        version: str,
        to: Stage,
        actor: str,
        reason: str,
    ) -> None:
        """Move a version's stage; one that was never staged passes through Staging."""
        present = versions.find(connection, model, version)
        way = [to]
        if present is not None and present.stage is Stage.NONE and to is Stage.PRODUCTION:
            way = [Stage.STAGING, to]
        for stage in way:
            self.registry.transition(connection, model, version, stage, actor=actor, reason=reason)

    def _revise(self, connection: Connection, reason: str) -> RoutingTable:
        return routing.revise(connection, self._routes(connection), reason)

    def _routes(self, connection: Connection) -> dict[str, Route]:
        champions = {
            version.model: _target(version)
            for version in versions.in_stage(connection, Stage.PRODUCTION)
        }
        live = []
        for deployment in repository.live(connection):
            other = deployment.challenger
            if deployment.phase is Phase.SOAKING:
                other = deployment.champion or deployment.challenger
            version = versions.find(connection, deployment.model, other)
            if version is not None:
                live.append((deployment, _target(version)))
        staged = versions.staged(connection)
        staging = {model: Target(*staged[model]) for model in staged}
        return routing.compose(champions, live, Beside(staging=staging))

    def _intervene(
        self,
        deployment: Deployment,
        phase: Phase,
        step: int,
        verdict: Outcome,
        actor: str,
        reason: str,
    ) -> Deployment:
        decision = Decision(phase, step, verdict, reason or f"By hand, by {actor}.")
        with self.engine.begin() as connection:
            moved = self.apply(connection, deployment, decision, actor=actor, at=clock.now())
        self.publish()
        self.registry.mirror_soon(deployment.model)
        return moved


def _target(version: ModelVersion) -> Target:
    return Target(version.version, version.uri)


def _stages_after(deployment: Deployment, phase: Phase) -> list[tuple[str, Stage]]:
    """Which versions change their stage when a deployment enters a phase, in this order."""
    if phase is Phase.SOAKING:
        return [(deployment.challenger, Stage.PRODUCTION)]
    ended_badly = phase in (Phase.ROLLED_BACK, Phase.ABORTED, Phase.INCONCLUSIVE)
    if deployment.phase is Phase.SOAKING and ended_badly:
        # To enter Production archives the challenger, which held it.
        return [(deployment.champion, Stage.PRODUCTION)] if deployment.champion else []
    if phase is Phase.ROLLED_BACK:
        return [(deployment.challenger, Stage.ARCHIVED)]
    return []
