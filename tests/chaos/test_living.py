"""Steps that were skipped or done twice are seen."""

from __future__ import annotations

from datetime import UTC, datetime

from serinus.chaos import living
from serinus.delivery.types import Outcome, Phase, Transition


def test_steps_are_each_there_once() -> None:
    def at(*steps: int) -> list[Transition]:
        moment = datetime(2026, 3, 1, tzinfo=UTC)
        return [
            Transition(Phase.RUNNING, Phase.RUNNING, step, moment, "x", Outcome.PROMOTE, "")
            for step in steps
        ]

    assert living._steps(at(0, 1, 2)) == []
    assert living._steps(at(0, 2))
    assert living._steps(at(0, 1, 1, 2))
