"""A field of a specification decides the plan of its strategy, or it is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.delivery.planning import uses
from serinus.delivery.planning.plan import Basis, make_plan, quality_scale
from serinus.delivery.planning.strategies import STRATEGIES
from serinus.delivery.types import DeploymentSpec, Plan, Strategy

BASIS = Basis(
    quality_scale("classification", {"accuracy": 0.9}),
    tuple(number / 10 for number in range(1, 10)),
    (0, 1),
)
ALWAYS = {"model", "challenger", "champion", "strategy"}
# Another value than the usual one of each field, alone or with what it needs.
OTHERWISE: dict[str, dict[str, Any]] = {
    "shares": {"shares": (0.3,)},
    "shadow": {"shadow": False},
    "labels": {"labels": False, "metric": "latency"},
    "unit": {"unit": "entity"},
    "error_odds": {"error_odds": 3.0},
    "error_points": {"error_points": 0.01},
    "quality_points": {"quality_points": 0.03},
    "quality_tolerance": {"quality_tolerance": 0.005},
    "latency_ratio": {"latency_ratio": 1.5},
    "latency_tolerance": {"latency_tolerance": 0.2},
    "latency_slack_ms": {"latency_slack_ms": 2.0},
    "service_level": {"service_level": 0.1},
    "score_shift": {"score_shift": 0.2},
    "class_odds": {"class_odds": 2.0},
    "disagreement": {"disagreement": 0.2},
    "value_floor": {"value_floor": -1.0},
    "value_cap": {"value_cap": 2.0},
    "value_loss": {"value_loss": 0.3},
    "alphas": {"alphas": {"shadow_errors": 0.002}},
    "min_requests": {"min_requests": 300},
    "min_seconds": {"min_seconds": 60.0},
    "max_hours": {"max_hours": 48.0},
    "label_window_seconds": {"label_window_seconds": 60.0},
    "soak_seconds": {"soak_seconds": 60.0},
    "auto_promote": {"auto_promote": False},
    "approvals": {"approvals": True},
    "clone": {"clone": 0.5},
    "soak_mirror": {"soak_mirror": 0.5},
    "replicas": {"replicas": 9},
    "batch": {"batch": 2},
    "others": {"others": ("3",)},
    "split": {"split": (0.2,)},
    "metric": {"metric": "latency"},
    "min_hours": {"min_hours": 12.0},
    "confidence": {"confidence": 0.9},
    "covariate": {"covariate": "amount"},
    "allocation": {"allocation": "thompson"},
}
# How many entities there are decides whether a plan can be carried out, not the plan.
FORETOLD = {"entities"}


def spec(strategy: Strategy, **fields: Any) -> DeploymentSpec:
    usual = {"replicas": 4} if strategy == "rolling" else {}
    # So that a floor and a loss mean something.
    worth = {"value_cap": 1.0}
    return DeploymentSpec(
        model="m", challenger="2", strategy=strategy, **{**usual, **worth, **fields}
    )


def meaning(plan: Plan) -> dict[str, Any]:
    """Of a plan, what somebody will ever act on."""
    live = any(not step.shadow for step in plan.steps)
    asked = [step.gate for step in plan.steps]
    found: dict[str, Any] = msgspec.to_builtins(plan)
    kinds = {"shadow_errors", "shadow_quality", "disagreement"}
    kinds |= {"service_level"} if plan.promotes else set()
    found["guardrails"] = [rail for rail in plan.guardrails if live or rail.kind in kinds]
    if not live:
        for name in ("latency", "value"):
            del found[name]
    elif not any(gate.latency_ratio for gate in asked):
        for name in ("early_ratio", "last_ratio"):
            del found["latency"][name]
    if not plan.promotes:
        for name in ("soak_seconds", "soak_mirror", "auto_promote"):
            del found[name]
    return found


def test_every_field_is_looked_at() -> None:
    known = set(DeploymentSpec.__struct_fields__)

    assert set(OTHERWISE) | ALWAYS | FORETOLD == known
    assert set().union(*uses.FIELDS.values()) == known
    assert set(uses.FIELDS) == set(STRATEGIES)


@given(st.sampled_from(sorted(STRATEGIES)), st.sampled_from(sorted(OTHERWISE)))
def test_field_changes_what_the_plan_means_or_is_refused(strategy: Strategy, name: str) -> None:
    usual, other = spec(strategy), spec(strategy, **OTHERWISE[name])
    said = [name]

    plans = [meaning(make_plan(one, BASIS, salt="d")) for one in (usual, other)]
    refused = list(uses.faults(other, said, "classification"))

    assert (plans[0] != plans[1]) == (not refused)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_names_and_numbers_of_entities_serve_every_strategy(strategy: Strategy) -> None:
    assert not list(uses.faults(spec(strategy), sorted(ALWAYS | FORETOLD), None))


def test_fault_names_who_uses_the_field() -> None:
    said = ["split", "batch", "shares"]

    assert list(uses.faults(spec("shadow"), [*said, "error_odds"], None)) == [
        "split: shadow does not use it; ab_test does",
        "batch: shadow does not use it; rolling does",
        "shares: shadow does not use it; canary does",
        "error_odds: shadow does not use it; canary and rolling do",
    ]
    (fault,) = uses.faults(spec("ab_test"), ["min_seconds"], None)
    assert (
        fault == "min_seconds: ab_test does not use it; shadow, blue_green, canary and rolling do"
    )


@pytest.mark.parametrize(
    ("said", "fields", "task", "told"),
    [
        (["quality_points"], {}, "classification", ""),
        (["quality_points"], {"metric": "recall:fraud"}, "classification", ""),
        (["quality_points", "min_requests"], {"min_requests": 9}, None, "which min_requests says"),
        (["quality_points"], {"metric": "revenue"}, None, "which revenue is not"),
        (["quality_points"], {}, "regression", "which that of a regression is not"),
    ],
    ids=["rate", "rate of a class", "sample is said", "worth", "usual of numbers"],
)
def test_points_of_an_ab_test_are_for_its_sample_alone(
    said: list[str], fields: dict[str, Any], task: str | None, told: str
) -> None:
    found = list(uses.faults(spec("ab_test", **fields), said, task))

    assert len(found) == bool(told)
    assert all(told in fault for fault in found)
