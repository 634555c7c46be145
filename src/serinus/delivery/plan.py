"""Strategies: functions from a short specification to a list of steps, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import msgspec

from serinus.delivery.types import (
    DeploymentSpec,
    Gate,
    Guardrail,
    Plan,
    QualityScale,
    Step,
)
from serinus.errors import InvalidInput

# Each share of the error budget is for a false rollback; together they stay below 5 %.
GUARDRAILS = (
    Guardrail("errors", 0.015),
    Guardrail("quality", 0.010),
    Guardrail("shadow_errors", 0.010),
    Guardrail("shadow_quality", 0.010),
)
# A wrong promotion needs every guardrail to err, so each may use all of this (no split).
PROMOTE_ALPHA = 0.025
LABEL_COVERAGE = 0.995
LOAD_SECONDS = 120.0
# Pairs of failing and not failing: a challenger that fails this much more never goes live.
SHADOW_ERROR_POINTS = 0.02
# Early steps only exclude the catastrophe, or the ramp would take longer than the whole decision.
EARLY_GATES = (
    (0.10, Gate(error_odds=5.0, error_points=0.05, quality_points=0.05)),
    (1.00, Gate(error_odds=3.0, error_points=0.02, quality_points=0.05)),
)
# Losses beyond five typical errors count as five: one outlier must not decide a rollout.
REGRESSION_CAP = 5.0


def make_plan(spec: DeploymentSpec, *, salt: str, quality: QualityScale, first: bool) -> Plan:
    """The plan of a specification.

    Args:
        spec: what was asked for.
        salt: the deployment's id, so that each deployment draws its arms anew.
        quality: how a label becomes a loss for this model.
        first: whether no champion exists: nothing to compare with, so no step before all traffic.

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
    if not first:
        if spec.shadow or spec.strategy == "blue_green":
            steps.append(_shadow_step(spec))
        if spec.strategy == "canary":
            steps.extend(_live_steps(spec))
    kinds = {"errors", "shadow_errors"} | ({"quality", "shadow_quality"} if spec.labels else set())
    return Plan(
        steps=tuple(steps),
        guardrails=tuple(rail for rail in GUARDRAILS if rail.kind in kinds),
        quality=quality,
        promote_alpha=PROMOTE_ALPHA,
        unit=spec.unit,
        salt=salt,
        label_window_seconds=spec.label_window_seconds,
        label_coverage=LABEL_COVERAGE,
        load_seconds=LOAD_SECONDS,
        # Without a former champion there is nothing to keep warm.
        soak_seconds=0.0 if first else spec.soak_seconds,
        auto_promote=spec.auto_promote,
    )


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
    last = Gate(spec.error_odds, spec.error_points, spec.quality_points)
    steps = []
    for number, share in enumerate(spec.shares):
        gate = last
        if number < len(spec.shares) - 1:
            early = next(gate for below, gate in EARLY_GATES if share < below)
            gate = _looser(early, last)
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
    values = {
        name: max(getattr(one, name), getattr(other, name)) for name in Gate.__struct_fields__
    }
    return Gate(**values)


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
        "error_odds: must be above 1 (2 excludes twice the champion's errors)": spec.error_odds
        <= 1,
        "error_points: must lie between 0 and 1 (0.005 is half a point)": not 0
        < spec.error_points
        < 1,
        "quality_points: must lie between 0 and 1 (0.02 is two points)": not 0
        < spec.quality_points
        < 1,
        "min_requests: must be at least 1": spec.min_requests < 1,
        "min_seconds: must not be negative": spec.min_seconds < 0,
        "max_hours: must be above 0": spec.max_hours <= 0,
        "max_hours: must leave room for min_seconds": 0 < spec.max_hours * 3600 < spec.min_seconds,
        "label_window_seconds: must be above 0": spec.label_window_seconds <= 0,
        "soak_seconds: must not be negative": spec.soak_seconds < 0,
    }
    return [text for text, wrong in checks.items() if wrong]
