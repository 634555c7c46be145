"""What is known of a challenger: counts, from which every e-value follows.

Evidence is a bag of counted cells. It merges by addition, so order and sharding cannot matter, and
its size depends on the plan, never on the traffic.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from serinus.delivery.types import QualityScale
from serinus.wire import Answer, Arm

# A loss is kept to 1/32; that coarser loss is bounded as well, so the tests stay exact for it.
LOSS_STEPS = 32
LOSS_LEVELS: NDArray[np.float64] = np.arange(LOSS_STEPS + 1) / LOSS_STEPS
LOSS_DIFFERENCES: NDArray[np.float64] = np.arange(-LOSS_STEPS, LOSS_STEPS + 1) / LOSS_STEPS
FAILURE_DIFFERENCES: NDArray[np.float64] = np.array([-1.0, 0.0, 1.0])


class Measure(StrEnum):
    """What a cell counts."""

    ERROR = "error"
    """Live requests by whether the assigned arm failed (level 0 or 1)."""
    LOSS = "loss"
    """Live labelled requests by loss (level 0 to 32)."""
    PAIR_ERROR = "pair_error"
    """Mirrored requests by challenger's failure minus champion's (level -1 to 1)."""
    PAIR_LOSS = "pair_loss"
    """Mirrored labelled requests by challenger's loss minus champion's (level -32 to 32)."""
    STEP = "step"
    """Requests or pairs that the plan's steps added (level = step)."""
    MATURED = "matured"
    """Requests whose time for a label is over or whose label came (level 1 if it came)."""


class Cell(msgspec.Struct, frozen=True, array_like=True, order=True):
    """One kind of observation; ``share`` is the configured share that was in force."""

    measure: Measure
    share: float
    arm: Arm
    level: int


class Evidence(msgspec.Struct, frozen=True):
    """How often each cell was observed."""

    cells: dict[Cell, int]

    def __add__(self, other: Evidence) -> Evidence:
        """The evidence of both; order does not matter."""
        total = Counter(self.cells)
        total.update(other.cells)
        return Evidence(dict(total))

    def total(self, measure: Measure, arm: Arm | None = None, level: int | None = None) -> int:
        """Observations of ``measure``, of one arm and level if given."""
        return sum(
            count
            for cell, count in self.cells.items()
            if cell.measure is measure
            and (arm is None or cell.arm is arm)
            and (level is None or cell.level == level)
        )

    def by_arm(self, measure: Measure, levels: int) -> dict[float, NDArray[np.int64]]:
        """By share, shape (2, ``levels``): counts of each level by (champion, challenger)."""
        counts: dict[float, NDArray[np.int64]] = {}
        for cell, count in self.cells.items():
            if cell.measure is measure:
                row = 1 if cell.arm is Arm.CHALLENGER else 0
                table = counts.setdefault(cell.share, np.zeros((2, levels), np.int64))
                table[row, cell.level] += count
        return counts

    def pairs(self, measure: Measure, reach: int) -> NDArray[np.int64]:
        """Shape (2 ``reach`` + 1,): counts of the differences -reach..reach."""
        counts = np.zeros(2 * reach + 1, np.int64)
        for cell, count in self.cells.items():
            if cell.measure is measure:
                counts[cell.level + reach] += count
        return counts

    def coverage(self, arm: Arm) -> float | None:
        """The share of an arm's matured requests that got a label; None if none matured."""
        labelled = self.total(Measure.MATURED, arm, 1)
        matured = labelled + self.total(Measure.MATURED, arm, 0)
        return labelled / matured if matured else None

    def encode(self) -> bytes:
        """A canonical form: equal evidence gives equal bytes."""
        return msgspec.msgpack.encode(sorted(self.cells.items()))

    def digest(self) -> str:
        """A short hash by which two evidences can be compared."""
        return hashlib.sha256(self.encode()).hexdigest()[:16]


EMPTY = Evidence({})


def decode(data: bytes) -> Evidence:
    """The evidence that :meth:`Evidence.encode` wrote."""
    return Evidence(dict(msgspec.msgpack.decode(data, type=list[tuple[Cell, int]])))


def count(observations: Iterable[Cell]) -> Evidence:
    """The evidence of single observations."""
    return Evidence(dict(Counter(observations)))


def loss_level(scale: QualityScale, answer: Answer | None, truth: Answer) -> int:
    """The loss of an answer on the scale 0..32; a failure (None) counts as entirely wrong."""
    if answer is None:
        return LOSS_STEPS
    if scale.task == "classification":
        # Labels come through JSON and CSV: 1, "1" and 1.0 are the same class, True is 1.
        return 0 if answer == truth or str(answer) == str(truth) else LOSS_STEPS
    error = abs(float(answer) - float(truth))
    if not error < scale.cap:
        return LOSS_STEPS
    return int(error / scale.cap * LOSS_STEPS)
