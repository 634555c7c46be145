"""Simulated experiments as arrays, and small ones as values."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from serinus.delivery.experiments import metrics
from serinus.delivery.experiments import moments as mo
from serinus.delivery.experiments.analysis import Question
from serinus.delivery.experiments.fold import Draw, Folding, Settled, Units
from serinus.delivery.experiments.sums import Sums
from serinus.delivery.experiments.types import Design, Grouping, Setup

Floats = NDArray[np.float64]

SETUP = Setup("classification", (0, 1))
DESIGN = Design(
    metric="accuracy",
    versions=("1.0.0", "1.1.0"),
    shares=(0.5,),
    unit="request",
    units=1_200,
    least_seconds=0.0,
    most_seconds=1e6,
    window_seconds=60.0,
)


def design(**changes: object) -> Design:
    """An experiment of two versions by accuracy, with changes."""
    return msgspec.structs.replace(DESIGN, **changes)


def question(
    asked: Design = DESIGN,
    *,
    dropped: Sequence[int] = (),
    covariate: int | None = None,
    groupings: tuple[Grouping, ...] = (),
) -> Question:
    """What an analysis of a design asks."""
    task = "regression" if asked.metric in ("mse", "mae") else "classification"
    setup = Setup(task, (0, 1), covariate, groupings)
    metric = metrics.parse(asked.metric, task, (0, 1))
    return Question(asked, setup, metric, frozenset(dropped))


def settled(
    number: int,
    arm: int = 0,
    *,
    right: bool = True,
    unit: int = 0,
    shares: tuple[float, ...] = (0.5,),
    x: float | None = None,
    groups: tuple[int, ...] = (),
    outcome: float | None = 1,
) -> Settled:
    """The ``number``-th request, a second each, labelled 1 and answered rightly or not."""
    draw = Draw(arm, shares, unit, 1 if right else 0, x, groups)
    return Settled(1_000_000 * (number + 1), draw, outcome)


def folded(
    items: Sequence[Settled],
    asked: Design = DESIGN,
    *,
    sums: Sums | None = None,
    units: Units | None = None,
    through: int = 0,
) -> Sums:
    """Sums after these requests."""
    sums = Sums() if sums is None else sums
    metric = question(asked).metric
    Folding(asked, metric, sums, {} if units is None else units).add(items, through)
    return sums


def two_arms(
    rng: np.random.Generator, runs: int, units: int, *, effect: float = 0.0, share: float = 0.5
) -> tuple[Floats, Floats]:
    """Moments of a champion and a challenger with normal values, shape (runs, 10) each."""
    count = round(units * share)
    champion = mo.total(rng.normal(1.0, 1.0, (runs, units - count)))
    challenger = mo.total(rng.normal(1.0 + effect, 1.0, (runs, count)))
    return champion, challenger
