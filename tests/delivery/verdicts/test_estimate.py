"""What a person would count: rates by arm, and which level differs most."""

from __future__ import annotations

from typing import get_args

import pytest
from tests.delivery.samples import at_levels, full_plan, labelled_pairs, table

from serinus.delivery.types import Kind
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts.estimate import Estimate, estimate, standard_error
from serinus.delivery.verdicts.evidence import EMPTY, Evidence, Measure
from serinus.delivery.verdicts.judge import judge

KINDS: tuple[Kind, ...] = get_args(Kind)
PLAN = full_plan()


@pytest.mark.parametrize("kind", KINDS)
def test_estimate_of_nothing_invents_no_rate(kind: Kind) -> None:
    found = estimate(PLAN, kind, EMPTY)
    assert (found.requests, found.challenger_requests) == (0, 0)
    assert found.champion is None
    assert found.challenger is None


@pytest.mark.parametrize("kind", ["errors", "service_level"])
def test_estimate_of_failures_is_over_all_shares(kind: Kind) -> None:
    evidence = table(Measure.ERROR, 0.05, champion=[90, 10], challenger=[5])
    evidence += table(Measure.ERROR, 0.5, champion=[100], challenger=[10, 5])
    assert estimate(PLAN, kind, evidence) == Estimate(220, 20, 10 / 200, 5 / 20)


def test_estimate_of_one_arm_says_nothing_of_the_other() -> None:
    alone = table(Measure.ERROR, 0.5, challenger=[3, 1])
    assert estimate(PLAN, "errors", alone) == Estimate(4, 4, None, 0.25)


def test_estimate_of_losses_and_values_is_their_mean_level() -> None:
    rows = {"champion": at_levels(33, l0=3, l32=1), "challenger": at_levels(33, l8=4)}
    assert estimate(PLAN, "quality", table(Measure.LOSS, 0.5, **rows)) == Estimate(8, 4, 0.25, 0.25)
    assert estimate(PLAN, "business", table(Measure.VALUE, 0.5, **rows)) == Estimate(
        8, 4, 0.25, 0.25
    )


def test_estimate_of_latency_is_what_was_slower_than_p95() -> None:
    wide = len(ev.LATENCY_QUANTILES) + 1
    champion = at_levels(wide, l0=94, **{f"l{ev.ABOVE_P95 - 1}": 1, f"l{ev.ABOVE_P95}": 5})
    challenger = at_levels(wide, l0=8, **{f"l{wide - 1}": 2})
    found = estimate(
        PLAN, "latency", table(Measure.LATENCY, 0.1, champion=champion, challenger=challenger)
    )
    assert found == Estimate(110, 10, 0.05, 0.2)


def test_estimate_of_distributions_names_the_cut_that_is_furthest() -> None:
    challenger = [10] * 10
    challenger[2], challenger[3] = 0, 20
    evidence = table(Measure.SCORE, 0.5, champion=[10] * 10, challenger=challenger)
    found = estimate(PLAN, "distribution", evidence)
    assert (found.champion, found.what) == (0.3, "30 %")
    assert found.challenger == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("challenger", "named", "rate"),
    [([15, 30, 5], "1", 0.6), ([20, 20, 10, 50], "none of its classes", 0.5)],
)
def test_estimate_of_classes_names_the_one_that_differs_most(
    challenger: list[int], named: str, rate: float
) -> None:
    evidence = table(Measure.CLASS, 0.5, champion=[40, 40, 20], challenger=challenger)
    found = estimate(PLAN, "class_mix", evidence)
    assert (found.what, found.challenger) == (named, rate)
    assert found.requests == 100 + sum(challenger)


def test_estimate_of_the_split_compares_the_delivered_with_the_configured_share() -> None:
    evidence = table(Measure.ERROR, 0.1, champion=[88, 2], challenger=[9, 1])
    evidence += table(Measure.ERROR, 0.5, champion=[60], challenger=[40])
    # All traffic of the soak, and none of the mirror, are no draws.
    evidence += table(Measure.ERROR, 1.0, challenger=[500])
    found = estimate(PLAN, "sample_ratio", evidence)
    assert (found.requests, found.challenger_requests) == (200, 50)
    assert found.champion == pytest.approx(0.3)
    assert found.challenger == 0.25


def test_estimate_of_pairs_is_the_mean_difference() -> None:
    pairs = table(Measure.PAIR_LOSS, challenger=at_levels(65, l0=1, l32=6, l64=3))
    assert estimate(PLAN, "shadow_quality", pairs) == Estimate(10, 10, None, 0.2)
    failures = table(Measure.PAIR_ERROR, challenger=[2, 7, 1])
    assert estimate(PLAN, "shadow_errors", failures) == Estimate(10, 10, None, -0.1)
    flips = table(Measure.PAIR_FLIP, challenger=[3, 1])
    uncloned = full_plan(clone=0.0)
    assert estimate(uncloned, "disagreement", flips) == Estimate(4, 4, None, 0.25)


def test_estimate_of_disagreement_has_the_champions_own_beside_it() -> None:
    assert estimate(PLAN, "disagreement", Evidence({})) == Estimate(0, 0)
    seen = table(Measure.PAIR_FLOOR, challenger=[90, 2, 7, 1])
    assert estimate(PLAN, "disagreement", seen) == Estimate(100, 100, 0.03, 0.08)
    soak = table(Measure.PAIR_FLOOR, ev.SOAK, challenger=[0, 0, 100])
    found = estimate(PLAN, "disagreement", seen + soak)
    assert found == Estimate(200, 200, 0.015, 0.54, soak_requests=100)


def test_estimate_of_pairs_tells_the_soak_apart() -> None:
    seen = table(Measure.PAIR_ERROR, challenger=[1, 9])
    soak = table(Measure.PAIR_ERROR, ev.SOAK, challenger=[0, 5, 5])
    found = estimate(PLAN, "shadow_errors", seen + soak)
    assert found == Estimate(20, 20, None, 0.2, soak_requests=10, soak=0.5)


def test_estimate_reads_only_its_own_measure() -> None:
    every = {measure: {0.5: [[5, 5], [5, 5]]} for measure in Measure}
    for kind in KINDS:
        mine = [
            measure
            for measure in every
            if estimate(PLAN, kind, table(measure, 0.5, champion=[5, 5], challenger=[5, 5]))
            != estimate(PLAN, kind, Evidence({}))
        ]
        assert len(mine) == 1, (kind, mine)


def test_standard_error_is_that_of_the_mean_difference() -> None:
    # (0.1 - 0.02^2) / 1000 of the pairs; 0.1 * 0.9 / 900 + 0.25 / 100 of the arms.
    assert standard_error("shadow_quality", labelled_pairs(900, 60, 40)) == pytest.approx(
        ((0.1 - 0.0004) / 1_000) ** 0.5
    )
    losses = {"champion": at_levels(33, l0=810, l32=90), "challenger": at_levels(33, l0=50, l32=50)}
    arms = table(Measure.LOSS, 0.1, **losses)
    assert standard_error("quality", arms) == pytest.approx((0.09 / 900 + 0.25 / 100) ** 0.5)


@pytest.mark.parametrize("kind", ["quality", "shadow_quality", "sample_ratio"])
def test_standard_error_of_nothing_is_unknown(kind: Kind) -> None:
    assert standard_error(kind, EMPTY) is None


@pytest.mark.parametrize(
    ("step", "measure", "seen", "allowed", "rates"),
    [
        (2, Measure.LATENCY_EARLY, ev.ABOVE_P75, "p75", (0.25, 0.03)),
        (3, Measure.LATENCY_LAST, ev.ABOVE_P99, "p99", (0.01, 0.03)),
        (3, Measure.LATENCY_LAST, ev.ABOVE_P95, "p95", (0.05, 0.03)),
    ],
    ids=["early", "far tail", "tail"],
)
def test_verdict_of_latency_tells_the_quantile_whose_evidence_is_least(
    step: int, measure: Measure, seen: int, allowed: str, rates: tuple[float, float]
) -> None:
    """Of 1,000 each, 30 of the challenger's lie just beyond that quantile, none further."""
    top = len(ev.LATENCY_QUANTILES)
    champion = [250, 250, 250, 150, 50, 30, 10, 10]
    challenger = at_levels(top + 1, l0=970, **{f"l{seen}": 30})
    evidence = table(measure, 0.5, champion=champion, challenger=challenger)
    # What harm is asked of says something else.
    evidence += table(Measure.LATENCY, 0.5, champion=champion, challenger=champion)
    rail = next(item for item in judge(PLAN, step, evidence).guardrails if item.kind == "latency")
    assert (rail.champion, rail.challenger) == pytest.approx(rates)
    ratio = PLAN.steps[step].gate.latency_ratio
    assert f"3.00% were slower than {ratio:g} times the champion's {allowed} plus" in rail.sentence
    assert f"{rates[0]:.2%} than that quantile itself over 1,000 of the champion" in rail.sentence
