"""What a person can have done: begin a deployment, and intervene. Each call is one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import msgspec
from sqlalchemy import Connection

from serinus import clock
from serinus.delivery import interventions, turns
from serinus.delivery.experiments import repository as experiments
from serinus.delivery.experiments import steering
from serinus.delivery.forecast.types import Proposal
from serinus.delivery.planning import plan as plans
from serinus.delivery.proposing import Asked, Planner
from serinus.delivery.queries import Queries
from serinus.delivery.reconcile import Decision
from serinus.delivery.records import deployments
from serinus.delivery.rollback import repository as rollbacks
from serinus.delivery.rollback.types import State
from serinus.delivery.tables import Tables
from serinus.delivery.types import Deployment, Outcome, Phase, Transition, Verdict
from serinus.errors import Conflict
from serinus.registry import repository as versions
from serinus.registry.model_types import ModelType
from serinus.registry.service import Registry
from serinus.registry.types import ModelVersion, Stage


@dataclass(frozen=True)
class Delivery(Queries):
    """The deployments of an installation, to look at and to move.

    Attributes:
        registry: where versions are and which of them holds Production.
        tables: who serves what, stored and before the gateways.
        planner: makes plans of what is asked for.
        wake: lets the controller look at once.
    """

    registry: Registry
    tables: Tables
    planner: Planner
    wake: Callable[[], None] = lambda: None

    @property
    def types(self) -> Mapping[str, ModelType]:
        """What each type of model is held to."""
        return self.planner.types

    def propose(self, asked: Asked) -> Proposal:
        """The plan of a specification with its forecast; nothing begins.

        Raises:
            NotFound: the model or a version of it does not exist.
            InvalidInput: no plan can be made; every fault is listed.
            Conflict: the version cannot be a challenger.
        """
        return self.planner.propose(asked).proposal

    def create(self, asked: Asked, *, actor: str) -> Deployment:
        """Start bringing a challenger to traffic.

        Raises:
            NotFound: the model or a version of it does not exist.
            InvalidInput: the plan cannot be carried out, or cannot decide with the traffic there
                is; every fault is listed, with changes that would help.
            Conflict: another deployment is live, or the version cannot be a challenger.
        """
        now = clock.now()
        identity = f"{now:%Y%m%d-%H%M%S-%f}-{secrets.token_hex(2)}"
        found = self.planner.accept(asked, salt=identity)
        spec, plan = found.spec, found.proposal.plan
        challenger, champion = found.challenger, found.champion
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
            reason=f"The gateways are loading {spec.model}@"
            + ", ".join((challenger.version, *spec.others))
            + f". {found.proposal.summary}",
            requested_by=actor,
            created_at=now,
            updated_at=now,
            ended_at=None,
        )
        with turns.turn(self.engine) as connection:
            versions.hold_model(connection, spec.model)
            self._still(connection, deployment)
            deployments.add(connection, deployment)
            self._stage(
                connection,
                spec.model,
                challenger.version,
                Stage.STAGING,
                actor,
                f"{identity} begins",
            )
            self.tables.revise(connection, f"deployment {identity} begins")
        self.tables.publish()
        self.wake()
        return deployment

    def pause(self, deployment_id: str, *, actor: str, reason: str) -> Deployment:
        """Hold a running deployment where it is; evidence goes on and rollback stays live."""
        return self._intervene(deployment_id, interventions.pause, actor, reason)

    def resume(self, deployment_id: str, *, actor: str, reason: str) -> Deployment:
        """Go on with a deployment that a person held; it approves nothing."""

        def decide(connection: Connection, now: Deployment) -> Decision | None:
            lately = deployments.history(connection, now.id)[-2:]
            return interventions.resume(now, lately)

        return self._act(deployment_id, decide, actor, reason)

    def approve(
        self, deployment_id: str, *, actor: str, reason: str, step: int | None = None
    ) -> Deployment:
        """Let through a gate that has passed, that of ``step``; refused where none waits."""

        def decide(connection: Connection, now: Deployment) -> Decision | None:
            last = deployments.history(connection, now.id)[-1]
            return _unharmed(connection, now, interventions.approve(now, last, step))

        return self._act(deployment_id, decide, actor, reason)

    def promote(self, deployment_id: str, *, actor: str, reason: str) -> Deployment:
        """Give the challenger all traffic now, whatever the evidence says.

        Raises:
            NotFound: there is none of this id.
            Conflict: it has ended, its challenger is not loaded yet, or was dropped as harmful.
        """

        def decide(connection: Connection, now: Deployment) -> Decision | None:
            return _unharmed(connection, now, interventions.promote(now))

        return self._act(deployment_id, decide, actor, reason)

    def abort(self, deployment_id: str, *, actor: str, reason: str) -> Deployment:
        """Give all traffic back to the champion and end; always possible while live."""
        return self._intervene(deployment_id, interventions.abort, actor, reason)

    def retry(self, deployment_id: str, *, actor: str, reason: str) -> Deployment:
        """Take up again what ended without success: same plan, step, evidence and entities.

        Raises:
            NotFound: there is none of this id.
            Conflict: it never ended, it succeeded, another is live or newer, the champion is
                another by now, its model is on its way back to another version, or its evidence
                would end it at once.
        """

        def decide(connection: Connection, now: Deployment) -> Decision | None:
            versions.hold_model(connection, now.model)
            if (decision := interventions.retry(now, _Around(connection, now))) is not None:
                _check_no_way_back(connection, now)
            return decision

        return self._act(deployment_id, decide, actor, reason)

    def place(
        self, model: str, version: str, stage: Stage, *, actor: str, reason: str
    ) -> ModelVersion:
        """Move a version to a stage by hand and let the gateways know.

        A version that stands nowhere passes through Staging on its way to Production. Who is
        placed there is not overruled by a rollback that still had its version loaded: it ends.

        Raises:
            NotFound: there is no such version.
            Conflict: a deployment of the model is live, which alone decides on what serves it, or
                the version cannot move there.
        """
        self.registry.get(model, version)
        with turns.turn(self.engine) as connection:
            versions.hold_model(connection, model)
            for live in deployments.live(connection, model):
                if stage is Stage.PRODUCTION:
                    raise Conflict(
                        f"the deployment {live.id} decides on what serves {model}",
                        where=f"{model} {version}",
                        remedy=f"Wait, or end it: serinus deployments abort {live.id}.",
                    )
            why = reason or f"By hand, by {actor}."
            self._stage(connection, model, version, stage, actor, why)
            back = rollbacks.find_open(connection, model)
            if stage is Stage.PRODUCTION and back is not None and back.state is State.WARMING:
                why = f"{actor} has placed {version} in Production meanwhile. {why}"
                rollbacks.give_up(connection, back, clock.now(), why)
        self._tell(model)
        return self.registry.get(model, version)

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
        moved = self.move(connection, deployment, decision, actor=actor, at=at)
        self.tables.revise(connection, f"deployment {deployment.id} is {decision.phase}")
        return moved

    def move(
        self,
        connection: Connection,
        deployment: Deployment,
        decision: Decision,
        *,
        actor: str,
        at: datetime,
    ) -> Deployment:
        """The same without the revision, which the caller makes for all that moved at once."""
        moved = deployments.move(connection, deployment, decision, actor=actor, at=at)
        for version, stage in _stages_after(deployment, decision.phase):
            self._stage(connection, deployment.model, version, stage, actor, decision.reason)
        if decision.phase is Phase.ROLLED_BACK:
            criteria = rollbacks.criteria(connection, self.types, deployment.model)
            rollbacks.begin(connection, deployment, decision, criteria, actor=actor, at=at)
        return moved

    def _still(self, connection: Connection, deployment: Deployment) -> None:
        """Refuse a plan that was made against another champion than there is by now."""
        holder = versions.champions(connection, deployment.model).get(deployment.model)
        if (holder[0] if holder else None) != deployment.champion:
            raise Conflict(
                "the champion changed at the same moment",
                where=f"deployment of {deployment.model} {deployment.challenger}",
                remedy="Look who it is now, and ask again.",
            )
        _check_no_way_back(connection, deployment)

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

    def _intervene(
        self,
        deployment_id: str,
        decide: Callable[[Deployment], Decision | None],
        actor: str,
        reason: str,
    ) -> Deployment:
        return self._act(deployment_id, lambda _, now: decide(now), actor, reason)

    def _act(
        self,
        deployment_id: str,
        decide: Callable[[Connection, Deployment], Decision | None],
        actor: str,
        reason: str,
    ) -> Deployment:
        """Look and act in one transaction; what is done already is left as it is."""
        with turns.turn(self.engine) as connection:
            now = deployments.get(connection, deployment_id)
            try:
                decision = decide(connection, now)
            except interventions.Over as refusal:
                remedy = interventions.after_end(now, _Around(connection, now))
                raise Conflict(refusal.what, where=refusal.where, remedy=remedy) from None
            if decision is None:
                return now
            why = reason or f"By hand, by {actor}."
            decision = msgspec.structs.replace(decision, reason=why)
            moved = self.apply(connection, now, decision, actor=actor, at=clock.now())
        self._tell(now.model)
        return moved

    def _tell(self, model: str) -> None:
        """Gateways first, then the controller, then what only people look at."""
        self.tables.publish()
        self.wake()
        self.registry.mirror_soon(model)


@dataclass(frozen=True)
class _Around:
    """What decides on what can be done with a deployment that may have ended, read when asked."""

    connection: Connection
    deployment: Deployment

    @cached_property
    def newest(self) -> str:
        return deployments.newest(self.connection, self.deployment.model) or self.deployment.id

    @cached_property
    def live(self) -> str | None:
        live = deployments.live(self.connection, self.deployment.model)
        return next((item.id for item in live), None)

    @cached_property
    def champion(self) -> str | None:
        holders = versions.champions(self.connection, self.deployment.model).values()
        return next((version for version, _ in holders), None)

    @cached_property
    def onward(self) -> int:
        return interventions.retried_step(self.deployment, self._history)

    @cached_property
    def verdict(self) -> Verdict:
        return steering.retried(self.connection, self.deployment, self.onward)

    @cached_property
    def again(self) -> bool:
        return any(move.from_phase != move.to_phase == Phase.PENDING for move in self._history)

    @cached_property
    def _history(self) -> Sequence[Transition]:
        return deployments.history(self.connection, self.deployment.id)


def _check_no_way_back(connection: Connection, deployment: Deployment) -> None:
    """Refuse to begin while a rollback is having its version loaded."""
    back = rollbacks.find_open(connection, deployment.model)
    if back is not None and back.state is State.WARMING:
        raise Conflict(
            f"{deployment.model} is on its way back to {back.to} (rollback {back.id})",
            where=f"deployment of {deployment.model} {deployment.challenger}",
            remedy="Wait until it is routed: serinus rollbacks show " + back.id,
        )


def _unharmed(
    connection: Connection, deployment: Deployment, decision: Decision | None
) -> Decision | None:
    """The decision, unless it gives all traffic to a challenger that its experiment dropped."""
    if decision is None or decision.phase is not Phase.SOAKING:
        return decision
    state = experiments.load(connection, deployment.id)
    if state is None:
        return decision
    harm = state.dropped.get(deployment.challengers.index(deployment.challenger))
    if harm is not None:
        raise Conflict(
            f"{deployment.challenger} was dropped from this experiment",
            where=deployment.id,
            faults=[harm],
            remedy=f"Abort it, and deploy another version: serinus deployments abort "
            f"{deployment.id}.",
        )
    return decision


def _stages_after(deployment: Deployment, phase: Phase) -> list[tuple[str, Stage]]:
    """Which versions change their stage when a deployment enters a phase, in this order."""
    if phase is Phase.SOAKING:
        return [(deployment.challenger, Stage.PRODUCTION)]
    if phase is Phase.PENDING:
        return [(deployment.challenger, Stage.STAGING)]
    ended_badly = phase in (Phase.ROLLED_BACK, Phase.ABORTED, Phase.INCONCLUSIVE)
    if deployment.phase is Phase.SOAKING and ended_badly:
        # To enter Production archives the challenger, which held it.
        if deployment.champion is not None:
            return [(deployment.champion, Stage.PRODUCTION)]
        # A first version that a person stops goes on, as nobody else could answer; one that cannot
        # be loaded answers nobody.
        return [(deployment.challenger, Stage.ARCHIVED)] if phase is Phase.ROLLED_BACK else []
    if phase is Phase.ROLLED_BACK:
        return [(deployment.challenger, Stage.ARCHIVED)]
    return []
