from __future__ import annotations

import numpy as np

from serinus.proof import judging, latency
from serinus.proof.runner import Runner
from serinus.proof.streams import EQUAL, Difference

SLOW = Difference(latency_ratio=1.5)
SHARP, DEFAULT = judging.sharp_plan(), judging.default_plan()


def times(plan, difference, runs=6):
    return [latency.ours(plan, difference, 3_000, np.random.default_rng(i)) for i in range(runs)]


def test_a_slower_challenger_is_found_and_an_equal_one_is_not():
    assert np.median(times(SHARP, SLOW)) <= 600
    assert np.isinf(times(SHARP, EQUAL)).sum() >= 5


def test_what_forgives_more_never_finds_sooner():
    sharp, default = np.ravel(times(SHARP, SLOW)), np.ravel(times(DEFAULT, SLOW))
    assert (default >= sharp).all()
    assert np.isfinite(default).all()
    # A tenth slower and a millisecond more is what the defaults forgive.
    forgiven = Difference(latency_ratio=1.1, latency_slack_us=1_000.0)
    assert np.isinf(times(DEFAULT, forgiven)).all()


def test_rules_see_the_same_stream():
    run = latency.one_run(SHARP, SLOW, 12_000, np.random.default_rng(1))
    assert run[0] == latency.ours(SHARP, SLOW, 12_000, np.random.default_rng(1))[0]
    assert np.isfinite(run[1:4]).all()  # Welch, Mann-Whitney, GrowthBook


def test_claim_keeps_limits_and_tells_what_the_defaults_find(monkeypatch):
    monkeypatch.setattr(latency, "_LEAST_REQUESTS", 2_000)
    monkeypatch.setattr(latency, "HARMS", {"50 % slower": (SLOW, (520, 1100))})
    monkeypatch.setattr(latency, "BY_DEFAULT", {"50 % slower": (SLOW, 6_000)})
    with Runner(1, processes=0) as runner:
        found = latency.prove(runner, 20)
    assert [bar.limit for bar in found.bars] == [520, 1100, None, None]
    assert all(bar.passed for bar in found.bars)
    assert found.bars[2].figure > found.bars[0].figure
