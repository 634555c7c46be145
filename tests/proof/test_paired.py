from __future__ import annotations

import numpy as np

from serinus.proof import judging, paired, streams
from serinus.proof.runner import Runner


def test_labels_until_found_are_counted_not_requests(monkeypatch):
    plan = judging.default_plan()
    labels = paired.one_mirror(plan, np.random.default_rng(1))[0]
    assert labels < paired.PAIRS
    monkeypatch.setattr(paired, "POINTS", streams.EQUAL)
    assert np.isinf(paired.one_mirror(plan, np.random.default_rng(1))[0])


def test_claim_compares_pairs_with_a_split(monkeypatch):
    monkeypatch.setattr(paired, "LIVE", 40_000)
    with Runner(1, processes=0) as runner:
        found = paired.prove(runner, 9)
    median, most, fewer = found.bars
    assert (median.limit, most.limit, fewer.limit) == (1_500, 3_000, 6)
    assert median.unit == "labels"
    assert fewer.figure == median.others["live halves"] / median.figure
    assert fewer.figure > 3
