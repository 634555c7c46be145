"""Strategies: functions from a short specification to a list of steps, and nothing else.

One engine carries all of them out, whatever they are called; a step is a share of the requests or
a mirror, what the evidence must exclude before the next one, and how long that may take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from serinus.delivery.planning import ab_test
from serinus.delivery.types import DeploymentSpec, Gate, Step, Strategy

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
FEWEST_REPLICAS = 2
"""Of a rolling plan that names none: with one there would be nothing between none and all."""

FEWEST_REQUESTS = 200
"""Of a step where nobody says; the sample of an A/B test is another matter."""


def complete(spec: DeploymentSpec, *, workers: int) -> DeploymentSpec:
    """The specification with the requests and, if it is rolling, the replicas that nobody said.

    The sample of an A/B test needs more to be known: :func:`serinus.delivery.planning.plan.whole`.

    Args:
        spec: what was asked for.
        workers: live gateway workers.
    """
    if spec.strategy == "rolling" and spec.replicas is None:
        spec = msgspec.structs.replace(spec, replicas=max(workers, FEWEST_REPLICAS))
    if spec.strategy != "ab_test" and spec.min_requests is None:
        spec = msgspec.structs.replace(spec, min_requests=FEWEST_REQUESTS)
    return spec


def steps(spec: DeploymentSpec) -> tuple[Step, ...]:
    """The steps of a sound and complete specification."""
    return tuple(STRATEGIES[spec.strategy](spec))


def shadow(spec: DeploymentSpec) -> list[Step]:
    """Watched on the champion's requests and never answering: only to find out."""
    return [_mirror(spec)]


def canary(spec: DeploymentSpec) -> list[Step]:
    """Watched unseen first, unless that is not wanted; then share by share."""
    return [*_watched(spec), *_ramp(spec, spec.shares)]


def blue_green(spec: DeploymentSpec) -> list[Step]:
    """Watched unseen on all requests; then all traffic in one revision."""
    return [_mirror(spec)]


def rolling(spec: DeploymentSpec) -> list[Step]:
    """A batch of replicas after the other, each a share of the requests.

    The arm is drawn for each request whatever replica answers, so that every guardrail stays
    valid; a gateway needs no replicas of its own for that.
    """
    replicas = spec.replicas or FEWEST_REPLICAS
    replaced = range(spec.batch, replicas, spec.batch)
    shares = [count / replicas for count in replaced]
    ramp = _ramp(spec, shares)
    return [
        *_watched(spec),
        *(
            msgspec.structs.replace(step, replicas=count)
            for step, count in zip(ramp, replaced, strict=True)
        ),
    ]


STRATEGIES: Mapping[Strategy, Callable[[DeploymentSpec], list[Step]]] = {
    "shadow": shadow,
    "canary": canary,
    "blue_green": blue_green,
    "rolling": rolling,
    "ab_test": ab_test.steps,
}


def _watched(spec: DeploymentSpec) -> list[Step]:
    return [_mirror(spec)] if spec.shadow else []


def _mirror(spec: DeploymentSpec) -> Step:
    return Step(
        share=0.0,
        mirror=1.0,
        gate=Gate(
            error_points=SHADOW_ERROR_POINTS,
            quality_points=spec.quality_points if spec.labels else None,
        ),
        min_requests=FEWEST_REQUESTS if spec.min_requests is None else spec.min_requests,
        min_seconds=spec.min_seconds,
        max_seconds=spec.max_hours * 3600,
        approval=spec.approvals,
    )


def _ramp(spec: DeploymentSpec, shares: Sequence[float]) -> list[Step]:
    """Live steps at these shares: early ones exclude the catastrophe, the last what was asked."""
    return [
        Step(
            share=share,
            mirror=0.0,
            gate=_early(spec, share) if share < shares[-1] else _last(spec),
            min_requests=FEWEST_REQUESTS if spec.min_requests is None else spec.min_requests,
            min_seconds=spec.min_seconds,
            max_seconds=spec.max_hours * 3600,
            approval=spec.approvals,
        )
        for share in shares
    ]


def _early(spec: DeploymentSpec, share: float) -> Gate:
    usual = next(gate for below, gate in EARLY_GATES if share < below)
    return Gate(
        error_odds=_looser(usual.error_odds, spec.error_odds),
        error_points=_looser(usual.error_points, spec.error_points),
        quality_points=_live_quality(spec, _looser(usual.quality_points, spec.quality_points)),
        latency_ratio=EARLY_LATENCY * spec.latency_ratio,
    )


def _last(spec: DeploymentSpec) -> Gate:
    return Gate(
        error_odds=spec.error_odds,
        error_points=spec.error_points,
        quality_points=_live_quality(spec, spec.quality_points),
        latency_ratio=spec.latency_ratio,
        value_loss=spec.value_loss,
        score_shift=2 * spec.score_shift if spec.score_shift else None,
        share_error=SHARE_ERROR,
    )


def _live_quality(spec: DeploymentSpec, points: float) -> float | None:
    """None where pairs settled it before; live labels may still take the version back."""
    return None if spec.shadow or not spec.labels else points


def _looser(usual: float | None, asked: float) -> float:
    return asked if usual is None else max(usual, asked)
