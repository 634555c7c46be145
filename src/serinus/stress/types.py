"""What a proof under stress found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serinus.proof.types import Bar


@dataclass(frozen=True)
class Finding:
    """What was measured, each figure beside its limit.

    Attributes:
        name: of the proof.
        statement: what it claims, in one sentence.
        bars: every figure, most of which must keep to a limit.
        seed: with which the same is done again.
        seconds: how long it took.
        notes: further figures, by name, that nothing depends on.
        faults: each thing that went wrong, with what it takes to see it again.
    """

    name: str
    statement: str
    bars: tuple[Bar, ...]
    seed: int
    seconds: float
    notes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    faults: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every limit is kept."""
        return all(bar.passed for bar in self.bars)

    def figure(self, name: str) -> float:
        """The figure of the bar of this name."""
        return next(bar.figure for bar in self.bars if bar.name == name)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "proof": self.name,
            "statement": self.statement,
            "passed": self.passed,
            "bars": [_plain(bar) for bar in self.bars],
            "notes": {name: dict(figures) for name, figures in self.notes.items()},
            "faults": list(self.faults),
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
        }


def at_most(name: str, figure: float, limit: float | None, unit: str = "") -> Bar:
    """A figure that must not exceed ``limit``; None asks nothing of it."""
    return Bar(name, unit, figure, None, "<=", limit)


def at_least(name: str, figure: float, limit: float, unit: str = "") -> Bar:
    """A figure that must reach ``limit``, or the run proves nothing."""
    return Bar(name, unit, figure, None, ">=", limit)


def _plain(bar: Bar) -> dict[str, Any]:
    return {
        "name": bar.name,
        "unit": bar.unit,
        "figure": round(float(bar.figure), 3),
        "relation": bar.relation,
        "limit": bar.limit,
        "passed": None if bar.limit is None else bar.passed,
    }
