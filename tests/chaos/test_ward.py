"""Incidents harm what they say, and only a cause that was found is right."""

from __future__ import annotations

import pytest

from serinus.chaos import ward
from serinus.chaos.ward import Cause, Found, Incident
from serinus.wire import Arm


def test_scripts_harm_one_version_or_both() -> None:
    model = Incident("model", 0).script("m")
    assert model.behaviour(Arm.CHALLENGER, 0.5).failing > 0
    assert model.behaviour(Arm.CHALLENGER, 0.2).failing == 0
    assert model.behaviour(Arm.CHAMPION, 0.5).failing == 0
    upstream = Incident("upstream", 1).script("m")
    for arm in (Arm.CHAMPION, Arm.CHALLENGER):
        assert upstream.behaviour(arm, 0.2, 1).latency_us == 900
        assert upstream.behaviour(arm, 0.2, 50).latency_us > 2_000


def test_incidents_differ_by_cause_and_seed_and_harm_in_turn() -> None:
    those = [Incident(cause, seed) for cause in ward.RIGHT for seed in range(3)]
    assert len({str(one) for one in those}) == 6
    assert [one.harm for one in those[:3]] == ["errors", "latency", "answers"]
    assert len({repr(one.script("m")) for one in those}) == 6


@pytest.mark.parametrize("cause", ["model", "upstream"])
def test_only_the_cause_that_was_found_is_right(cause: Cause) -> None:
    states = ("verified", "not_the_model", "unverified", "failed", "")
    right = [
        state
        for state in states
        if Found(Incident(cause, 0), state, "said", harmed=0, seconds=0.0).right
    ]
    assert right == [ward.RIGHT[cause]]
    assert "no end" in Found(Incident(cause, 0), "", "said", harmed=0, seconds=0.0).told()
