"""Verdicts: harm first, promotion only on evidence, nothing on no data."""

import math

import numpy as np
import pytest

from serinus.delivery import evidence as ev
from serinus.delivery.evidence import EMPTY, Cell, Evidence, Measure
from serinus.delivery.judge import judge
from serinus.delivery.plan import make_plan, quality_scale
from serinus.delivery.types import DeploymentSpec, Outcome, Plan
from serinus.wire import Arm


def canary_plan(**changes: object) -> Plan:
    spec = DeploymentSpec(model="fraud", challenger="1.1.0", **changes)  # type: ignore[arg-type]
    scale = quality_scale("classification", {"accuracy": 0.95})
    return make_plan(spec, salt="d1", quality=scale, first=False)


def errors(share: float, champion: tuple[int, int], challenger: tuple[int, int]) -> Evidence:
    """Evidence of (answered, failed) requests by arm."""
    return Evidence(
        {
            Cell(Measure.ERROR, share, arm, level): count
            for arm, counts in ((Arm.CHAMPION, champion), (Arm.CHALLENGER, challenger))
            for level, count in enumerate(counts)
        }
    )


def pairs(same: int, worse: int, better: int) -> Evidence:
    """Evidence of labelled pairs."""
    counts = {0: same, ev.LOSS_STEPS: worse, -ev.LOSS_STEPS: better}
    total = same + worse + better
    return Evidence(
        {
            **{Cell(Measure.PAIR_LOSS, 0.0, Arm.SHADOW, d): n for d, n in counts.items()},
            Cell(Measure.PAIR_ERROR, 0.0, Arm.SHADOW, 0): total,
            Cell(Measure.MATURED, 0.0, Arm.SHADOW, 1): total,
        }
    )


@pytest.mark.parametrize("step", [0, 1, 2, 3, 4])
def test_judge_says_no_data_when_nothing_was_seen(step: int) -> None:
    verdict = judge(canary_plan(), step, EMPTY)
    assert verdict.outcome is Outcome.NO_DATA
    assert all(item.log_harm == 0.0 for item in verdict.guardrails)


@pytest.mark.parametrize("step", [0, 1, 2, 3, 4])
def test_judge_rolls_back_a_broken_challenger_in_every_state(step: int) -> None:
    verdict = judge(canary_plan(), step, errors(0.05, (95, 0), (0, 5)))
    assert verdict.outcome is Outcome.ROLLBACK
    assert "100.00% failed over 5 requests of the challenger" in verdict.reason


def test_judge_needs_the_required_evidence_before_it_promotes() -> None:
    plan = canary_plan()
    little = judge(plan, 3, errors(0.5, (200, 0), (200, 0)))
    enough = judge(plan, 3, errors(0.5, (2000, 0), (2000, 0)))
    assert little.outcome is Outcome.CONTINUE
    assert enough.outcome is Outcome.PROMOTE


def test_judge_promotes_out_of_shadow_only_with_labels() -> None:
    plan = canary_plan()
    unlabelled = Evidence({Cell(Measure.PAIR_ERROR, 0.0, Arm.SHADOW, 0): 5000})
    assert judge(plan, 0, unlabelled).outcome is Outcome.CONTINUE
    assert judge(plan, 0, pairs(2000, 20, 20)).outcome is Outcome.PROMOTE


def test_judge_rolls_back_on_paired_labels_before_any_live_request() -> None:
    verdict = judge(canary_plan(), 0, pairs(100, 40, 2))
    assert verdict.outcome is Outcome.ROLLBACK
    assert verdict.reason.startswith("Labelled quality in shadow")


def test_judge_holds_quality_while_labels_are_missing() -> None:
    patchy = pairs(100, 40, 2) + Evidence({Cell(Measure.MATURED, 0.0, Arm.SHADOW, 0): 10})
    verdict = judge(canary_plan(), 0, patchy)
    assert verdict.outcome is Outcome.CONTINUE
    assert "93.4%" in verdict.reason


def test_judge_never_promotes_where_the_gate_asks_for_nothing() -> None:
    plan = canary_plan(strategy="blue_green")
    assert len(plan.steps) == 1
    # Past the last step (the soak) there is no gate: good news alone moves nothing.
    assert judge(plan, 1, pairs(2000, 0, 0)).outcome is Outcome.CONTINUE


def test_judge_states_the_error_budget_it_spends() -> None:
    verdict = judge(canary_plan(), 0, EMPTY)
    assert verdict.alpha_spent == pytest.approx(0.045)
    assert verdict.alpha_spent == pytest.approx(
        sum(math.exp(-item.harm_bound) for item in verdict.guardrails)
    )


def test_judge_rolls_back_identical_copies_no_more_often_than_its_budget() -> None:
    """The whole judge on identical arms over a ramp, a look every 100 requests."""
    rng = np.random.default_rng(3)
    plan = canary_plan(shadow=False)
    runs, false_alarms = 60, 0
    for _ in range(runs):
        evidence = EMPTY
        for share in np.repeat([0.05, 0.25, 0.5], 10):
            arms = rng.random(100) < share
            failed = rng.random(100) < 0.02
            wrong = rng.random(100) < 0.10
            cells = []
            for z, f, y in zip(arms, failed, wrong, strict=True):
                arm = Arm.CHALLENGER if z else Arm.CHAMPION
                cells.append(Cell(Measure.ERROR, float(share), arm, int(f)))
                cells.append(Cell(Measure.LOSS, float(share), arm, ev.LOSS_STEPS * int(y)))
                cells.append(Cell(Measure.MATURED, 0.0, arm, 1))
            evidence += ev.count(cells)
            if judge(plan, 2, evidence).outcome is Outcome.ROLLBACK:
                false_alarms += 1
                break
    # 99.9 % binomial limit around 60 x 0.025 (two live guardrails).
    assert false_alarms <= 6


def test_judge_keeps_identical_copies_that_fail_by_themselves() -> None:
    """Both copies fail 2 % of requests, each by itself: neither in pairs nor live is that harm."""
    rng = np.random.default_rng(4)
    plan = canary_plan()
    for _ in range(20):
        champion, challenger = (rng.random((2, 4000)) < 0.02).astype(int)
        pairs_seen = ev.count(
            Cell(Measure.PAIR_ERROR, 0.0, Arm.SHADOW, int(b) - int(a))
            for a, b in zip(champion, challenger, strict=True)
        )
        assert judge(plan, 0, pairs_seen).outcome is not Outcome.ROLLBACK
        live = EMPTY
        for arm, failed in ((Arm.CHAMPION, champion), (Arm.CHALLENGER, challenger)):
            for level, loss in ((0, 0), (1, ev.LOSS_STEPS)):
                count = int((failed == level).sum())
                live += Evidence(
                    {
                        Cell(Measure.ERROR, 0.5, arm, level): count,
                        Cell(Measure.LOSS, 0.5, arm, loss): count,
                        Cell(Measure.MATURED, 0.0, arm, 1): count,
                    }
                )
        assert judge(plan, 3, live).outcome is not Outcome.ROLLBACK
