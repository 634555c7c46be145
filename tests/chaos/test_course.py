"""Courses that differ, and histories that cannot be."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from serinus.chaos import course
from serinus.chaos.course import Course
from serinus.delivery.types import Outcome, Phase, Transition

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALM = Course("succeeded", "promote", "why", "abc", (), ((1, "{}"),), (), ())


def move(before: Phase, after: Phase, step: int) -> Transition:
    return Transition(before, after, step, NOON, "controller", Outcome.PROMOTE, "")


def test_courses_differ_in_what_is_named() -> None:
    assert course.differences(CALM, CALM) == []
    told = course.differences(CALM, replace(CALM, digest="abd"))
    assert told == ["digest: 'abc' became 'abd'"]


def test_a_whole_rollout_is_sound() -> None:
    history = [
        move(Phase.PENDING, Phase.PENDING, 0),
        move(Phase.PENDING, Phase.RUNNING, 0),
        move(Phase.RUNNING, Phase.RUNNING, 1),
        move(Phase.RUNNING, Phase.SOAKING, 2),
        move(Phase.SOAKING, Phase.SUCCEEDED, 2),
    ]
    assert course.faults(history, [1, 2, 4]) == []


def test_skipped_repeated_and_broken_are_told() -> None:
    start = move(Phase.PENDING, Phase.RUNNING, 0)
    assert course.faults([start, move(Phase.RUNNING, Phase.RUNNING, 2)], [])
    assert course.faults([start, move(Phase.RUNNING, Phase.RUNNING, 0)], [])
    assert course.faults([start, move(Phase.PAUSED, Phase.RUNNING, 0)], [])
    ended = move(Phase.RUNNING, Phase.ROLLED_BACK, 0)
    assert course.faults([start, ended, move(Phase.ROLLED_BACK, Phase.SOAKING, 1)], [])
    assert course.faults([start], [3, 3]) == ["revision 3 follows 3"]
