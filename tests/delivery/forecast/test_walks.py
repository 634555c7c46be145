"""Walks whose answer is known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from serinus.delivery.forecast.circumstances import Circumstances
from serinus.delivery.forecast.walks import Answers, Search, walk
from serinus.delivery.types import Gate, Step
from serinus.delivery.verdicts.evidence import Measure, Tables

HALF = Step(0.5, 0.0, Gate(), 1, 0.0, 1.0)
SHADOW = Step(0.0, 1.0, Gate(), 1, 0.0, 1.0)
COIN = np.array([[0.5, 0.5], [0.2, 0.8]])
KNOWN = Circumstances({Measure.ERROR: COIN, Measure.PAIR_ERROR: np.array([0.0, 0.9, 0.1])}, {}, ())


def search(step: Step, measure: Measure, ask: object, **fields: object) -> Search:
    usual = {"every": True, "least": 10.0, "most": 1e5}
    return Search(step, frozenset({measure}), ask, **{**usual, **fields})  # type: ignore[arg-type]


def after(number: int, measure: Measure = Measure.ERROR, share: float = 0.5) -> object:
    def ask(tables: Tables) -> Answers:
        return {"errors": tables[measure][share].sum(axis=(-1, -2)) >= number}

    return ask


@pytest.mark.parametrize("number", [10, 333, 40_000])
def test_walk_ends_with_the_first_look_that_says_yes(number: int) -> None:
    rng = np.random.default_rng(1)
    reached = walk(rng, 7, search(HALF, Measure.ERROR, after(number)), KNOWN)
    assert (reached.units >= number).all()
    assert (reached.units <= 1.04 * number).all()
    assert (reached.by_kind["errors"] == reached.units).all()
    counted = reached.tables[Measure.ERROR][0.5].sum(axis=(1, 2))
    assert (counted == reached.units).all()


def test_walk_draws_what_the_law_says() -> None:
    rng = np.random.default_rng(1)
    found = walk(rng, 50, search(HALF, Measure.ERROR, after(10_000)), KNOWN)
    counts = found.tables[Measure.ERROR][0.5].sum(axis=0)
    assert counts.sum(axis=1) / counts.sum() == pytest.approx([0.5, 0.5], abs=0.01)
    assert counts / counts.sum(axis=1, keepdims=True) == pytest.approx(COIN, abs=0.01)


def test_walk_of_pairs_has_only_a_challenger() -> None:
    rng = np.random.default_rng(1)
    ask = after(10_000, Measure.PAIR_ERROR, 0.0)
    found = walk(rng, 20, search(SHADOW, Measure.PAIR_ERROR, ask), KNOWN)
    counts = found.tables[Measure.PAIR_ERROR][0.0].sum(axis=0)
    assert not counts[0].any()
    assert counts[1] / counts[1].sum() == pytest.approx([0.0, 0.9, 0.1], abs=0.01)


def test_walk_without_an_answer_ends_at_infinity() -> None:
    rng = np.random.default_rng(1)
    found = walk(rng, 3, search(HALF, Measure.ERROR, after(10**9), most=1_000.0), KNOWN)
    assert np.isinf(found.units).all()


def test_walk_carries_earlier_steps_on() -> None:
    rng = np.random.default_rng(1)
    first = walk(rng, 4, search(HALF, Measure.ERROR, after(500)), KNOWN)
    later = Step(0.9, 0.0, Gate(), 1, 0.0, 1.0)

    def ask(tables: Tables) -> Answers:
        assert (tables[Measure.ERROR][0.5].sum(axis=(-1, -2)) >= 500).all()
        return {"errors": tables[Measure.ERROR][0.9].sum(axis=(-1, -2)) >= 20}

    found = walk(rng, 4, search(later, Measure.ERROR, ask), KNOWN, first.tables)
    assert set(found.tables[Measure.ERROR]) == {0.5, 0.9}
    kept = found.tables[Measure.ERROR][0.5]
    assert (kept == first.tables[Measure.ERROR][0.5]).all()


def test_walk_waits_for_what_comes_late() -> None:
    rng = np.random.default_rng(1)
    late = Circumstances(KNOWN.laws, {Measure.ERROR: 1_000.0}, ())
    found = walk(rng, 4, search(HALF, Measure.ERROR, after(500)), late)
    assert (found.units >= 1_500).all()
    assert (found.units <= 1_560).all()


def test_walk_asks_for_all_or_for_any() -> None:
    def ask(tables: Tables) -> Answers:
        seen = tables[Measure.ERROR][0.5].sum(axis=(-1, -2))
        return {"errors": seen >= 100, "quality": seen >= 900}

    for every, least in ((True, 900), (False, 100)):
        rng = np.random.default_rng(1)
        found = walk(rng, 3, search(HALF, Measure.ERROR, ask, every=every), KNOWN)
        assert (found.units >= least).all()
        assert (found.units <= 1.05 * least).all()
