"""What a deployment's plan asks as an experiment. Pure."""

from __future__ import annotations

from serinus.delivery.experiments.types import Design
from serinus.delivery.types import Deployment, Phase
from serinus.errors import InvalidInput


def of(deployment: Deployment) -> Design:
    """The design of an experiment.

    The planned end comes when the least time is over and the least requests are there, counted in
    units; at the latest when the planned time is over. Neither depends on any outcome.

    Raises:
        InvalidInput: the deployment is no experiment.
    """
    plan = deployment.plan
    asked = plan.experiment
    if asked is None:
        raise InvalidInput(
            f"{deployment.id} is a deployment of the strategy {deployment.strategy}",
            where=deployment.id,
            remedy="Only those of the strategy ab_test are experiments.",
        )
    return Design(
        metric=asked.metric,
        versions=(deployment.champion or "", *asked.challengers),
        shares=asked.split,
        unit=plan.unit,
        units=plan.steps[0].min_requests if plan.steps else 1,
        least_seconds=asked.min_seconds,
        most_seconds=asked.planned_seconds,
        window_seconds=plan.label_window_seconds,
        confidence=asked.confidence,
        covariate=asked.covariate or None,
        allocation=asked.allocation,
    )


def is_collecting(deployment: Deployment) -> bool:
    """Whether an experiment is at its live step, be it paused."""
    live = deployment.phase in (Phase.RUNNING, Phase.PAUSED)
    return deployment.plan.experiment is not None and live
