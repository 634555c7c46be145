from __future__ import annotations

import numpy as np

from serinus.proof import judging, latency
from serinus.proof.runner import Runner
from serinus.proof.streams import EQUAL, Difference


def test_a_slower_challenger_is_found_and_an_equal_one_is_not():
    plans = (judging.sharp_plan(), judging.default_plan())
    slow = [
        latency.one_run(plans, Difference(latency_ratio=1.5), 3_000, np.random.default_rng(seed))
        for seed in range(6)
    ]
    equal = [latency.one_run(plans, EQUAL, 3_000, np.random.default_rng(seed)) for seed in range(6)]
    assert np.median([run[0] for run in slow]) <= 600
    assert np.isinf([run[0] for run in equal]).sum() >= 5
    # What forgives more never finds sooner.
    assert all(run[1] >= run[0] for run in slow)


def test_claim_tells_what_the_defaults_find(monkeypatch):
    monkeypatch.setattr(latency, "_LEAST_REQUESTS", 1_000)
    monkeypatch.setattr(
        latency, "HARMS", {"50 % slower": (Difference(latency_ratio=1.5), (520, 1100))}
    )
    with Runner(1, processes=0) as runner:
        found = latency.prove(runner, 4)
    assert [bar.limit for bar in found.bars] == [520, 1100]
    assert len(found.notes) == 1
