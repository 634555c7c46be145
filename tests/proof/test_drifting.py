from __future__ import annotations

from functools import partial
from math import log

import numpy as np
import pytest

from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts import measure
from serinus.delivery.verdicts.evidence import Measure
from serinus.proof import drifting, judging, rules, streams
from serinus.proof.runner import Runner
from serinus.stats import service_level

RUNS = 60
BROKEN_DOWN = ("8 % fail in both arms", "long outage", "outage as half begins")


def hold_while_the_champion_breaches(plan, rail, tables):
    """A rule that was wrong: the champion's breach must be proven as soon as the challenger's."""
    counts = ev.pooled(tables, Measure.ERROR, 2)
    breach = service_level.log_e_breach(counts[..., 1], counts.sum(axis=-1), rail.tolerance)
    return np.where(breach[..., 0] >= log(1.0 / rail.alpha), 0.0, breach[..., 1])


def alarms(course):
    """How often a course takes an equal challenger back for its service level, and at all."""
    plan = judging.sharp_plan()
    run = partial(drifting.one_run, plan, course)
    with Runner(2, processes=0) as runner:
        times = runner.run(run, RUNS, name=course)
    place = [rail.kind for rail in plan.guardrails].index("service_level")
    ours = times[:, : len(plan.guardrails)]
    return int(np.isfinite(ours[:, place]).sum()), int(np.isfinite(ours.min(axis=1)).sum())


@pytest.fixture
def live_only(monkeypatch):
    """Without the cost of pairs and of others' rules, neither of which is asked here."""
    monkeypatch.setattr(drifting, "PAIRS", 40)
    monkeypatch.setattr(rules, "times", lambda *_: dict.fromkeys(drifting.RULES, np.inf))


@pytest.mark.usefixtures("live_only")
@pytest.mark.parametrize("course", BROKEN_DOWN)
def test_what_breaks_down_in_both_arms_takes_nobody_back(course):
    service, any_rail = alarms(course)
    # At most 5 % in truth: of 60 runs 8 and more come once in a hundred times.
    assert (service, any_rail <= 7) == (0, True)


@pytest.mark.usefixtures("live_only")
@pytest.mark.parametrize("course", BROKEN_DOWN[1:])
def test_a_rule_that_looks_at_each_arm_alone_is_found_out(course, monkeypatch):
    monkeypatch.setitem(measure._HARM, "service_level", hold_while_the_champion_breaches)
    assert alarms(course)[0] >= RUNS // 4


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
