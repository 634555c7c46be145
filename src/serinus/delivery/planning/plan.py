"""Strategies: functions from a short specification to a list of steps, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

import msgspec
import numpy as np

from serinus.delivery.types import (
    DeploymentSpec,
    Gate,
    Guardrail,
    Kind,
    LatencyScale,
    Plan,
    QualityScale,
    Step,
    ValueScale,
)
from serinus.delivery.verdicts.evidence import MOST_CLASSES, SCORE_BINS
from serinus.errors import InvalidInput
from serinus.stats import bins
from serinus.stats.bins import NumericBins

# The budget for false rollbacks, 5 % in all: most where harm is likeliest and costs most, little
# where a breach is gross and soon found. A plan without a guardrail spends nothing on it.
BUDGET = 0.05
ALPHAS: dict[Kind, float] = {
    "errors": 0.010,
    "service_level": 0.003,
    "latency": 0.008,
    "distribution": 0.003,
    "class_mix": 0.002,
    "quality": 0.006,
    "business": 0.002,
    "sample_ratio": 0.001,
    "shadow_errors": 0.003,
    "shadow_quality": 0.010,
    "disagreement": 0.002,
}
# A wrong promotion needs every guardrail to err, so each may use all of this (no split).
PROMOTE_ALPHA = 0.025
LABEL_COVERAGE = 0.995
LOAD_SECONDS = 120.0
# Pairs of failing and not failing: a challenger that fails this much more never goes live.
SHADOW_ERROR_POINTS = 0.02
# A delivered share further off than a tenth would bend every comparison of the arms.
SHARE_ERROR = 0.10
# Early steps only exclude the catastrophe, or the ramp would take longer than the whole decision.
EARLY_GATES = (
    (0.10, Gate(error_odds=20.0, error_points=0.20, quality_points=0.10)),
    (1.00, Gate(error_odds=4.0, error_points=0.04, quality_points=0.05)),
)
# So many times the last gate's latency ratio: half slower, where the last excludes a quarter.
EARLY_LATENCY = 1.2
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
    """

    quality: QualityScale
    score_cuts: tuple[float, ...] = ()
    classes: tuple[str | int | bool, ...] = ()
    first: bool = False


def make_plan(spec: DeploymentSpec, basis: Basis, *, salt: str) -> Plan:
    """The plan of a specification.

    Args:
        spec: what was asked for.
        basis: what is known of the champion.
        salt: the deployment's id, so that each deployment draws its arms anew.

    Raises:
        InvalidInput: listing every fault of the specification.
    """
    faults = _faults(spec)
    if faults:
        raise InvalidInput(
            "the plan cannot be carried out",
            where=f"deployment of {spec.model}",
            faults=faults,
            remedy="Correct these; nothing was changed.",
        )
    steps: list[Step] = []
    if not basis.first:
        if spec.shadow or spec.strategy == "blue_green":
            steps.append(_shadow_step(spec))
        if spec.strategy == "canary":
            steps.extend(_live_steps(spec))
    return Plan(
        steps=tuple(steps),
        guardrails=_guardrails(spec, basis),
        quality=basis.quality,
        latency=LatencyScale(
            tolerance=spec.latency_tolerance,
            slack_us=1e3 * spec.latency_slack_ms,
            early_ratio=EARLY_LATENCY * spec.latency_ratio,
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
        clone=_clone(spec),
    )


def _guardrails(spec: DeploymentSpec, basis: Basis) -> tuple[Guardrail, ...]:
    """The guardrails that this specification can and wants to judge."""
    blind = not spec.labels
    tolerances: dict[Kind, float | None] = {
        "errors": 0.0,
        "service_level": spec.service_level,
        "latency": 0.0,
        "distribution": _tolerance(spec.score_shift, SCORE_SHIFT, on=blind),
        "class_mix": _tolerance(spec.class_odds, CLASS_ODDS, on=blind),
        "quality": 0.0 if spec.labels else None,
        "business": 0.0 if spec.value_cap is not None else None,
        "sample_ratio": 0.0,
        "shadow_errors": 0.0,
        "shadow_quality": 0.0 if spec.labels else None,
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


def _shadow_step(spec: DeploymentSpec) -> Step:
    return Step(
        share=0.0,
        mirror=1.0,
        gate=Gate(
            error_points=SHADOW_ERROR_POINTS,
            quality_points=spec.quality_points if spec.labels else None,
        ),
        min_requests=spec.min_requests,
        min_seconds=spec.min_seconds,
        max_seconds=spec.max_hours * 3600,
        approval=spec.approvals,
    )


def _live_steps(spec: DeploymentSpec) -> list[Step]:
    last = Gate(
        error_odds=spec.error_odds,
        error_points=spec.error_points,
        quality_points=spec.quality_points,
        latency_ratio=spec.latency_ratio,
    )
    steps = []
    for number, share in enumerate(spec.shares):
        gate = last
        if number < len(spec.shares) - 1:
            early = next(gate for below, gate in EARLY_GATES if share < below)
            gate = _looser(early, last)
            gate = msgspec.structs.replace(gate, latency_ratio=EARLY_LATENCY * spec.latency_ratio)
        else:
            gate = msgspec.structs.replace(
                last,
                value_loss=spec.value_loss,
                score_shift=2 * spec.score_shift if spec.score_shift else None,
                share_error=SHARE_ERROR,
            )
        if spec.shadow or not spec.labels:
            # Pairs have settled quality before; live labels may still take the version back.
            gate = msgspec.structs.replace(gate, quality_points=None)
        steps.append(
            Step(
                share=share,
                mirror=0.0,
                gate=gate,
                min_requests=spec.min_requests,
                min_seconds=spec.min_seconds,
                max_seconds=spec.max_hours * 3600,
                approval=spec.approvals,
            )
        )
    return steps


def _looser(one: Gate, other: Gate) -> Gate:
    return Gate(
        **{
            name: max(getattr(one, name), getattr(other, name))
            for name in Gate.__struct_fields__
            if getattr(one, name) is not None and getattr(other, name) is not None
        }
    )


def _faults(spec: DeploymentSpec) -> list[str]:
    checks = {
        "shares: at least one share is needed for a canary": (
            spec.strategy == "canary" and not spec.shares
        ),
        "shares: each must lie between 0 and 1 (0.05 is 5 %), ends excluded": any(
            not 0 < share < 1 for share in spec.shares
        ),
        "shares: each must be larger than the one before": any(
            later <= earlier for earlier, later in zip(spec.shares, spec.shares[1:], strict=False)
        ),
        "error_odds: must be above 1 (2 excludes twice the champion's errors)": not 1
        < spec.error_odds
        < inf,
        "error_points: must lie between 0 and 1 (0.005 is half a point)": not 0
        < spec.error_points
        < 1,
        "quality_points: must lie between 0 and 1 (0.02 is two points)": not 0
        < spec.quality_points
        < 1,
        "latency_ratio: must be above 1 (1.25 excludes a quarter slower)": not 1
        < spec.latency_ratio
        < inf,
        "latency_tolerance: must not be negative": not 0 <= spec.latency_tolerance < inf,
        "latency_slack_ms: must not be negative": not 0 <= spec.latency_slack_ms < inf,
        "service_level: must lie between 0 and 1 (0.05 lets 5 % fail)": not 0
        < spec.service_level
        < 1,
        "score_shift: must lie between 0 and 1": not _within(spec.score_shift, 0, 1),
        "class_odds: must be above 1 (1.5 allows half more or a third less)": not _within(
            spec.class_odds, 1, inf
        ),
        "disagreement: must lie between 0 and 1": not _within(spec.disagreement, 0, 1),
        "value_cap: must be above value_floor": spec.value_cap is not None
        and not -inf < spec.value_floor < spec.value_cap < inf,
        "value_loss: must lie between 0 and 1, and needs value_cap": not _within(
            spec.value_loss, 0, 1
        )
        or (spec.value_loss is not None and spec.value_cap is None),
        "clone: must lie between 0 and 1": spec.clone is not None and not 0 <= spec.clone <= 1,
        "entities: must be at least 1": spec.entities is not None and spec.entities < 1,
        "entities: needs unit = entity": spec.entities is not None and spec.unit != "entity",
        "alphas: each must lie between 0 and 1": not all(
            0 < alpha < 1 for alpha in spec.alphas.values()
        ),
        f"alphas: with those left out they must not exceed {BUDGET:g} together": sum(
            {**ALPHAS, **spec.alphas}.values()
        )
        > BUDGET + 1e-9,
        "min_requests: must be at least 1": spec.min_requests < 1,
        "min_seconds: must not be negative": not 0 <= spec.min_seconds < inf,
        "max_hours: must be above 0": not 0 < spec.max_hours < inf,
        "max_hours: must leave room for min_seconds": 0 < spec.max_hours * 3600 < spec.min_seconds,
        "label_window_seconds: must be above 0": not 0 < spec.label_window_seconds < inf,
        "soak_seconds: must not be negative": not 0 <= spec.soak_seconds < inf,
    }
    return [text for text, wrong in checks.items() if wrong]


def _within(value: float | None, low: float, high: float) -> bool:
    return value is None or low < value < high
