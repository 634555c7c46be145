"""Experiments as a person sees them: looked at, evaluated, brought to their end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Engine, select

from serinus import clock
from serinus.delivery import interventions
from serinus.delivery.experiments import design, measuring, repository, steering
from serinus.delivery.experiments.types import Evaluation
from serinus.delivery.records import deployments
from serinus.delivery.types import Deployment, Phase
from serinus.errors import Conflict
from serinus.store import schema
from serinus.store.engine import reading


class Promote(Protocol):
    """Gives a deployment's challenger all traffic now."""

    def __call__(self, deployment_id: str, *, actor: str, reason: str) -> Deployment:
        """The deployment as it is then."""
        ...


@dataclass(frozen=True)
class Experiments:
    """The experiments of an installation.

    Attributes:
        engine: the store.
        promote: carries out a promotion.
    """

    engine: Engine
    promote: Promote

    def evaluate(self, experiment: str) -> Evaluation:
        """What may be said of an experiment now; nothing changes.

        Raises:
            NotFound: there is no such deployment.
            InvalidInput: it is no experiment.
            Conflict: what is stored of it cannot be read.
        """
        with reading(self.engine) as connection:
            deployment = deployments.get(connection, experiment)
            interventions.check_readable(deployment)
            design.of(deployment)
            state = repository.load(connection, experiment)
            if state is None:
                state = measuring.begin(connection, deployment)
        return steering.evaluation(deployment, state)

    def page(
        self, model: str | None, *, limit: int, after: str | None, live: bool = False
    ) -> list[Deployment]:
        """A page of experiments, newest first.

        Args:
            model: of one model only.
            limit: most of them.
            after: the last id of the page before.
            live: only those that still run.
        """
        table = schema.deployments
        query = select(table.c.id).where(table.c.strategy == "ab_test")
        if model is not None:
            query = query.where(table.c.model == model)
        if after is not None:
            query = query.where(table.c.id < after)
        if live:
            query = query.where(table.c.live_model.is_not(None))
        with reading(self.engine) as connection:
            ids = connection.execute(query.order_by(table.c.id.desc()).limit(limit)).scalars()
            return [deployments.get(connection, identity) for identity in ids.all()]

    def promote_winner(
        self, experiment: str, *, version: str | None, actor: str, reason: str
    ) -> Deployment:
        """Bring the winner of an experiment to production now; done already is done.

        Args:
            experiment: its id.
            version: which challenger; None is the proven winner.
            actor: who asks.
            reason: why, kept in the history.

        Raises:
            NotFound: there is no such deployment.
            InvalidInput: it is no experiment.
            Conflict: there is no proven winner, another version is, or the experiment has ended.
        """
        found = self.evaluate(experiment)
        with reading(self.engine) as connection:
            deployment = deployments.get(connection, experiment)
            live = next(iter(deployments.live(connection, deployment.model)), None)
        winner = self._winner(found, version, deployment)
        steps = len(deployment.plan.steps)
        promoted = deployment.phase in (Phase.SOAKING, Phase.SUCCEEDED)
        if promoted and deployment.challenger == winner and deployment.step >= steps:
            return deployment
        if not deployment.live:
            remedy = f"Deploy {winner}: serinus deploy {deployment.model} {winner}."
            if live is not None:
                remedy = f"Another deployment is live: serinus deployments status {live.id}."
            raise Conflict(
                f"this experiment has ended ({deployment.phase})", where=experiment, remedy=remedy
            )
        with self.engine.begin() as connection:
            steering.crown(connection, experiment, winner, clock.now())
        why = reason or f"Winner of the experiment. {found.recommendation.sentence}"
        return self.promote(experiment, actor=actor, reason=why)

    @staticmethod
    def _winner(found: Evaluation, version: str | None, deployment: Deployment) -> str:
        if found.winner is None:
            dropped = {arm.version for arm in found.arms if arm.dropped}
            remedy = f"What is known: serinus experiments evaluate {found.experiment}."
            if design.is_collecting(deployment) and deployment.challenger not in dropped:
                remedy = (
                    f"To give {deployment.challenger} all traffic all the same: serinus "
                    f"deployments promote {found.experiment}."
                )
            raise Conflict(
                "no challenger is proven better",
                where=found.experiment,
                remedy=f"{found.recommendation.sentence} {remedy}",
            )
        if version is not None and version != found.winner:
            raise Conflict(
                f"{version} is not the winner, {found.winner} is",
                where=found.experiment,
                remedy="Leave the version out, or name the winner.",
            )
        return found.winner
