"""What is claimed, and what was found."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Trial: TypeAlias = Callable[[np.random.Generator], NDArray[np.float64]]
"""One run: from its generator to its figures, always as many. Must be importable by its name."""


class Trials(Protocol):
    """Runs a trial many times, each run from a generator of its own."""

    def run(self, trial: Trial, runs: int, *, name: str) -> NDArray[np.float64]:
        """The figures of each run, shape (runs, figures)."""


@dataclass(frozen=True)
class Bar:
    """One figure that must keep to one limit, and what others reach on the same streams.

    Attributes:
        name: what was measured.
        unit: of every figure here, such as ``of runs`` or ``requests``.
        figure: ours; infinity is "never".
        confidence_limit: its one-sided 95 % limit on the side of ``limit``.
        relation: how it must stand to the limit.
        limit: the published limit; None for a figure that is only told.
        by_confidence: whether the confidence limit must keep to it, not only the figure.
        others: by rule, the same figure for it. None of them decides.
        whose: whose figure it is; another's, where the claim is about what others do.
    """

    name: str
    unit: str
    figure: float
    confidence_limit: float | None
    relation: Literal["<=", ">="]
    limit: float | None
    by_confidence: bool = False
    others: Mapping[str, float] = field(default_factory=dict)
    whose: str = "Serinus"

    @property
    def judged(self) -> float:
        """The number that is held against the limit."""
        if self.by_confidence and self.confidence_limit is not None:
            return self.confidence_limit
        return self.figure

    @property
    def passed(self) -> bool:
        """Whether the limit is kept; what has none breaks none."""
        if self.limit is None:
            return True
        if self.relation == "<=":
            return self.judged <= self.limit
        return self.judged >= self.limit

    @property
    def unproven(self) -> bool:
        """Whether the figure keeps the limit and only its uncertainty does not: too few runs."""
        return not self.passed and self.by_confidence and replace(self, by_confidence=False).passed

    @property
    def strain(self) -> float:
        """How near the limit is: above 1 it is broken."""
        if self.limit is None:
            return 0.0
        used, allowed = self.judged, self.limit
        if self.relation == ">=":
            used, allowed = allowed, used
        if allowed == 0:
            return math.inf if used > 0 else 0.0
        return used / allowed

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON; what is never reached is null."""
        return {
            "name": self.name,
            "whose": self.whose,
            "unit": self.unit,
            "figure": _finite(self.figure),
            "confidence_limit": _finite(self.confidence_limit),
            "relation": self.relation,
            "limit": self.limit,
            "others": {name: _finite(value) for name, value in self.others.items()},
            "passed": None if self.limit is None else self.passed,
        }


@dataclass(frozen=True)
class Measured:
    """What a claim's simulations gave: its bars, the runs behind them, and further figures."""

    bars: tuple[Bar, ...]
    runs: int
    notes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """Something published that anybody can check.

    Attributes:
        name: what it is asked for by.
        statement: in one sentence.
        runs: of each trial, unless another number is given.
        prove: measures it with so many runs.
    """

    name: str
    statement: str
    runs: int
    prove: Callable[[Trials, int], Measured]


@dataclass(frozen=True)
class Finding:
    """What a claim's measurement found.

    Attributes:
        claim: its name.
        statement: the claim in one sentence.
        bars: every figure, most of which must keep to a limit.
        runs: simulated runs behind the figures, in all.
        scale: the runs of each trial as a part of the published number.
        seed: with which, by the same version, they come out the same again.
        seconds: how long that took.
        notes: further figures, by name, that nothing depends on.
    """

    claim: str
    statement: str
    bars: tuple[Bar, ...]
    runs: int
    seed: int
    seconds: float
    notes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    scale: float = 1.0

    @property
    def conclusion(self) -> str:
        """In words: a claim that so few runs could not show is not refuted, only unproven."""
        few = f" (with {self.scale:.2%} of the published runs, which proves little)"
        if self.passed:
            return "Holds" + (few if self.scale < 1 else "")
        broken = [bar for bar in self.bars if bar.limit is not None and not bar.passed]
        if broken and all(bar.unproven for bar in broken):
            return "NOT PROVEN: too few runs"
        return "FAILS"

    @property
    def passed(self) -> bool:
        """Whether every limit is kept; without any, nothing is proven."""
        limited = [bar for bar in self.bars if bar.limit is not None]
        return bool(limited) and all(bar.passed for bar in limited)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON, led by the bar that is nearest to its limit."""
        own = [bar for bar in self.bars if bar.whose == "Serinus"]
        nearest = max(own or self.bars, key=lambda bar: bar.strain)
        return {
            "claim": self.claim,
            "statement": self.statement,
            "passed": self.passed,
            "conclusion": self.conclusion,
            "limit": nearest.limit,
            "ours": {
                "of": nearest.name,
                "figure": _finite(nearest.figure),
                "confidence_limit": _finite(nearest.confidence_limit),
            },
            "others": {name: _finite(value) for name, value in nearest.others.items()},
            "bars": [bar.as_dict() for bar in self.bars],
            "notes": {
                name: {key: _finite(value) for key, value in figures.items()}
                for name, figures in self.notes.items()
            },
            "runs": self.runs,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
        }


def _finite(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), 6)
