"""From a specification to a plan: its steps, its guardrails and what they are judged by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from serinus.delivery.experiments import metrics
from serinus.delivery.planning import ab_test, faults, positives, sample, strategies
from serinus.delivery.planning.budget import ALPHAS, PROMOTE_ALPHA
from serinus.delivery.types import (
    DeploymentSpec,
    Experiment,
    Guardrail,
    Kind,
    LatencyScale,
    Plan,
    QualityScale,
    ValueScale,
)
from serinus.delivery.verdicts.evidence import MOST_CLASSES, SCORE_BINS
from serinus.errors import InvalidInput
from serinus.stats import bins
from serinus.stats.bins import NumericBins
from serinus.stats.class_tallies import Tally
from serinus.wire import BreakerRules

LABEL_COVERAGE = 0.995
LOAD_SECONDS = 120.0
# How much a challenger may answer otherwise where no label can say whether it is right.
SCORE_SHIFT = 0.10
CLASS_ODDS = 1.5
DISAGREEMENT = 0.30
# The share of mirrored requests that the champion answers twice for the report alone.
CLONE = 0.1
# Of fewer answers the tenths would be guesses.
FEWEST_PROFILED = 100
# Losses beyond five typical errors count as five: one outlier must not decide a rollout.
REGRESSION_CAP = 5.0
# A gain in the middle of its scale until better is known: it sets the speed only.
VALUE_BASELINE = 0.2


@dataclass(frozen=True)
class Basis:
    """What is known of the champion (of the first version, where there is none) at plan time.

    Attributes:
        quality: how a label becomes a loss.
        score_cuts: the nine scores between the tenths of its answers; none if unknown.
        classes: the classes it predicts, none for a regression.
        first: whether no champion exists: nothing to compare with, so no step before all traffic.
        workers: live gateway workers; a rolling plan that names no replicas replaces those.
        breaker: when a gateway asks a version of this model's type no more.
        loss: the share of its answers that were wrong lately; None if unknown.
        tallies: of its classes, on rows it did not learn from; none if unknown.
        second: of two classes, the share of its answers that claimed the second; None if unknown.
    """

    quality: QualityScale
    score_cuts: tuple[float, ...] = ()
    classes: tuple[str | int | bool, ...] = ()
    first: bool = False
    workers: int = 1
    breaker: BreakerRules = field(default_factory=BreakerRules)
    loss: float | None = None
    tallies: tuple[Tally, ...] = ()
    second: positives.Share | None = None


def make_plan(spec: DeploymentSpec, basis: Basis, *, salt: str) -> Plan:
    """The plan of a specification.

    Args:
        spec: what was asked for.
        basis: what is known of the champion.
        salt: the deployment's id, so that each deployment draws its arms anew.

    Raises:
        InvalidInput: listing every fault of the specification.
    """
    spec = strategies.complete(spec, workers=basis.workers)
    wrong = faults.of(spec, first=basis.first, task=basis.quality.task)
    if not wrong and spec.strategy == "ab_test" and spec.metric:
        wrong = metrics.faults(spec.metric, basis.quality.task, basis.classes)
    if wrong:
        raise InvalidInput(
            "the plan cannot be carried out",
            where=f"deployment of {spec.model}",
            faults=wrong,
            remedy="Correct these; nothing was changed.",
        )
    spec = whole(spec, basis)
    return Plan(
        steps=() if basis.first else strategies.steps(spec),
        guardrails=_guardrails(spec, basis),
        quality=basis.quality,
        latency=LatencyScale(
            tolerance=spec.latency_tolerance,
            slack_us=1e3 * spec.latency_slack_ms,
            early_ratio=strategies.EARLY_LATENCY * spec.latency_ratio,
            last_ratio=spec.latency_ratio,
        ),
        value=None
        if spec.value_cap is None
        else ValueScale(spec.value_floor, spec.value_cap, VALUE_BASELINE),
        score_cuts=basis.score_cuts,
        classes=basis.classes[:MOST_CLASSES],
        same_within=basis.quality.cap / REGRESSION_CAP
        if basis.quality.task == "regression"
        else 0.0,
        promote_alpha=PROMOTE_ALPHA,
        unit=spec.unit,
        salt=salt,
        label_window_seconds=spec.label_window_seconds,
        label_coverage=LABEL_COVERAGE,
        load_seconds=LOAD_SECONDS,
        # Without a former champion there is nothing to keep warm.
        soak_seconds=0.0 if basis.first else spec.soak_seconds,
        auto_promote=spec.auto_promote,
        promotes=spec.strategy != "shadow",
        soak_mirror=0.0 if basis.first else spec.soak_mirror,
        clone=_clone(spec),
        breaker=basis.breaker,
        experiment=_experiment(spec, basis) if spec.strategy == "ab_test" else None,
    )


def whole(spec: DeploymentSpec, basis: Basis) -> DeploymentSpec:
    """A sound specification with all that nobody said, the sample of an A/B test as well.

    Raises:
        InvalidInput: no reachable sample finds what the specification wants found, or nobody can
            say how many do, as the class that it asks about never came.
    """
    spec = strategies.complete(spec, workers=basis.workers)
    if spec.min_requests is not None:
        return spec
    test = _experiment(spec, basis)
    if unseen := positives.unseen(_metric(test, basis), basis.tallies):
        raise sample.refusal(test, unseen, points=spec.quality_points)
    found = sample.units(
        test,
        points=spec.quality_points,
        loss=basis.quality.baseline if basis.loss is None else basis.loss,
    )
    return msgspec.structs.replace(spec, min_requests=found)


def _experiment(spec: DeploymentSpec, basis: Basis) -> Experiment:
    """What is compared, with what is known of the class that the metric asks about."""
    test = ab_test.experiment(spec, basis.quality.task)
    metric = _metric(test, basis)
    known = positives.of(metric, basis.tallies, basis.classes, basis.second)
    return msgspec.structs.replace(test, positives=known)


def _metric(test: Experiment, basis: Basis) -> metrics.Metric:
    return metrics.parse(test.metric, basis.quality.task, basis.classes)


def _guardrails(spec: DeploymentSpec, basis: Basis) -> tuple[Guardrail, ...]:
    """The guardrails that this specification can and wants to judge."""
    blind = not spec.labels
    tolerances: dict[Kind, float | None] = {
        "errors": 0.0,
        "service_level": spec.service_level,
        "latency": 0.0,
        "distribution": _tolerance(spec.score_shift, SCORE_SHIFT, on=blind),
        "class_mix": _tolerance(spec.class_odds, CLASS_ODDS, on=blind),
        "quality": spec.quality_tolerance if spec.labels else None,
        "business": 0.0 if spec.value_cap is not None else None,
        "sample_ratio": 0.0,
        "shadow_errors": 0.0,
        "shadow_quality": spec.quality_tolerance if spec.labels else None,
        "disagreement": _tolerance(spec.disagreement, DISAGREEMENT, on=blind),
    }
    if not basis.score_cuts:
        tolerances["distribution"] = None
    if not basis.classes:
        tolerances["class_mix"] = None
    return tuple(
        Guardrail(kind, spec.alphas.get(kind, ALPHAS[kind]), tolerance)
        for kind, tolerance in tolerances.items()
        if tolerance is not None
    )


def _clone(spec: DeploymentSpec) -> float:
    """All where disagreement is judged: only cloned requests tell it from noise."""
    judged = _tolerance(spec.disagreement, DISAGREEMENT, on=not spec.labels) is not None
    return spec.clone if spec.clone is not None else 1.0 if judged else CLONE


def _tolerance(asked: float | None, default: float, *, on: bool) -> float | None:
    if asked is not None:
        return asked
    return default if on else None


def plan_hash(plan: Plan) -> str:
    """A digest of everything that decides the deployment."""
    canonical = json.dumps(msgspec.to_builtins(plan), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def quality_scale(task: str, metrics: Mapping[str, float]) -> QualityScale:
    """How labels are scored for a champion with these test metrics (accuracy, or mae)."""
    if task == "classification":
        return QualityScale("classification", 1.0, 1.0 - metrics.get("accuracy", 0.9))
    typical = metrics.get("mae", 0.0)
    cap = REGRESSION_CAP * typical if typical > 0 else 1.0
    return QualityScale("regression", cap, 1.0 / REGRESSION_CAP)


def score_cuts(reference: Mapping[str, Any]) -> tuple[float, ...]:
    """The nine scores between the tenths of a version's answers, from its reference profile.

    None if its answers are no numbers or too few were profiled.
    """
    output = reference.get("output", {})
    if not output:
        return ()
    found = bins.from_dict(output["bins"])
    if not isinstance(found, NumericBins) or not np.isfinite([found.lowest, found.highest]).all():
        return ()
    ends = np.array([found.lowest, *found.edges, found.highest])
    inner = np.asarray(output["counts"], float)[1 : len(ends)]
    if inner.sum() < FEWEST_PROFILED:
        return ()
    passed = np.concatenate([[0.0], np.cumsum(inner)]) / inner.sum()
    tenths = np.arange(1, SCORE_BINS) / SCORE_BINS
    return tuple(float(cut) for cut in np.interp(tenths, passed, ends))
