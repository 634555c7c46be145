from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serinus.proof import judging, margin, streams
from serinus.proof.runner import Runner
from serinus.proof.streams import EQUAL

PLAN = judging.full_plan()
TRUTHS = margin.truths(PLAN)


@pytest.mark.parametrize("name", TRUTHS)
def test_gate_lets_an_equal_challenger_through(name):
    """What keeps a bad one out is its harm, not a gate that nobody passes."""
    equal = replace(TRUTHS[name], difference=EQUAL, drift=streams.flat)
    passed = [
        margin.one_run(PLAN, equal, streams.HALVES, np.random.default_rng(seed))[0]
        for seed in range(3)
    ]
    assert sum(passed) >= 2


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


def test_claim_has_a_bar_for_every_margin(monkeypatch):
    monkeypatch.setattr(margin, "REQUESTS", 2_000)
    monkeypatch.setattr(margin, "PAIRS", 400)
    with Runner(1, processes=0) as runner:
        found = margin.prove(runner, 2)
    names = [bar.name for bar in found.bars]
    assert names == [f"wrongly passed, {name}" for name in (*TRUTHS, "share")]
    assert found.runs == 2 * (2 * len(TRUTHS) + 3)
    assert set(found.bars[0].others) == {margin.RERUN, margin.SILENCE, margin.SEQUENCE}
    quality = next(bar for bar in found.bars if bar.name.endswith("quality"))
    assert set(quality.others) == {margin.RERUN}
