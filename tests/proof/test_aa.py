from __future__ import annotations

import numpy as np
import pytest

from serinus.proof import aa, judging, rules, streams
from serinus.proof.runner import Runner


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(aa, "REQUESTS", 3_000)
    monkeypatch.setattr(aa, "PAIRS", 400)


@pytest.mark.usefixtures("short")
def test_claim_compares_every_rule_in_every_scenario():
    with Runner(1, processes=0) as runner:
        found = aa.prove(runner, 4)
    ours = [bar for bar in found.bars if bar.whose == "Serinus"]
    naive = [bar for bar in found.bars if bar.whose == rules.FOUR]
    assert [bar.limit for bar in ours] == [0.05] * len(streams.AA_COURSES)
    assert [bar.limit for bar in naive] == [0.60, 0.75, 0.75]
    assert all(set(bar.others) == {rules.FOUR, *rules.NAIVE, *rules.OTHERS} for bar in ours)
    assert found.runs == 16
    # Four runs can show no error rate of 5 %, and do not pretend to.
    assert not any(bar.passed for bar in ours)


@pytest.mark.usefixtures("short")
def test_run_would_find_a_broken_challenger(monkeypatch):
    real = streams.live
    monkeypatch.setattr(
        streams, "live",
        lambda rng, share, course: real(rng, share, course, streams.Difference(error_ratio=50)),
    )  # fmt: skip
    plan = judging.sharp_plan()
    times = aa.one_run(plan, "flat", np.random.default_rng(1))
    assert times[0] < 200
    assert len(times) == len(plan.guardrails) + 1 + len(rules.NAIVE) + len(rules.OTHERS)


def test_errors_separates_guardrails_from_rules(short):
    plan = judging.sharp_plan()
    with Runner(1, processes=0) as runner:
        harms, theirs = aa.errors(runner, plan, "trend", 3)
    assert harms.shape == (3, len(plan.guardrails))
    assert theirs.shape == (3, 1 + len(rules.NAIVE) + len(rules.OTHERS))
    # A trend along a ramp fools whoever pools.
    assert np.isfinite(theirs[:, 0]).all()
