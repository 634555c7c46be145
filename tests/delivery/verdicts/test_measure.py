"""E-values of guardrails: the right counts, in the right arms, of one look or of many."""

from __future__ import annotations

from math import exp, log
from typing import get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery.samples import NUMBERS, SHADOW, at_levels, full_plan, plan_of, table

from serinus.delivery.planning.plan import Basis, quality_scale
from serinus.delivery.types import Gate, Guardrail, Kind, Plan
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts import measure
from serinus.delivery.verdicts.evidence import EMPTY, Evidence, Measure
from serinus.stats import (
    event_odds,
    mcnemar,
    ordinal_odds,
    paired_betting,
    sample_ratio,
    score_betting,
    service_level,
)
from serinus.stats.intervals import proportion

COUNTS = st.integers(min_value=0, max_value=400)
KINDS: tuple[Kind, ...] = get_args(Kind)
PLAN = full_plan()
EARLY, LAST = 1, 3
GATE = Gate(
    error_odds=2.0,
    error_points=0.005,
    quality_points=0.02,
    latency_ratio=1.25,
    value_loss=0.2,
    score_shift=0.2,
    share_error=0.1,
)
WIDTHS = {
    Measure.ERROR: 2,
    Measure.FIRST_FAILURE: 2,
    Measure.LATENCY: len(ev.LATENCY_QUANTILES) + 1,
    Measure.LATENCY_EARLY: len(ev.LATENCY_QUANTILES) + 1,
    Measure.LATENCY_LAST: len(ev.LATENCY_QUANTILES) + 1,
    Measure.SCORE: 10,
    Measure.CLASS: 4,
    Measure.LOSS: 33,
    Measure.VALUE: 33,
    Measure.PAIR_ERROR: 3,
    Measure.PAIR_LOSS: 65,
    Measure.PAIR_FLIP: 2,
    Measure.PAIR_FLOOR: 4,
}


def rail_of(kind: Kind, plan: Plan = PLAN) -> Guardrail:
    return next(rail for rail in plan.guardrails if rail.kind == kind)


def harm(kind: Kind, evidence: Evidence, plan: Plan = PLAN) -> float:
    return float(measure.log_harm(plan, rail_of(kind, plan), evidence.tables))


def safe(kind: Kind, evidence: Evidence, plan: Plan = PLAN, gate: Gate = GATE) -> float | None:
    found = measure.log_safe(plan, gate, kind, evidence.tables)
    return None if found is None else float(found)


@pytest.mark.parametrize("kind", KINDS)
def test_measure_of_nothing_is_evidence_of_nothing(kind: Kind) -> None:
    assert harm(kind, EMPTY) == pytest.approx(0.0, abs=1e-9)
    assert safe(kind, EMPTY) in (None, pytest.approx(0.0, abs=1e-9))
    assert safe(kind, EMPTY, gate=Gate()) is None


@pytest.mark.parametrize("plan", [PLAN, full_plan(NUMBERS), full_plan(unit="entity")])
@given(seed=st.integers(0, 2**32 - 1))
def test_measure_of_many_looks_is_that_of_each(plan: Plan, seed: int) -> None:
    """Any leading axes: what forecasts and proofs ask at once is what the judge asks one by one."""
    rng = np.random.default_rng(seed)
    tables = {
        name: {
            share: rng.poisson(rng.choice([0.1, 3.0, 300.0]), (2, 3, 2, wide))
            for share in ([0.0, 1.0] if name.startswith("pair") else [0.05, 0.5, 1.0])
        }
        for name, wide in WIDTHS.items()
    }
    for rail in plan.guardrails:
        many = measure.log_harm(plan, rail, tables)
        margins = measure.log_safe(plan, GATE, rail.kind, tables)
        assert many.shape == (2, 3)
        assert margins is None or margins.shape == (2, 3)
        for place in np.ndindex(2, 3):
            look = {
                name: {share: counts[place] for share, counts in by_share.items()}
                for name, by_share in tables.items()
            }
            one = measure.log_harm(plan, rail, look)
            assert float(one) == pytest.approx(float(many[place]), rel=1e-9, abs=1e-9)
            margin = measure.log_safe(plan, GATE, rail.kind, look)
            if margins is not None:
                assert margin is not None
                expected = float(margins[place])
                assert float(margin) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_measure_of_errors_bets_on_failures_by_share(a: int, b: int, c: int, d: int) -> None:
    evidence = table(Measure.ERROR, 0.05, champion=[0, a], challenger=[0, b])
    evidence += table(Measure.ERROR, 0.25, champion=[0, c], challenger=[17, d])
    failures = {0.05: (a, b), 0.25: (c, d)}
    expected = event_odds.log_e(failures, null_odds=1.0, mixture=event_odds.harm_mixture())
    assert harm("errors", evidence) == pytest.approx(expected)


def test_measure_of_errors_by_entity_bets_on_first_failures() -> None:
    plan = full_plan(unit="entity")
    evidence = table(Measure.ERROR, 0.25, champion=[90, 10], challenger=[20, 10])
    assert harm("errors", evidence, plan) == pytest.approx(0.0, abs=1e-9)
    evidence += table(Measure.FIRST_FAILURE, 0.25, champion=[0, 4], challenger=[0, 9])
    expected = event_odds.log_e({0.25: (4, 9)}, null_odds=1.0, mixture=event_odds.harm_mixture())
    assert harm("errors", evidence, plan) == pytest.approx(expected)


def test_measure_of_errors_is_safe_by_the_mean_of_both_margins() -> None:
    gate = PLAN.steps[LAST].gate
    assert gate.error_odds is not None
    assert gate.error_points is not None
    counts = np.array([[900, 9], [890, 8]])
    evidence = table(Measure.ERROR, 0.5, champion=[900, 9], challenger=[890, 8])
    one = safe("errors", evidence, gate=Gate(error_odds=gate.error_odds))
    other = safe("errors", evidence, gate=Gate(error_points=gate.error_points))
    both = safe("errors", evidence, gate=gate)
    assert one is not None
    assert other is not None
    assert both is not None
    assert one == pytest.approx(
        event_odds.log_e(
            {0.5: (9, 8)},
            null_odds=gate.error_odds,
            mixture=event_odds.safety_mixture(gate.error_odds),
        )
    )
    points = score_betting.safety(gate.error_points, 0.01)
    assert other == pytest.approx(score_betting.log_e({0.5: counts}, np.array([0.0, 1.0]), points))
    # A mean of two e-values, whatever their fixed weights.
    assert min(exp(one), exp(other)) <= exp(both) <= max(exp(one), exp(other))


def test_measure_of_service_levels_needs_more_than_the_limit_and_the_champion() -> None:
    rail = rail_of("service_level")
    compared = table(Measure.ERROR, 0.25, champion=[99, 1], challenger=[30, 20])
    live = min(service_level.log_e_breach(20, 50, rail.tolerance), harm("errors", compared))
    assert harm("service_level", compared) == pytest.approx(np.logaddexp(live, 0.0) - log(2))
    soaking = compared + table(Measure.ERROR, 1.0, challenger=[30, 20])
    # The champion's 1 of 100 may be 13 % at the most, which is more than the limit.
    allowed = proportion(1, 100, 0.999).high
    soak = service_level.log_e_breach(20, 50, allowed)
    assert harm("service_level", soaking) == pytest.approx(np.logaddexp(live, soak) - log(2))
    assert safe("service_level", soaking) is None


def test_measure_of_latency_is_ordinal_odds_and_the_tails_margin() -> None:
    champion, challenger = [200, 200, 200, 120, 40, 24, 8, 8], [150, 150, 200, 200, 50, 25, 13, 12]
    evidence = table(Measure.LATENCY, 0.5, champion=champion, challenger=challenger)
    counts = {0.5: np.array([champion, challenger])}
    expected = ordinal_odds.log_e(counts, ev.LATENCY_QUANTILES)
    assert harm("latency", evidence) == pytest.approx(expected)
    # Safety reads the tables of its own ratio; of those nothing is known here.
    assert safe("latency", evidence) == pytest.approx(0.0, abs=1e-9)


def test_measure_of_latency_is_safe_only_if_every_tail_that_is_asked_is() -> None:
    top = len(ev.LATENCY_QUANTILES)
    champion = at_levels(top + 1, l0=18_000, **{f"l{ev.ABOVE_P95}": 800, f"l{top}": 200})
    slow = at_levels(top + 1, l0=18_800, **{f"l{top}": 200})
    fast = at_levels(top + 1, l0=18_995, **{f"l{top}": 5})
    early, last = (PLAN.steps[number].gate for number in (EARLY, LAST))
    for name, gate in ((Measure.LATENCY_EARLY, early), (Measure.LATENCY_LAST, last)):
        good = safe("latency", table(name, 0.5, champion=champion, challenger=fast), gate=gate)
        bad = safe("latency", table(name, 0.5, champion=champion, challenger=slow), gate=gate)
        assert good is not None
        assert bad is not None
        assert good > log(40)
        # The 99th percentile is no better: the last gate sees that, an early one asks for p95.
        assert (bad > log(40)) is (gate is early)


@pytest.mark.parametrize("better", [+1, -1])
def test_measure_of_quality_and_business_know_which_way_is_worse(better: int) -> None:
    good, bad = at_levels(33, l0=300, l32=700), at_levels(33, l0=700, l32=300)
    more, less = (good, bad) if better > 0 else (bad, good)
    loss = table(Measure.LOSS, 0.5, champion=more, challenger=less)
    value = table(Measure.VALUE, 0.5, champion=more, challenger=less)
    assert (harm("quality", loss) > log(100)) is (better < 0)
    assert (harm("business", value) > log(100)) is (better > 0)
    centre = PLAN.quality.baseline
    expected = score_betting.log_e(
        loss.tables[Measure.LOSS], ev.LOSS_LEVELS, score_betting.harm(centre)
    )
    assert harm("quality", loss) == pytest.approx(expected)
    assert PLAN.value is not None
    gain = score_betting.gain_safety(0.2, PLAN.value.baseline)
    expected = score_betting.log_e(value.tables[Measure.VALUE], ev.LOSS_LEVELS, gain)
    assert safe("business", value) == pytest.approx(expected)


def test_measure_of_quality_forgives_what_is_tolerated() -> None:
    """Proven in the end, unless that much is no harm yet."""
    forgiving = full_plan(quality_tolerance=0.1, quality_points=0.2)
    pairs = table(Measure.PAIR_LOSS, challenger=at_levels(65, l0=2_000, l32=86_000, l64=7_000))
    assert harm("shadow_quality", pairs) > log(1_000)
    assert harm("shadow_quality", pairs, forgiving) < 0.0
    right, wrong = at_levels(33, l0=80_000, l32=20_000), at_levels(33, l0=74_000, l32=26_000)
    live = table(Measure.LOSS, 0.5, champion=right, challenger=wrong)
    assert harm("quality", live) > log(1_000)
    assert harm("quality", live, forgiving) < 0.0
    hopeless = table(Measure.LOSS, 0.5, champion=right, challenger=right[::-1])
    assert harm("quality", hopeless, forgiving) > log(1_000)


def test_measure_of_sample_ratio_counts_units_whether_they_failed_or_not() -> None:
    evidence = table(Measure.ERROR, 0.1, champion=[880, 7], challenger=[50, 3])
    units = {0.1: (887, 53)}
    assert harm("sample_ratio", evidence) == pytest.approx(sample_ratio.log_e(units))
    assert safe("sample_ratio", evidence) == pytest.approx(sample_ratio.log_e_sound(units, 0.1))


@pytest.mark.parametrize("shift", [[300, 200, 100], [100, 200, 300]])
def test_measure_of_classes_finds_more_and_rarer_but_not_within_the_tolerance(
    shift: list[int],
) -> None:
    champion = [200, 200, 200]
    within = [230, 200, 170]
    near = table(Measure.CLASS, 0.5, champion=champion, challenger=within)
    wide = table(Measure.CLASS, 0.5, champion=[2_000] * 3, challenger=[10 * n for n in shift])
    assert harm("class_mix", wide) > log(500)
    assert harm("class_mix", near) < 0.0
    # Answers beyond the plan's classes are none of them, and bend no comparison of theirs.
    beyond = table(Measure.CLASS, 0.5, champion=[*champion, 0], challenger=[*within, 500])
    assert harm("class_mix", beyond) == harm("class_mix", near)


@pytest.mark.parametrize("side", [0, 9])
def test_measure_of_distributions_finds_a_shift_either_way(side: int) -> None:
    champion = [100] * 10
    shifted = [70] * 10
    shifted[side] += 300
    evidence = table(Measure.SCORE, 0.5, champion=champion, challenger=shifted)
    assert harm("distribution", evidence) > log(300)
    same = table(Measure.SCORE, 0.5, champion=champion, challenger=champion)
    assert harm("distribution", same) < 0.0
    found = safe("distribution", evidence, gate=Gate(score_shift=0.2))
    assert found is not None
    assert found < 0.0


def test_measure_of_pairs_is_that_of_the_paired_tests() -> None:
    evidence = table(Measure.PAIR_LOSS, challenger=at_levels(65, l0=12, l32=900, l64=30))
    assert harm("shadow_quality", evidence) == pytest.approx(saved(mcnemar.log_e(30, 12)))
    plain = np.array([12, 900, 30])
    expected = paired_betting.log_e_safety(plain, ev.FAILURE_DIFFERENCES, 0.02)
    assert safe("shadow_quality", evidence) == pytest.approx(expected)
    by_number = full_plan(NUMBERS)
    expected = paired_betting.log_e_harm(plain, ev.FAILURE_DIFFERENCES)
    assert harm("shadow_quality", evidence, by_number) == pytest.approx(saved(expected))
    failures = table(Measure.PAIR_ERROR, challenger=[3, 900, 11])
    assert harm("shadow_errors", failures) == pytest.approx(saved(mcnemar.log_e(11, 3)))
    flips = table(Measure.PAIR_FLIP, challenger=[60, 40])
    tolerance = rail_of("disagreement").tolerance
    expected = service_level.log_e_breach(40, 100, tolerance)
    assert harm("disagreement", flips, full_plan(clone=0.0)) == pytest.approx(saved(expected))
    floored = table(Measure.PAIR_FLOOR, challenger=[50, 4, 40, 6])
    expected = paired_betting.log_e_harm(
        np.array([4, 56, 40]), ev.FAILURE_DIFFERENCES, tolerance=tolerance
    )
    assert harm("disagreement", floored) == pytest.approx(saved(expected))


def saved(log_e: float) -> float:
    """A quarter of the stake waits for the soak."""
    return log(0.75 * exp(log_e) + 0.25)


@pytest.mark.parametrize("fields", [{"soak_seconds": 0.0}, {}])
def test_measure_of_pairs_holds_nothing_back_where_no_soak_will_be(
    fields: dict[str, object],
) -> None:
    plan = full_plan(**fields)
    if not fields:
        plan = msgspec.structs.replace(plan, soak_mirror=0.0)
    failures = table(Measure.PAIR_ERROR, challenger=[3, 900, 11])
    assert harm("shadow_errors", failures, plan) == pytest.approx(mcnemar.log_e(11, 3))


@pytest.mark.parametrize(
    ("kind", "better", "raising", "few"),
    [
        ("shadow_errors", [80, 5_000, 20], [0, 0, 1], 16),
        ("shadow_quality", at_levels(65, l0=80, l32=5_000, l64=20), at_levels(65, l64=1), 14),
        ("disagreement", [5_000, 50, 50], [0, 0, 1], 25),
    ],
)
def test_measure_of_the_soak_forgets_what_was_won_in_the_shadow(
    kind: Kind, better: list[int], raising: list[int], few: int
) -> None:
    """However good it was for 5,000 pairs: if it fails each request it is seen at once."""
    measured = {
        "shadow_errors": Measure.PAIR_ERROR,
        "shadow_quality": Measure.PAIR_LOSS,
        "disagreement": Measure.PAIR_FLOOR,
    }[kind]
    shadow = table(measured, challenger=better)
    bound = log(1 / rail_of(kind).alpha)

    def after(pairs: int) -> float:
        return harm(
            kind, shadow + table(measured, ev.SOAK, challenger=[n * pairs for n in raising])
        )

    needed = next(pairs for pairs in range(1_000) if after(pairs) >= bound)
    assert needed <= few


@pytest.mark.parametrize("kind", KINDS)
def test_measure_asks_nothing_of_a_kind_that_the_gate_leaves_out(kind: Kind) -> None:
    every = Evidence(
        {
            name: {0.0 if name.startswith("pair") else 0.5: np.full((2, wide), 9)}
            for name, wide in WIDTHS.items()
        }
    )
    assert safe(kind, every, gate=Gate()) is None
    no_margin = {"service_level", "class_mix", "disagreement"}
    assert (safe(kind, every) is None) is (kind in no_margin)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in SHADOW])
def test_measure_of_live_kinds_learns_nothing_at_shares_of_0_and_1(kind: Kind) -> None:
    """Save the service level, which compares with a limit and not with an arm."""
    for share in (0.0, 1.0):
        lopsided = Evidence(
            {
                name: {share: np.stack([np.arange(wide), np.arange(wide)[::-1]]) * 50}
                for name, wide in WIDTHS.items()
                if not name.startswith("pair")
            }
        )
        if kind != "service_level":
            assert harm(kind, lopsided) == pytest.approx(0.0, abs=1e-9)
        assert safe(kind, lopsided) in (None, pytest.approx(0.0, abs=1e-9))


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_measure_of_quality_is_finite_for_a_perfect_champion_and_a_hopeless_one(
    accuracy: float,
) -> None:
    basis = Basis(quality_scale("classification", {"accuracy": accuracy}))
    plan = plan_of(basis, shadow=False)
    evidence = table(Measure.LOSS, 0.5, champion=[5_000], challenger=at_levels(33, l32=5_000))
    log_harm, log_safe = harm("quality", evidence, plan), safe("quality", evidence, plan)
    assert log_safe is not None
    assert np.isfinite([log_harm, log_safe]).all()
    assert log_harm > log(1e6) > 0 > log_safe


@pytest.mark.parametrize("kind", KINDS)
def test_measure_stays_finite_at_a_billion_counts(kind: Kind) -> None:
    tables = {
        name: {
            0.0 if name.startswith("pair") else 0.5: np.stack(
                [np.full(wide, 10**9), np.arange(wide) * 10**9]
            )
        }
        for name, wide in WIDTHS.items()
    }
    assert np.isfinite(harm(kind, Evidence(tables)))
    found = safe(kind, Evidence(tables))
    assert found is None or np.isfinite(found)
