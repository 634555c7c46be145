"""Strategies write plans; a plan that cannot be carried out names every fault."""

from math import inf, nan

import pytest

from serinus.delivery.planning.budget import ALPHAS
from serinus.delivery.planning.plan import Basis, make_plan, plan_hash, quality_scale
from serinus.delivery.types import DeploymentSpec, Plan
from serinus.errors import InvalidInput

SCALE = quality_scale("classification", {"accuracy": 0.9})


def plan_of(*, first: bool = False, **fields: object) -> Plan:
    spec = DeploymentSpec(model="fraud", challenger="2.0.0", **fields)  # type: ignore[arg-type]
    return make_plan(spec, Basis(SCALE, first=first), salt="d")


def test_canary_plan_watches_in_shadow_then_ramps() -> None:
    steps = plan_of().steps
    assert [(step.share, step.mirror) for step in steps] == [
        (0.0, 1.0),
        (0.05, 0.0),
        (0.25, 0.0),
        (0.5, 0.0),
    ]
    assert steps[0].gate.quality_points == 0.02


def test_canary_plan_gates_get_tighter_and_end_at_the_margins_asked_for() -> None:
    odds = [step.gate.error_odds for step in plan_of(shadow=False, error_odds=1.8).steps]
    assert odds == [20.0, 4.0, 1.8]


def test_canary_plan_early_gates_are_never_tighter_than_the_last() -> None:
    odds = [step.gate.error_odds for step in plan_of(shadow=False, error_odds=9.0).steps]
    assert odds == [20.0, 9.0, 9.0]


def test_canary_plan_without_shadow_asks_live_labels_for_quality() -> None:
    assert all(step.gate.quality_points for step in plan_of(shadow=False).steps)


def test_canary_plan_without_labels_has_no_quality_guardrail() -> None:
    plan = plan_of(labels=False)
    kinds = {rail.kind for rail in plan.guardrails}
    assert not kinds & {"quality", "shadow_quality"}
    assert {"errors", "service_level", "latency", "sample_ratio", "shadow_errors"} <= kinds
    assert all(step.gate.quality_points is None for step in plan.steps)


def test_blue_green_plan_checks_in_shadow_and_then_switches() -> None:
    (step,) = plan_of(strategy="blue_green").steps
    assert step.shadow


def test_first_version_has_no_step_and_no_soak() -> None:
    plan = plan_of(first=True)
    assert plan.steps == ()
    assert plan.soak_seconds == 0.0


def test_guardrails_together_keep_the_error_budget() -> None:
    assert sum(ALPHAS.values()) <= 0.05 + 1e-12


def test_plan_hash_changes_with_anything_that_decides() -> None:
    assert plan_hash(plan_of()) == plan_hash(plan_of())
    assert plan_hash(plan_of()) != plan_hash(plan_of(error_points=0.006))


def test_plan_refuses_with_every_fault_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        plan_of(shares=(0.5, 0.1, 1.5), error_odds=0.5, max_hours=0.0, min_requests=0)
    named = {fault.split(":")[0] for fault in caught.value.faults}
    assert named == {"shares", "error_odds", "max_hours", "min_requests"}
    assert len(caught.value.faults) == 5


@pytest.mark.parametrize(
    "name",
    [
        "error_odds",
        "error_points",
        "quality_points",
        "quality_tolerance",
        "latency_ratio",
        "latency_tolerance",
        "latency_slack_ms",
        "service_level",
        "score_shift",
        "class_odds",
        "disagreement",
        "value_floor",
        "value_cap",
        "value_loss",
        "min_seconds",
        "max_hours",
        "label_window_seconds",
        "soak_seconds",
    ],
)
@pytest.mark.parametrize("wrong", [nan, inf, -inf, -1.0])
def test_plan_refuses_numbers_that_decide_nothing(name: str, wrong: float) -> None:
    if name == "value_floor" and wrong == -1.0:
        assert plan_of(value_floor=wrong, value_cap=1.0).value is not None
        return
    with pytest.raises(InvalidInput) as caught:
        plan_of(**{"value_cap": 1.0, name: wrong})
    assert any(fault.startswith(f"{name}:") for fault in caught.value.faults) or (
        name.startswith("value") and any("value_cap" in fault for fault in caught.value.faults)
    )


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.1, nan, inf])
def test_plan_refuses_shares_of_nothing_and_of_everything(share: float) -> None:
    with pytest.raises(InvalidInput, match="cannot be carried out") as caught:
        plan_of(shares=(share,))
    assert caught.value.faults[0].startswith("shares: each must lie between 0 and 1")


def test_plan_judges_what_answers_differ_only_without_labels_or_if_asked() -> None:
    basis = Basis(SCALE, tuple(n / 10 for n in range(1, 10)), (0, 1))
    differs = {"distribution", "class_mix", "disagreement"}

    def kinds(**fields: object) -> set[str]:
        spec = DeploymentSpec(model="m", challenger="2", **fields)  # type: ignore[arg-type]
        return {rail.kind for rail in make_plan(spec, basis, salt="d").guardrails}

    assert not kinds() & differs
    assert kinds(labels=False) >= differs
    assert kinds(class_odds=2.0) & differs == {"class_mix"}
    assert "business" not in kinds(labels=False)
    assert "business" in kinds(value_cap=3.0)


def test_quality_scale_of_a_regression_caps_outliers() -> None:
    scale = quality_scale("regression", {"mae": 2.0})
    assert scale.cap == 10.0
    assert scale.baseline == pytest.approx(0.2)
