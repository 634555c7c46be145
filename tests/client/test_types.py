from __future__ import annotations

import msgspec
import pytest

from serinus.client import jobs, types
from serinus.client import monitoring as shown
from serinus.delivery import types as delivery
from serinus.delivery.planning import plan as plans
from serinus.monitoring import types as monitoring
from serinus.registry import types as registry
from serinus.scheduling import types as scheduling

# What a service knows and the public shape does not show, on purpose.
HIDDEN = {
    "Version": {"reference"},
    "Job": {"lease_owner", "lease_until", "run_after"},
}


@pytest.mark.parametrize(
    ("public", "inside"),
    [
        (types.Deployment, delivery.Deployment),
        (types.Spec, delivery.DeploymentSpec),
        (types.Plan, delivery.Plan),
        (types.Step, delivery.Step),
        (types.Gate, delivery.Gate),
        (types.Guardrail, delivery.Guardrail),
        (types.QualityScale, delivery.QualityScale),
        (types.LatencyScale, delivery.LatencyScale),
        (types.ValueScale, delivery.ValueScale),
        (types.Verdict, delivery.Verdict),
        (types.Assessment, delivery.Assessment),
        (types.Transition, delivery.Transition),
        (jobs.Job, scheduling.Job),
        (shown.Recommendation, monitoring.Recommendation),
        (types.Version, registry.ModelVersion),
        (types.GateResult, registry.GateResult),
        (types.StageChange, registry.StageChange),
        (types.Comparison, registry.Comparison),
    ],
)
def test_public_shape_shows_what_the_service_knows(
    public: type[msgspec.Struct], inside: type
) -> None:
    names = getattr(inside, "__struct_fields__", None) or tuple(inside.__dataclass_fields__)

    assert set(public.__struct_fields__) == set(names) - HIDDEN.get(public.__name__, set())


def test_step_name_says_where() -> None:
    gate = types.Gate()
    steps = (
        types.Step(0.0, 1.0, gate, 1, 0.0, 1.0),
        types.Step(0.125, 0.0, gate, 1, 0.0, 1.0),
    )
    inside = plans.make_plan(
        delivery.DeploymentSpec(model="m", challenger="2"),
        plans.Basis(delivery.QualityScale("classification", 1.0, 0.1)),
        salt="",
    )
    plan = msgspec.structs.replace(
        msgspec.convert(inside, types.Plan, from_attributes=True), steps=steps
    )

    assert [types.step_name(plan, step) for step in range(3)] == [
        "shadow",
        "12.5 %",
        "all traffic",
    ]
