"""What is tolerated is never called harm more often than the guardrail may err."""

from __future__ import annotations

from functools import cache
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery.samples import SHADOW, full_plan

from serinus.delivery.types import Kind, Plan
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts import measure
from serinus.delivery.verdicts.evidence import Floats, Measure, Tables

TOLERANCES = (0.0, 0.005, 0.02, 0.1)
ALPHA = 0.1
RUNS, LOOKS, EACH = 400, 50, 200


@cache
def plan_of(tolerance: float) -> Plan:
    return full_plan(quality_tolerance=tolerance, quality_points=0.2)


def log_harm(kind: Kind, tolerance: float, tables: Tables) -> Floats:
    plan = plan_of(tolerance)
    rail = next(rail for rail in plan.guardrails if rail.kind == kind)
    assert rail.tolerance == tolerance
    return np.asarray(measure.log_harm(plan, rail, tables))


def law(levels: Floats, mean: float, low: int, high: int) -> Floats:
    """Of two levels about a mean, so many places below and above it."""
    above = min(int(np.searchsorted(levels, mean)) + high, len(levels) - 1)
    below = max(int(np.searchsorted(levels, mean)) - 1 - low, 0)
    found = np.zeros(len(levels))
    part = (mean - levels[below]) / (levels[above] - levels[below])
    found[above], found[below] = part, 1.0 - part
    return found


PLACES = st.integers(0, 64)


@given(
    st.sampled_from(TOLERANCES), st.floats(0.01, 0.85), st.floats(0.02, 0.98),
    st.tuples(PLACES, PLACES, PLACES, PLACES),
)  # fmt: skip
def test_next_request_within_the_tolerance_gains_nothing_on_average(
    tolerance: float, loss: float, share: float, places: tuple[int, int, int, int]
) -> None:
    """A fair bet or worse whatever the losses: so the e-value is one (Ville's inequality)."""
    levels = ev.LOSS_LEVELS
    laws = np.stack([law(levels, loss, *places[:2]), law(levels, loss + tolerance, *places[2:])])
    chances = (laws * [[1.0 - share], [share]]).ravel()
    each = np.eye(chances.size, dtype=np.int64).reshape(-1, 2, len(levels))

    gains = np.exp(log_harm("quality", tolerance, {Measure.LOSS: {share: each}}))
    assert float(chances @ gains) <= 1.0 + 1e-9


@given(st.sampled_from(TOLERANCES[1:]), st.tuples(PLACES, PLACES))
def test_next_pair_within_the_tolerance_gains_nothing_on_average(
    tolerance: float, places: tuple[int, int]
) -> None:
    differences = ev.LOSS_DIFFERENCES
    chances = law(differences, tolerance, *places)
    each = np.zeros((chances.size, 2, chances.size), np.int64)
    each[:, 1] = np.eye(chances.size, dtype=np.int64)

    gains = np.exp(log_harm("shadow_quality", tolerance, {Measure.PAIR_LOSS: {SHADOW: each}}))
    assert float(chances @ gains) <= 1.0 + 1e-9


def ever(found: Floats) -> float:
    """The share of runs that are called harm at any look."""
    return float((found.max(axis=-1) >= log(1.0 / ALPHA)).mean())


@pytest.mark.parametrize("tolerance", TOLERANCES[1:])
def test_all_that_is_tolerated_is_hardly_ever_harm_at_any_look(tolerance: float) -> None:
    rng = np.random.default_rng(5)
    most = ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / RUNS)
    live = np.zeros((RUNS, LOOKS, 2, len(ev.LOSS_LEVELS)), np.int64)
    for arm, wrong in enumerate((0.1, 0.1 + tolerance)):
        live[:, :, arm, -1] = rng.binomial(EACH, wrong, (RUNS, LOOKS)).cumsum(axis=1)
        live[:, :, arm, 0] = EACH * np.arange(1, LOOKS + 1) - live[:, :, arm, -1]
    pairs = np.zeros((RUNS, LOOKS, 2, len(ev.LOSS_DIFFERENCES)), np.int64)
    drawn = rng.multinomial(EACH, [0.02, 0.96 - tolerance, 0.02 + tolerance], (RUNS, LOOKS))
    pairs[:, :, 1, [0, 32, 64]] = drawn.cumsum(axis=1)
    told: dict[Kind, Tables] = {
        "quality": {Measure.LOSS: {0.5: live}},
        "shadow_quality": {Measure.PAIR_LOSS: {SHADOW: pairs}},
    }
    for kind, tables in told.items():
        assert ever(log_harm(kind, tolerance, tables)) <= most
    # The same evidence is harm to who tolerates nothing, once there is enough of it.
    if tolerance == TOLERANCES[-1]:
        assert all(ever(log_harm(kind, 0.0, tables)) == 1.0 for kind, tables in told.items())
