from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from serinus.delivery.types import Gate
from serinus.proof import judging, margin, streams
from serinus.proof.runner import Runner
from serinus.proof.streams import EQUAL

PLAN = judging.full_plan()
TRUTHS = margin.truths(PLAN)


CASES = [(name, where) for name, truth in TRUTHS.items() for where in truth.conditions]


@pytest.mark.parametrize(("name", "where"), CASES)
def test_gate_lets_an_equal_challenger_through(name, where):
    """What keeps a bad one out is its harm, not a gate that nobody passes."""
    truth = TRUTHS[name]
    equal = replace(truth, difference=EQUAL)
    condition = truth.conditions[where]
    passed = [
        margin.one_run(PLAN, equal, condition, np.random.default_rng(seed))[0] for seed in range(4)
    ]
    assert sum(passed) >= 2


@pytest.mark.parametrize("name", ["rare errors", "errors, early, at 5 %", "errors, early, at 25 %"])
def test_both_margins_of_errors_are_one(name):
    """So neither can be excluded: a rule that let either pass too easily would show."""
    truth = TRUTHS[name]
    for condition in truth.conditions.values():
        rate = condition.drift(np.random.default_rng(1), 10).errors
        np.testing.assert_allclose(
            rate * truth.difference.error_ratio, rate + truth.difference.error_points
        )


def test_early_gates_are_those_of_the_default_steps():
    steps = judging.default_plan().steps
    found = {TRUTHS[f"errors, early, {where}"].gate for where in margin.EARLY}
    assert found == {
        Gate(error_odds=step.gate.error_odds, error_points=step.gate.error_points)
        for step in steps[1:-1]
    }
    shares = [condition.steps for condition in margin.EARLY.values()]
    assert shares == [(step.share,) for step in steps[1:-1]]


def test_a_rule_without_its_bound_is_found_out():
    """At 2 to 1 instead of 40 to 1 the figures must tell."""
    careless = msgspec.structs.replace(PLAN, promote_alpha=0.5)
    truth = TRUTHS["rare errors"]
    passed = [
        [
            margin.one_run(plan, truth, truth.conditions["halves"], np.random.default_rng(seed))[0]
            for seed in range(60)
        ]
        for plan in (PLAN, careless)
    ]
    assert sum(passed[0]) <= 5
    assert sum(passed[1]) >= 12


@pytest.mark.parametrize("name", TRUTHS)
def test_gate_asks_about_its_guardrail_alone(name):
    truth = TRUTHS[name]
    tables = (
        judging.pair_tables(
            streams.mirrored(np.random.default_rng(1), streams.flat(np.random.default_rng(1), 400)),
            judging.looks(400),
        )
    )  # fmt: skip
    asked = [
        rail.kind
        for rail in PLAN.guardrails
        if judging.margin_time(PLAN, truth.gate, rail.kind, tables, judging.looks(400)) < np.inf
    ]
    assert set(asked) <= {truth.kind, "shadow_errors", "shadow_quality"}


def test_share_on_its_tolerance_is_seldom_sound_and_the_right_one_is():
    rng = np.random.default_rng(1)
    wrong = [margin.one_split(PLAN, 0.5, +1, rng)[0] for _ in range(40)]
    right = [margin.one_split(PLAN, 0.5, 0, rng)[0] for _ in range(10)]
    assert sum(wrong) <= 4
    assert sum(right) == 10


def test_claim_has_a_bar_for_every_condition(monkeypatch):
    monkeypatch.setattr(margin, "REQUESTS", 2_000)
    monkeypatch.setattr(margin, "PAIRS", 400)
    with Runner(1, processes=0) as runner:
        found = margin.prove(runner, 2)
    names = [bar.name for bar in found.bars]
    cases = [name if name.endswith(where) else f"{name}, {where}" for name, where in CASES]
    assert len(cases) == len(set(cases))
    cases += [f"share, {split}" for split in margin.SPLITS]
    assert names == [f"wrongly passed, {case}" for case in cases]
    assert found.runs == 2 * len(cases)
    assert all(bar.limit == 0.04 and bar.by_confidence for bar in found.bars)
    assert set(found.bars[0].others) == {margin.RERUN, margin.SILENCE, margin.SEQUENCE}
    quality = next(bar for bar in found.bars if bar.name.endswith("quality, ramp"))
    assert set(quality.others) == {margin.RERUN}
