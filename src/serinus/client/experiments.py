"""Experiments: A/B tests over existing versions as frozen values, and the calls about them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from serinus.client.calls import Call, listing, path_of
from serinus.client.types import Deployment, Page


class Interval(msgspec.Struct, frozen=True):
    """A value with its confidence interval."""

    value: float
    low: float
    high: float


class ExperimentArm(msgspec.Struct, frozen=True):
    """One version's side: how much came of it, and its own metric.

    ``labelled`` is the share of its settled requests whose label came in time, None where the
    metric needs none; ``dropped`` is why it was taken out.
    """

    version: str
    role: str
    share: float
    units: int
    requests: int
    labelled: float | None
    left_out: int
    value: float | None
    error: float | None
    dropped: str = ""


class ExperimentTest(msgspec.Struct, frozen=True):
    """One classical test beside the main one."""

    name: str
    p_value: float
    effect: str
    estimate: Interval


class ExperimentSegment(msgspec.Struct, frozen=True):
    """The difference within one group of requests."""

    feature: str
    group: str
    units: int
    difference: Interval


class Finding(msgspec.Struct, frozen=True):
    """A challenger against the champion: challenger less champion, in the metric's unit.

    ``state`` is better, worse, undecided, no_data or dropped. There are p-values at the planned
    end alone.
    """

    version: str
    state: str
    difference: Interval | None
    relative: Interval | None
    effect: Interval | None
    p_value: float | None
    p_adjusted: float | None
    reduction: float | None
    tests: tuple[ExperimentTest, ...] = ()
    segments: tuple[ExperimentSegment, ...] = ()


class ExperimentProgress(msgspec.Struct, frozen=True):
    """How far an experiment is towards its planned end; ``due`` is the earliest."""

    units: int
    units_planned: int
    seconds: float
    seconds_planned: float
    began_at: datetime | None
    due: datetime | None
    ended_at: datetime | None


class ExperimentAdvice(msgspec.Struct, frozen=True):
    """What to do (promote, keep_champion, go_on, no_difference), and why in one sentence."""

    action: str
    version: str | None
    sentence: str


class Evaluation(msgspec.Struct, frozen=True):
    """What may be said of an experiment now.

    ``view`` is ``before_the_end`` (valid however often it is looked at) or ``at_the_end`` (the
    fixed-horizon report); ``validity`` says what it is good for.
    """

    experiment: str
    model: str
    view: str
    title: str
    validity: str
    metric: str
    unit: str
    rises: bool
    counted_by: str
    confidence: float
    progress: ExperimentProgress
    arms: tuple[ExperimentArm, ...]
    findings: tuple[Finding, ...]
    winner: str | None
    significant: bool
    recommendation: ExperimentAdvice
    notes: tuple[str, ...] = ()


class ExperimentStatus(msgspec.Struct, frozen=True):
    """An experiment: its deployment, and what may be said of it now."""

    deployment: Deployment
    evaluation: Evaluation


def start_experiment(model: str, challenger: str, **fields: Any) -> Call[Deployment]:
    """Begin an A/B test of a challenger against the champion.

    ``fields`` are those of a specification, such as ``others``, ``split``, ``metric``,
    ``min_requests`` (the planned sample), ``min_hours``, ``covariate``, ``allocation``, or their
    common words, such as ``traffic_split`` and ``success_metric``.
    """
    asked = {"model": model, "challenger": challenger, **fields}
    return Call("POST", "/experiments", Deployment, body=asked)


def experiments(
    *, model: str | None = None, live: bool | None = None, after: str | None = None
) -> Call[Page[Deployment]]:
    """Experiments that ran or (with ``live`` only those that) still run, newest first."""
    return listing("/experiments/history", Deployment, after, model=model, live=live)


def experiment(experiment: str) -> Call[ExperimentStatus]:
    """An experiment and what may be said of it now."""
    return Call("GET", path_of("experiments", experiment), ExperimentStatus)


def evaluate(experiment: str) -> Call[Evaluation]:
    """Winner, significance, confidence and recommendation of an experiment."""
    path = path_of("experiments", experiment, "evaluate")
    return Call("POST", path, Evaluation, idempotent=True)


def promote_winner(
    experiment: str, *, version: str | None = None, reason: str = ""
) -> Call[Deployment]:
    """Bring the proven winner of an experiment to production now."""
    body = {"version": version, "reason": reason}
    path = path_of("experiments", experiment, "promote-winner")
    return Call("POST", path, Deployment, body=body, idempotent=True)
