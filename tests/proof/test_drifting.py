from __future__ import annotations

import pytest

from serinus.proof import drifting, rules, streams
from serinus.proof.runner import Runner


def test_claim_has_a_bar_for_every_drift(monkeypatch):
    monkeypatch.setattr(drifting, "REQUESTS", 4_000)
    monkeypatch.setattr(drifting, "PAIRS", 400)
    with Runner(1, processes=0) as runner:
        found = drifting.prove(runner, 3)
    assert [bar.name.split(", ")[1] for bar in found.bars] == list(streams.DRIFTING_COURSES)
    for bar in found.bars:
        assert (bar.limit, bar.by_confidence) == (0.05, True)
        assert set(bar.others) == {rules.FOUR, *rules.OTHERS}
    fooled = {bar.name: bar.others[rules.FOUR] for bar in found.bars}
    assert fooled["false rollbacks, trend"] == pytest.approx(1.0)
