"""Deployments as values, for tests that need no registry."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from serinus.delivery.plan import make_plan, plan_hash, quality_scale
from serinus.delivery.types import Deployment, DeploymentSpec, Outcome, Phase

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def deployment(spec: DeploymentSpec | None = None, **changes: object) -> Deployment:
    """A canary of ``fraud`` 1.1.0 against 1.0.0 in its shadow step, with changes."""
    spec = spec or DeploymentSpec(model="fraud", challenger="1.1.0")
    scale = quality_scale("classification", {"accuracy": 0.95})
    plan = make_plan(spec, salt="d1", quality=scale, first=False)
    sample = Deployment(
        id="d1",
        model=spec.model,
        champion="1.0.0",
        challenger=spec.challenger,
        strategy=spec.strategy,
        spec=spec,
        plan=plan,
        plan_hash=plan_hash(plan),
        phase=Phase.RUNNING,
        step=0,
        step_entered_at=NOON,
        verdict=Outcome.NO_DATA,
        reason="",
        requested_by="test",
        created_at=NOON,
        updated_at=NOON,
        ended_at=None,
    )
    return msgspec.structs.replace(sample, **changes)
