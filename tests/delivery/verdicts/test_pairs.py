"""Pairs: whose answer is whose, and what is noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery import samples
from tests.delivery.samples import assigned

from serinus.delivery.types import Plan
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts import measure, pairs
from serinus.delivery.verdicts.evidence import Measure
from serinus.delivery.verdicts.pairs import BEFORE, Flip, Halves, Pair
from serinus.wire import Arm, Output, Shadow

SUBJECT = samples.deployment()
SOAK = len(SUBJECT.plan.steps)
OUTPUTS = st.none() | st.builds(Output, st.sampled_from([0, 1, "a", 2.5]))
FLIPS = st.builds(Flip, st.integers(0, 10), st.just(0.0), st.booleans())
HALVES = st.dictionaries(st.sampled_from([b"a", b"b", b"c", b"d"]), FLIPS)


def event(step: int, version: str, first: Output | None, second: Output | None) -> Shadow:
    return Shadow(1, b"p", assigned(Arm.SHADOW, step=step), version, first, second, 5)


@given(OUTPUTS, OUTPUTS, st.sampled_from([BEFORE, ev.SOAK]))
def test_pair_turned_twice_is_itself(
    one: Output | None, other: Output | None, share: float
) -> None:
    pair = Pair(one, other, share)
    assert pair.turned().turned() == pair
    assert pair.turned().failures == -pair.failures
    assert pair.turned().share != share


@pytest.mark.parametrize(
    ("step", "version", "turned"),
    [
        (0, "1.1.0", False),
        (SOAK - 1, "1.1.0", False),
        (SOAK, "1.0.0", True),
        (SOAK + 1, "1.0.0", True),
        # Neither of the two roles: it is told as it was before.
        (SOAK, "1.1.0", False),
        (SOAK - 1, "1.0.0", False),
    ],
)
def test_pair_of_turns_in_the_soak_alone(step: int, version: str, turned: bool) -> None:
    pair = pairs.pair_of(SUBJECT, event(step, version, Output(1), None))
    plain = Pair(Output(1), None, BEFORE)
    assert pair == (plain.turned() if turned else plain)


@given(OUTPUTS, OUTPUTS)
def test_flip_of_is_the_same_whichever_answered_first(
    one: Output | None, other: Output | None
) -> None:
    plan = SUBJECT.plan
    assert pairs.flip_of(plan, event(0, "1.1.0", one, other)) == pairs.flip_of(
        plan, event(0, "1.1.0", other, one)
    )


@given(HALVES, HALVES)
def test_join_counts_each_request_with_both_halves_once(
    challenger: dict[bytes, Flip], clone: dict[bytes, Flip]
) -> None:
    halves = Halves(dict(challenger), dict(clone))
    both = challenger.keys() & clone.keys()
    sights = halves.join()
    assert ev.count(sights).total(Measure.PAIR_FLOOR) == len(both)
    assert halves.join() == []
    assert set(halves.challenger) == set(challenger) - both
    assert set(halves.clone) == set(clone) - both


def disagreement(plan: Plan, rng: np.random.Generator, noise: float, real: float) -> float:
    """Log odds that the challenger differs too often, after 4,000 requests answered three times.

    Each answer is the right one but for noise of its own; the challenger differs by ``real`` more.
    """
    n = 4_000
    first, again, other = (rng.random(n) < noise for _ in range(3))
    flip = (first ^ other) ^ (rng.random(n) < real)
    level = 2 * flip + (first ^ again)
    counts = np.bincount(level, minlength=4)
    rail = next(rail for rail in plan.guardrails if rail.kind == "disagreement")
    found = samples.table(Measure.PAIR_FLOOR, challenger=counts.tolist())
    return float(measure.log_harm(plan, rail, found.tables)) - float(np.log(1 / rail.alpha))


def test_disagreement_forgives_the_champions_own_noise_and_nothing_more() -> None:
    plan = samples.full_plan(disagreement=0.01)
    rng = np.random.default_rng(3)
    twins = [disagreement(plan, rng, 0.02, 0.0) for _ in range(40)]
    worse = [disagreement(plan, rng, 0.02, 0.04) for _ in range(40)]
    assert max(twins) < 0
    assert sum(log_e > 0 for log_e in worse) >= 36
