from __future__ import annotations

import numpy as np
import pytest

from serinus.proof import judging, power
from serinus.proof.runner import Runner


@pytest.mark.parametrize(
    ("ratio", "failures"), [(50.0, 3.0), (10.0, 8.1), (5.0, 19.3), (2.0, 150.0), (1.5, 504.0)]
)
def test_wald_bound_in_failures(ratio, failures):
    """Of research/verdicts.md §5: expected failures at 10 % and alpha 0.01."""
    rate = 0.01 * (0.9 + 0.1 * ratio)
    assert power.wald_bound(ratio, 0.01) * rate == pytest.approx(failures, rel=0.02)


def test_a_broken_challenger_is_found_within_a_few_hundred_requests():
    plan = judging.default_plan()
    times = np.array(
        [power.one_run(plan, 50.0, 4_000, np.random.default_rng(seed)) for seed in range(15)]
    )
    assert np.median(times[:, 0]) <= 110
    assert times[:, 0].max() <= 400
    # An equal one is not, within as many.
    equal = [power.one_run(plan, 1.0, 4_000, np.random.default_rng(seed))[0] for seed in range(15)]
    assert np.isinf(equal).sum() >= 14


def test_claim_has_two_bars_a_ratio_and_walds(monkeypatch):
    monkeypatch.setattr(power, "LIMITS", {50.0: (100.0, 180.0), 5.0: (1_800.0, 4_000.0)})
    monkeypatch.setattr(power, "SLOW_LIMITS", {})
    with Runner(1, processes=0) as runner:
        found = power.prove(runner, 5)
    assert [bar.relation for bar in found.bars] == ["<="] * 5
    assert found.bars[4].limit == 1.35
    assert found.bars[4].figure == pytest.approx(
        found.bars[2].figure / power.wald_bound(5.0, 0.01), rel=1e-6
    )
