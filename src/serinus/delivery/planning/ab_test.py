"""A/B tests: versions side by side at fixed shares, and one planned end at which they are asked."""

from __future__ import annotations

from collections.abc import Mapping

from serinus.delivery.types import DeploymentSpec, Experiment, Gate, Step

LEAST_SHARE = 0.01
"""Of the champion and of each challenger: with less an A/B test compares nothing in its time."""

SPARE_SECONDS = 3600.0
"""Between the time at which an A/B test should have ended and the one at which it is given up."""


USUAL: Mapping[str, str] = {"classification": "accuracy", "regression": "mse"}
"""By task, the metric of a specification that names none."""


def steps(spec: DeploymentSpec) -> list[Step]:
    """One live step, from the first request to the planned end; ``share`` is the first's."""
    return [
        Step(
            share=split(spec)[0],
            mirror=0.0,
            gate=Gate(),
            min_requests=spec.min_requests or 1,
            min_seconds=spec.min_hours * 3600,
            # Labels of the last requests are waited for, and then it ends by itself.
            max_seconds=spec.max_hours * 3600 + spec.label_window_seconds + SPARE_SECONDS,
            approval=spec.approvals,
        )
    ]


def experiment(spec: DeploymentSpec, task: str) -> Experiment:
    """What is compared, by what, and when it is asked."""
    return Experiment(
        challengers=(spec.challenger, *spec.others),
        split=split(spec),
        metric=spec.metric or USUAL[task],
        min_seconds=spec.min_hours * 3600,
        planned_seconds=spec.max_hours * 3600,
        confidence=spec.confidence,
        covariate=spec.covariate,
        allocation=spec.allocation,
    )


def split(spec: DeploymentSpec) -> tuple[float, ...]:
    """The share of each challenger; nobody having said, all versions have equal parts."""
    challengers = 1 + len(spec.others)
    return spec.split or (1.0 / (challengers + 1),) * challengers
