"""What a wrong clock may not bring about is seen."""

from __future__ import annotations

from serinus.chaos import clocks
from serinus.chaos.course import Course
from serinus.chaos.lockstep import Ran


def ran(phase: str, *moves: tuple[str, str, int, str, str]) -> Ran:
    course = Course(phase, "", "", "", moves, (), (), ())
    return Ran(course, [], exact=True, batches=1, notes=[], seconds=0.0)


ON = ("running", "running", 1, "controller", "enough")


def test_promotions_that_a_right_clock_would_not_bring_are_seen() -> None:
    calm = ran("succeeded", ON)
    assert not clocks._promoted(calm, ran("inconclusive"))
    assert not clocks._promoted(calm, ran("succeeded", ON))
    assert clocks._promoted(calm, ran("succeeded", (*ON[:4], "other evidence")))


def test_lost_rollbacks_are_seen() -> None:
    calm = ran("rolled_back")
    assert clocks._lost(calm, ran("succeeded"))
    assert not clocks._lost(calm, ran("inconclusive"))
