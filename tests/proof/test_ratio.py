from __future__ import annotations

import numpy as np
import pytest

from serinus.proof import judging, ratio
from serinus.proof.runner import Runner


def test_delivered_share_is_that_of_a_rendezvous_hash():
    """The larger of weight times a uniform hash wins: simulated, 10 % configured."""
    scores = np.random.default_rng(1).random((200_000, 2)) * (0.9, 0.1)
    assert (scores[:, 1] > scores[:, 0]).mean() == pytest.approx(ratio.DELIVERED, abs=0.002)


def test_wrong_share_is_caught_and_the_right_one_is_not():
    plan = judging.default_plan()
    caught = [ratio.one_run(plan, 0.056, 4_000, np.random.default_rng(seed)) for seed in range(9)]
    clean = [ratio.one_run(plan, 0.1, 20_000, np.random.default_rng(seed)) for seed in range(9)]
    assert np.isfinite([run[0] for run in caught]).all()
    assert np.isinf([run[0] for run in clean]).all()


def test_claim_counts_alarms_in_a_thousand(monkeypatch):
    monkeypatch.setattr(ratio, "CLEAN_KEYS", 5_000)
    with Runner(1, processes=0) as runner:
        found = ratio.prove(runner, 8)
    assert [bar.unit for bar in found.bars] == ["keys", "in 1,000 streams"]
    assert found.bars[1].figure % 125 == 0
