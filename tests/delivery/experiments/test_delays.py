"""Labels that come later in one arm, or never, through everything that waits for them.

Both versions are right in half of their answers. Right answers are confirmed soon; wrong ones are
found out late, and of the challenger three times as late. Some labels miss the window, more of the
challenger's. To compare the labels so far makes the challenger look better than it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush

import numpy as np
import pytest
from tests.delivery.conftest import World
from tests.delivery.experiments.living import SECOND, Lab

from serinus import clock
from serinus.delivery.experiments.types import View
from serinus.delivery.types import Phase
from serinus.wire import Arm, Assignment, Label, Output, Prediction

WINDOW = 100.0
RATE = 20
LAGS = {(0, True): 7.0, (1, True): 7.0, (0, False): 27.0, (1, False): 81.0}
MISSING = (0.04, 0.12)


@dataclass
class Delays:
    """Traffic whose labels come in their time."""

    lab: Lab
    deployment: str
    asked: list[tuple[int, bool, bool]] = field(default_factory=list)
    """Of each request its arm, whether it was right, and whether its label comes in time."""
    due: list[tuple[int, int, Label]] = field(default_factory=list)

    def flow(self, seconds: int, *, rate: int = RATE) -> None:
        """So much time, in which ``rate`` requests a second come, and the labels that are due."""
        for _ in range(seconds):
            self.lab.at += SECOND
            rows = [self._request() for _ in range(rate)]
            for identity, row in zip(self.lab.world.write(rows), rows, strict=True):
                self._schedule(identity, row)
            told = []
            while self.due and self.due[0][0] <= self.lab.at:
                told.append(heappop(self.due)[2])
            self.lab.world.write(told)

    def _request(self) -> Prediction:
        arm, right = (int(draw) for draw in self.lab.rng.random(2) < 0.5)
        role = Arm.CHALLENGER if arm else Arm.CHAMPION
        given = Assignment("fraud", role, 0.5, 1, self.deployment, 0)
        return Prediction(self.lab.at, given, "x", (1.0, 40.0), Output(right), 900)

    def _schedule(self, identity: bytes, row: Prediction) -> None:
        arm = int(row.assignment.arm is Arm.CHALLENGER)
        right = row.output.value == 1
        misses = bool(self.lab.rng.random() < MISSING[arm])
        lag = min(self.lab.rng.exponential(LAGS[arm, right]), WINDOW - 1) + misses * WINDOW
        at = row.at + round(lag * SECOND)
        label = Label(at, identity, 1, row.at, row.assignment, row.version, row.output)
        heappush(self.due, (at, len(self.asked), label))
        self.asked.append((arm, right, not misses))

    def naive(self) -> float:
        """The usual statistic of the labels so far."""
        waiting = {number for _, number, _ in self.due}
        came = [row for number, row in enumerate(self.asked) if number not in waiting]
        right = [np.array([row[1] for row in came if row[0] == arm]) for arm in (0, 1)]
        error = np.sqrt(sum(part.var() / len(part) for part in right))
        return float((right[1].mean() - right[0].mean()) / error)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_labels_that_come_late_or_never_in_one_arm_do_not_bend_the_report(world: World) -> None:
    lab = Lab(world, at=clock.epoch_us())
    begun = lab.start(min_requests=2_400, label_window_seconds=WINDOW)
    traffic = Delays(lab, begun.id)
    naive, looks = [], set()
    for _ in range(5):
        traffic.flow(30)
        lab.look()
        naive.append(traffic.naive())
        found = lab.experiments.evaluate(begun.id)
        assert found.view is View.BEFORE_THE_END
        assert found.findings[0].state in ("no_data", "undecided")
        looks.add(found.validity.split(";")[0])
    assert len(looks) > 2
    # Who compares the labels so far is wrong at every look.
    assert min(naive) > 1.96
    assert max(naive) > 4.0
    traffic.flow(120, rate=1)
    lab.look(6)
    ended = lab.now(begun)
    assert ended.phase is Phase.SUCCEEDED
    report = lab.experiments.evaluate(begun.id)
    assert report.view is View.AT_THE_END
    finding = report.findings[0]
    assert finding.state == "undecided"
    # Lateness has left no trace: each arm is the mean of its labelled requests until the end.
    counted = traffic.asked[: sum(arm.requests for arm in report.arms)]
    for number, arm in enumerate(report.arms):
        mine = [(right, in_time) for of, right, in_time in counted if of == number]
        assert arm.requests == len(mine)
        assert arm.value == pytest.approx(np.mean([right for right, in_time in mine if in_time]))
        assert arm.labelled == pytest.approx(np.mean([in_time for _, in_time in mine]))
        assert arm.labelled == pytest.approx(1.0 - MISSING[number], abs=0.03)
    assert any(note.startswith("Labels in time differ by arm (1.0.0 9") for note in report.notes)
