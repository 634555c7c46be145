"""Simulated rollouts at one step: their tables, look after look, until a question is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from serinus.delivery.forecast.circumstances import Circumstances
from serinus.delivery.types import Kind, Step
from serinus.delivery.verdicts.evidence import Counts, Floats, Measure, Tables

# So much further with each look; a first passage is found late by half of it on average.
_GROWTH = 1.03
_LOOKS = 48

Past: TypeAlias = Mapping[Measure, Mapping[float, Counts]]
"""What rollouts had counted at earlier steps: shape (runs, 2, levels)."""
Answers: TypeAlias = Mapping[Kind, NDArray[np.bool_]]


@dataclass(frozen=True)
class Search:
    """What is waited for at a step.

    Attributes:
        step: whose share is drawn.
        measures: what is counted.
        ask: by guardrail, which of the tables answer yes; shape (runs, looks).
        every: whether all guardrails must say yes, or one is enough.
        least: units before which nobody looks.
        most: units after which nobody goes on.
    """

    step: Step
    measures: frozenset[Measure]
    ask: Callable[[Tables], Answers]
    every: bool
    least: float
    most: float


@dataclass(frozen=True)
class Reached:
    """Where rollouts came to: units of the step (inf: no answer), and the counts they had there.

    Attributes:
        units: shape (runs,).
        by_kind: by guardrail, when it first said yes; shape (runs,).
        tables: shape (runs, 2, levels) each, earlier steps included.
    """

    units: Floats
    by_kind: Mapping[Kind, Floats]
    tables: dict[Measure, dict[float, Counts]]


def walk(
    rng: np.random.Generator,
    runs: int,
    search: Search,
    known: Circumstances,
    past: Past | None = None,
) -> Reached:
    """Draw units until the question is answered in every rollout, or nobody goes on.

    Args:
        rng: where chance comes from.
        runs: rollouts.
        search: the question.
        known: the laws that units are drawn by.
        past: the counts of earlier steps.
    """
    past = past or {}
    # In a fixed order, so that equal seeds draw equal counts.
    measures = sorted(search.measures)
    lags = {measure: _lag(search.step, known, past, measure) for measure in measures}
    units = np.full(runs, inf)
    by_kind: dict[Kind, Floats] = {}
    here: dict[Measure, Counts] = {}
    for measure in measures:
        here[measure] = np.zeros((runs, 2, known.laws[measure].shape[-1]), np.int64)
    going = np.arange(runs)
    at = 0
    while going.size and at < search.most:
        ends = _ends(at, search.least)
        tables: dict[Measure, dict[float, Counts]] = {}
        for measure, lag in lags.items():
            counting = np.maximum(np.concatenate([[at], ends]) - lag, 0)
            fresh = _draw(rng, known.laws[measure], search.step, np.diff(counting), going.size)
            fresh += here[measure][going][:, None]
            tables[measure] = {
                share: counts[going][:, None] for share, counts in past.get(measure, {}).items()
            }
            tables[measure][search.step.share] = fresh
        answers = search.ask(tables)
        for kind, yes in answers.items():
            first = np.where(yes.any(axis=1), ends[yes.argmax(axis=1)], inf)
            so_far = by_kind.setdefault(kind, np.full(runs, inf))
            so_far[going] = np.minimum(so_far[going], first)
        reached = (np.logical_and if search.every else np.logical_or).reduce(list(answers.values()))
        done = reached.any(axis=1)
        last = np.where(done, reached.argmax(axis=1), len(ends) - 1)
        for measure, by_share in tables.items():
            here[measure][going] = by_share[search.step.share][np.arange(going.size), last]
        units[going[done]] = ends[last[done]]
        going, at = going[~done], int(ends[-1])
    found = {
        measure: {**past.get(measure, {}), search.step.share: counts}
        for measure, counts in here.items()
    }
    return Reached(units, by_kind, found)


def _lag(step: Step, known: Circumstances, past: Past, measure: Measure) -> int:
    lag = known.lag.get(measure, 0.0)
    if measure.startswith("latency"):
        # The champion's latencies are known from the first live step on.
        lag = 0.0 if past.get(measure) else lag / (1.0 - step.share)
    return round(lag)


def _ends(at: int, least: float) -> NDArray[np.int64]:
    """The next looks, shape (looks,): at ``least`` first, then ever further apart."""
    start = float(at) * _GROWTH if at else least
    grown = np.ceil(start * _GROWTH ** np.arange(_LOOKS)).astype(np.int64)
    ends: NDArray[np.int64] = np.maximum(grown, at + 1 + np.arange(_LOOKS))
    return ends


def _draw(
    rng: np.random.Generator, law: Floats, step: Step, units: NDArray[np.int64], runs: int
) -> Counts:
    """Cumulated counts of that many units a look, shape (runs, looks, 2, levels)."""
    arms = np.array([[1.0 - step.share], [step.share]])
    chances = law * arms if law.ndim == 2 else np.stack([np.zeros_like(law), law])
    likely = np.flatnonzero(chances)
    flat = chances.ravel()[likely]
    rest = max(0.0, 1.0 - flat.sum())
    drawn = rng.multinomial(np.broadcast_to(units, (runs, len(units))), [*flat, rest])
    counts = np.zeros((runs, len(units), chances.size), np.int64)
    counts[..., likely] = drawn[..., :-1].cumsum(axis=1)
    shaped: Counts = counts.reshape(runs, len(units), *chances.shape)
    return shaped
