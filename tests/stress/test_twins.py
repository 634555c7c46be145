"""The proof of twins in small; and that it would see what it looks for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from serinus.delivery.types import Plan
from serinus.delivery.verdicts.tally import Requests
from serinus.errors import InvalidInput
from serinus.proof import judging
from serinus.stress import twins
from serinus.stress.twins import Course, Kind
from serinus.wire import Arm, Assignment, Failure, Output, Prediction

ROWS = 3_000


@pytest.fixture(scope="module")
def plan() -> Plan:
    return judging.only(judging.default_plan(), "latency")


def rows(slower: float = 1.0, share: float = 0.5) -> Requests:
    """A deployment in which the challenger's latencies are so many times the champion's."""
    rng = np.random.default_rng(0)
    challenger = rng.random(ROWS) < share
    latency = rng.lognormal(9.0, 0.4, ROWS)
    return Requests(
        share=np.full(ROWS, share),
        challenger=challenger,
        step=np.zeros(ROWS, np.int64),
        failed=np.zeros(ROWS, np.bool_),
        latency=np.where(challenger, slower * latency, latency),
        score=np.full(ROWS, np.nan),
        category=np.full(ROWS, -1, np.int64),
    )


def test_twins_of_a_small_course_are_asked_and_judged() -> None:
    found = twins.run(deployments=1, seconds=1.0, only=("python",), rows=(1,))
    assert found.figure("deployments") == 1
    assert found.figure("rows") > 20
    assert found.figure(twins.UNANSWERED) == 0, found.faults
    told = found.notes["python, 1 row, 50 %, ms"]
    assert 0.0 < told["champion p50"] <= told["champion p99"]


def test_twins_sees_a_challenger_that_is_slower(plan: Plan) -> None:
    assert math.isinf(twins.taken_back(plan, rows()))
    assert twins.taken_back(plan, rows(2.0)) < ROWS / 2
    assert math.isinf(twins.taken_back(plan, twins.together([rows(), rows()])))


@pytest.mark.parametrize(("slower", "holds"), [(1.0, True), (2.0, False)], ids=["alike", "slower"])
def test_twins_fails_where_too_many_are_taken_back(plan: Plan, slower: float, holds: bool) -> None:
    course = Course(Kind("python", 8), rate=100.0)
    course.recorded = [rows(slower)] * 2
    course.taken_back = [twins.taken_back(plan, one) for one in course.recorded]
    bars = {bar.name: bar for bar in twins.bars([course])}
    assert bars[twins.TAKEN_BACK].figure == (0 if holds else 100)
    assert all(bar.passed for bar in bars.values()) is holds
    told = twins.notes([course], plan)["python, 8 rows, 50 %, ms"]
    assert told["twin p50"] / told["champion p50"] == pytest.approx(slower, rel=0.2)


def test_twins_counts_what_another_answered_as_the_arms_failure() -> None:
    given = Assignment("m", Arm.CHALLENGER, 0.25, 3, "d", 1)
    events = [
        Prediction(0, given, "1", (1.0,), Output(1), 40),
        Prediction(0, given, "1", (1.0,), Output(1), 50, "timeout"),
        Failure(0, given, "1", "broken", 60),
    ]
    found = twins.recorded(iter(events))
    assert found.failed.tolist() == [False, True, True]
    assert found.latency.tolist() == [40.0, 50.0, 60.0]
    assert (found.challenger.all(), set(found.share.tolist())) == (True, {0.25})


def test_twins_are_chosen_by_name() -> None:
    assert twins.chosen(None) == twins.WEIGHTS
    assert twins.chosen(["python", "forest"]) == ("forest", "python")
    with pytest.raises(InvalidInput, match="no weight 'stone'"):
        twins.chosen(["stone"])
