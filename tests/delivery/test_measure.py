"""Numbers of guardrails: the e-values of the right counts, held back where labels are missing."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.delivery import evidence as ev
from serinus.delivery.evidence import EMPTY, Cell, Evidence, Measure
from serinus.delivery.measure import Numbers, numbers
from serinus.delivery.plan import make_plan, quality_scale
from serinus.delivery.types import DeploymentSpec, Guardrail, Plan
from serinus.stats import event_odds, paired_betting, score_betting
from serinus.wire import Arm

COUNTS = st.integers(min_value=0, max_value=400)


def plan_of(**changes: object) -> Plan:
    spec = DeploymentSpec(model="fraud", challenger="1.1.0", **changes)  # type: ignore[arg-type]
    scale = quality_scale("classification", {"accuracy": 0.95})
    return make_plan(spec, salt="d", quality=scale, first=False)


PLAN = plan_of()
RAILS = {rail.kind: rail for rail in PLAN.guardrails}
SHADOW, EARLY, LAST = 0, 1, 3


def look(kind: str, evidence: Evidence, step: int | None, plan: Plan = PLAN) -> Numbers:
    rail: Guardrail = RAILS[kind]  # type: ignore[index]
    return numbers(plan, None if step is None else plan.steps[step], rail, evidence)


def live(measure: Measure, counts: dict[tuple[float, Arm, int], int]) -> Evidence:
    return Evidence(
        {Cell(measure, share, arm, level): n for (share, arm, level), n in counts.items()}
    )


def labelled(arm: Arm, came: int, missing: int) -> Evidence:
    cells = {1: came, 0: missing}
    return Evidence({Cell(Measure.MATURED, 0.0, arm, level): n for level, n in cells.items()})


@pytest.mark.parametrize("kind", RAILS)
@pytest.mark.parametrize("step", [SHADOW, EARLY, LAST, None])
def test_numbers_of_nothing_are_evidence_of_nothing(kind: str, step: int | None) -> None:
    found = look(kind, EMPTY, step)
    assert (found.requests, found.champion, found.challenger) == (0, None, None)
    assert found.log_harm == pytest.approx(0.0)
    assert found.log_safe is None or found.log_safe == pytest.approx(0.0)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_numbers_of_errors_bet_on_failures_by_share(a: int, b: int, c: int, d: int) -> None:
    evidence = live(
        Measure.ERROR,
        {
            (0.05, Arm.CHAMPION, 1): a,
            (0.05, Arm.CHALLENGER, 1): b,
            (0.25, Arm.CHAMPION, 1): c,
            (0.25, Arm.CHALLENGER, 1): d,
            (0.25, Arm.CHALLENGER, 0): 17,
        },
    )
    found = look("errors", evidence, EARLY)
    failures = {0.05: (a, b), 0.25: (c, d)}
    harm = event_odds.log_e(failures, null_odds=1.0, mixture=event_odds.harm_mixture())
    assert found.log_harm == pytest.approx(harm)
    assert found.requests == a + b + c + d + 17
    assert found.challenger_requests == b + d + 17
    assert found.challenger == pytest.approx((b + d) / (b + d + 17))


def test_numbers_of_errors_are_safe_by_the_mean_of_both_margins() -> None:
    gate = PLAN.steps[LAST].gate
    assert gate.error_odds is not None
    assert gate.error_points is not None
    counts = np.array([[900, 9], [890, 8]])
    evidence = live(
        Measure.ERROR,
        {
            (0.5, arm, level): int(counts[row, level])
            for row, arm in enumerate((Arm.CHAMPION, Arm.CHALLENGER))
            for level in (0, 1)
        },
    )
    by_odds = event_odds.log_e(
        {0.5: (9, 8)},
        null_odds=gate.error_odds,
        mixture=event_odds.safety_mixture(gate.error_odds),
    )
    by_points = score_betting.log_e(
        {0.5: counts}, np.array([0.0, 1.0]), score_betting.safety(gate.error_points, 0.001)
    )
    found = look("errors", evidence, LAST)
    assert found.log_safe is not None
    assert exp(found.log_safe) == pytest.approx((exp(by_odds) + exp(by_points)) / 2)
    assert found.margin == "2 times the champion's errors and 0.5 points more of them"


def test_numbers_of_the_soak_ask_for_no_safety() -> None:
    evidence = live(Measure.ERROR, {(0.5, Arm.CHALLENGER, 0): 1_000})
    assert look("errors", evidence, None).log_safe is None
    assert look("errors", evidence, SHADOW).log_safe is None


def test_numbers_of_pairs_are_those_of_paired_betting() -> None:
    differences = {-ev.LOSS_STEPS: 12, 0: 900, ev.LOSS_STEPS: 3}
    evidence = Evidence(
        {Cell(Measure.PAIR_LOSS, 0.0, Arm.SHADOW, level): n for level, n in differences.items()}
    )
    found = look("shadow_quality", evidence, SHADOW)
    plain = np.array([12, 900, 3])
    assert found.requests == 915
    assert found.challenger == pytest.approx((3 - 12) / 915)
    assert found.log_harm == pytest.approx(paired_betting.log_e_harm(plain, ev.FAILURE_DIFFERENCES))
    assert found.log_safe == pytest.approx(
        paired_betting.log_e_safety(plain, ev.FAILURE_DIFFERENCES, 0.02)
    )
    assert look("shadow_quality", evidence, EARLY).log_safe is None


@pytest.mark.parametrize(
    ("came", "missing", "held"), [(995, 5, False), (994, 6, True), (0, 1, True), (0, 0, True)]
)
def test_numbers_of_quality_are_held_below_the_coverage(
    came: int, missing: int, held: bool
) -> None:
    evidence = live(Measure.LOSS, {(0.5, Arm.CHALLENGER, 0): 10})
    evidence += labelled(Arm.CHAMPION, came, missing) + labelled(Arm.CHALLENGER, 10, 0)
    found = look("quality", evidence, LAST)
    assert bool(found.hold) is held
    if came + missing and held:
        assert "champion's matured requests" in found.hold
        assert "99.5% are needed" in found.hold


def test_numbers_of_shadow_quality_are_not_held_by_live_arms() -> None:
    evidence = labelled(Arm.CHAMPION, 1, 99) + labelled(Arm.SHADOW, 100, 0)
    assert look("shadow_quality", evidence, SHADOW).hold == ""


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_numbers_of_quality_are_finite_for_a_perfect_champion_and_a_hopeless_one(
    accuracy: float,
) -> None:
    spec = DeploymentSpec(model="fraud", challenger="1.1.0", shadow=False)
    scale = quality_scale("classification", {"accuracy": accuracy})
    plan = make_plan(spec, salt="d", quality=scale, first=False)
    evidence = live(
        Measure.LOSS,
        {(0.5, Arm.CHALLENGER, ev.LOSS_STEPS): 5_000, (0.5, Arm.CHAMPION, 0): 5_000},
    )
    found = look("quality", evidence, 2, plan)
    assert found.log_safe is not None
    assert np.isfinite([found.log_harm, found.log_safe]).all()
    assert found.log_harm > log(1e6) > 0 > found.log_safe
