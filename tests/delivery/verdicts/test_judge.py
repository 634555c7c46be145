"""Verdicts: harm first, promotion only on evidence, nothing on no data."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery import samples
from tests.delivery.samples import (
    NUMBERS,
    at_levels,
    full_plan,
    labelled_pairs,
    matured,
    plan_of,
    table,
)

from serinus.delivery.types import Assessment, Kind, Outcome, Plan, Verdict
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts import tally, watch
from serinus.delivery.verdicts.evidence import EMPTY, Evidence, Measure, Sight
from serinus.delivery.verdicts.judge import gate_of, judge
from serinus.delivery.verdicts.tally import Requests
from serinus.wire import Arm

KINDS: tuple[Kind, ...] = get_args(Kind)
PLAN = full_plan()
SHADOW, EARLY, LAST, SOAK = 0, 1, 3, 4
STEPS = (SHADOW, EARLY, LAST, SOAK)
TOP = len(ev.LATENCY_QUANTILES)
FASTEST = [20_000, *[0] * TOP]
QUANTILES = np.diff([0.0, *ev.LATENCY_QUANTILES, 1.0])


def errors(share: float, champion: tuple[int, int], challenger: tuple[int, int]) -> Evidence:
    """Evidence of (answered, failed) requests by arm."""
    return table(Measure.ERROR, share, champion=champion, challenger=challenger)


def losses(champion: tuple[int, int], challenger: tuple[int, int]) -> Evidence:
    """Evidence of (right, wrong) labelled requests by arm."""
    rows = [at_levels(33, l0=right, l32=wrong) for right, wrong in (champion, challenger)]
    return table(Measure.LOSS, 0.5, champion=rows[0], challenger=rows[1]) + matured(
        sum(champion), sum(challenger)
    )


def latencies(measure: Measure, count: int, challenger: list[int]) -> Evidence:
    champion = np.rint(count * QUANTILES).astype(int).tolist()
    return table(measure, 0.5, champion=champion, challenger=challenger)


def evenly(count: int) -> list[int]:
    return [count] * ev.SCORE_BINS


HARM: dict[Kind, Evidence] = {
    "errors": errors(0.5, (1_000, 5), (950, 55)),
    "service_level": errors(0.5, (900, 5), (800, 100)),
    "latency": latencies(Measure.LATENCY, 500, at_levels(TOP + 1, **{f"l{TOP}": 500})),
    "distribution": table(
        Measure.SCORE, 0.5, champion=evenly(50), challenger=at_levels(10, l0=50, l9=450)
    ),
    "class_mix": table(Measure.CLASS, 0.5, champion=[300, 150, 50], challenger=[100, 150, 250]),
    "quality": losses((950, 50), (800, 200)),
    "business": table(
        Measure.VALUE, 0.5, champion=at_levels(33, l0=500, l32=500), challenger=[900, *[0] * 31, 99]
    ),
    "sample_ratio": errors(0.5, (600, 0), (400, 0)),
    "shadow_errors": table(Measure.PAIR_ERROR, challenger=[2, 900, 60]),
    "shadow_quality": labelled_pairs(900, 80, 10),
    "disagreement": table(Measure.PAIR_FLOOR, challenger=[100, 3, 97]),
}
"""Evidence that harms just this kind, and maybe others."""

SAFE: dict[Kind, Evidence] = {
    "errors": errors(0.5, (20_000, 200), (20_000, 200)),
    "latency": latencies(Measure.LATENCY_LAST, 20_000, FASTEST)
    + latencies(Measure.LATENCY, 20_000, FASTEST),
    "distribution": table(Measure.SCORE, 0.5, champion=evenly(2_000), challenger=evenly(2_000)),
    "quality": losses((9_000, 1_000), (9_000, 1_000)),
    "business": table(
        Measure.VALUE,
        0.5,
        champion=at_levels(33, l0=8_000, l32=2_000),
        challenger=at_levels(33, l0=8_000, l32=2_000),
    ),
    "sample_ratio": errors(0.5, (20_000, 0), (20_000, 0)),
    "shadow_errors": table(Measure.PAIR_ERROR, challenger=[5, 4_000, 5]),
    "shadow_quality": labelled_pairs(4_000, 20, 20),
}
"""Evidence that excludes the margin of a kind whose margin a gate asks about."""


def of(verdict: Verdict, kind: Kind) -> Assessment:
    return next(item for item in verdict.guardrails if item.kind == kind)


def asked_at(kind: Kind) -> tuple[Plan, int]:
    """A plan and its step that ask for safety of a kind: quality live only without a shadow."""
    if kind in samples.SHADOW:
        return PLAN, SHADOW
    return full_plan(shadow=False), 2


def test_the_full_plan_has_every_guardrail_there_is() -> None:
    assert tuple(rail.kind for rail in PLAN.guardrails) == KINDS
    assert set(HARM) == set(KINDS)


@pytest.mark.parametrize("step", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("plan", [plan_of(), PLAN, full_plan(NUMBERS), plan_of(labels=False)])
def test_judge_says_no_data_when_nothing_was_seen(plan: Plan, step: int) -> None:
    verdict = judge(plan, step, EMPTY)
    assert verdict.outcome is Outcome.NO_DATA
    assert all(item.log_harm == pytest.approx(0.0, abs=1e-9) for item in verdict.guardrails)
    assert {item.state for item in verdict.guardrails} == {"no_data"}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", KINDS)
def test_judge_finds_harm_of_each_kind_in_every_state(kind: Kind, step: int) -> None:
    verdict = judge(PLAN, step, HARM[kind])
    found = of(verdict, kind)
    assert found.state == "harm", found
    assert found.log_harm >= found.harm_bound
    if kind == "sample_ratio":
        # In the soak nobody draws arms any more, and nothing but harm may end it.
        soaking = step >= len(PLAN.steps)
        assert verdict.outcome is (Outcome.CONTINUE if soaking else Outcome.INCONCLUSIVE)
        assert soaking or verdict.reason == found.sentence
        return
    assert verdict.outcome is Outcome.ROLLBACK
    assert verdict.reason in {item.sentence for item in verdict.guardrails if item.state == "harm"}


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind not in ("distribution", "class_mix", "disagreement")]
)
def test_judge_finds_no_harm_where_the_arms_are_swapped(kind: Kind) -> None:
    """A challenger that is better by as much; of those kinds where another answer is no harm."""
    swapped = Evidence(
        {
            measure: {share: _swap(measure, counts) for share, counts in tables.items()}
            for measure, tables in HARM[kind].tables.items()
        }
    )
    if kind == "sample_ratio":
        assert judge(PLAN, LAST, swapped).outcome is Outcome.INCONCLUSIVE
        return
    for step in STEPS:
        assert judge(PLAN, step, swapped).outcome is not Outcome.ROLLBACK


def _swap(measure: Measure, counts: np.ndarray) -> np.ndarray:
    if measure in (Measure.PAIR_ERROR, Measure.PAIR_LOSS):
        return counts[:, ::-1]
    return counts if measure is Measure.PAIR_MATURED else counts[::-1]


@pytest.mark.parametrize("kind", KINDS)
def test_judge_decides_nothing_by_silence(kind: Kind) -> None:
    """Whatever the others say, a guardrail of which nothing was observed is neither side's."""
    for step in STEPS:
        silent = of(judge(PLAN, step, EMPTY), kind)
        assert (silent.state, silent.requests, silent.challenger_requests) == ("no_data", 0, 0)
        assert silent.log_safe is None or silent.log_safe == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("kind", SAFE)
def test_judge_excludes_the_margin_that_is_asked(kind: Kind) -> None:
    plan, step = asked_at(kind)
    found = of(judge(plan, step, SAFE[kind]), kind)
    assert found.state == "safe", found
    assert found.log_safe is not None
    assert found.log_safe >= found.safe_bound
    assert found.margin
    harmed = of(judge(plan, step, HARM[kind]), kind)
    assert harmed.log_safe is not None
    assert harmed.log_safe < harmed.safe_bound
    # Past the last step nobody asks, and a mirror asks of pairs only, live traffic of itself.
    elsewhere = EARLY if kind in samples.SHADOW else SHADOW
    for other in (elsewhere, SOAK):
        assert of(judge(PLAN, other, SAFE[kind]), kind).log_safe is None


def test_judge_promotes_only_when_every_margin_is_excluded() -> None:
    plan, step = asked_at("quality")
    live = [kind for kind in SAFE if kind not in samples.SHADOW]
    everything = sum((SAFE[kind] for kind in live[1:]), start=SAFE[live[0]])
    assert judge(plan, step, everything).outcome is Outcome.PROMOTE
    for missing in set(live) - {"errors", "sample_ratio"}:
        rest = sum((SAFE[kind] for kind in live if kind != missing), start=EMPTY)
        verdict = judge(plan, step, rest)
        assert verdict.outcome is Outcome.CONTINUE
        assert of(verdict, missing).sentence in verdict.reason  # type: ignore[arg-type]


def test_judge_never_promotes_or_rolls_back_where_the_arms_are_not_as_configured() -> None:
    """Everything is proven, good and bad, but the shares: nothing of it can be believed."""
    plan, step = asked_at("quality")
    good = sum((SAFE[kind] for kind in SAFE if kind not in samples.SHADOW), start=EMPTY)
    skewed = errors(0.25, (4_000, 0), (2_000, 0))
    for seen in (good, HARM["quality"], HARM["errors"] + good):
        verdict = judge(plan, step, seen + skewed)
        assert verdict.outcome is Outcome.INCONCLUSIVE
        assert verdict.reason.startswith("Sample ratio")
        assert "no comparison of the arms can be believed" in verdict.reason


def test_judge_asks_for_a_sound_sample_ratio_in_the_last_step_only() -> None:
    for step in range(len(PLAN.steps)):
        asks = of(judge(PLAN, step, SAFE["sample_ratio"]), "sample_ratio").log_safe is not None
        assert asks is (step == LAST)


def test_judge_takes_no_service_level_breach_that_the_champion_shares() -> None:
    both = errors(0.5, (800, 200), (800, 200))
    assert of(judge(PLAN, LAST, both), "service_level").log_harm < 0.0
    assert judge(PLAN, LAST, both).outcome is not Outcome.ROLLBACK
    alone = errors(0.5, (1_000, 0), (800, 200))
    assert of(judge(PLAN, LAST, alone), "service_level").state == "harm"


@pytest.mark.parametrize("late", [60, 600])
def test_judge_takes_nobody_back_for_an_outage_of_both(late: int) -> None:
    """On a ramp most of a challenger's requests are recent ones: pooled rates would blame it."""
    seen = errors(0.05, (9_500, 0), (500, 0)) + errors(0.5, (200, late), (200, late))
    assert judge(PLAN, LAST, seen).outcome is not Outcome.ROLLBACK


def test_judge_of_the_soak_takes_back_what_fails_more_than_the_champion_did() -> None:
    before = errors(0.5, (2_300, 200), (2_300, 200))  # 8 %: more than the limit of 5 %
    soak = len(PLAN.steps)
    same = table(Measure.ERROR, 1.0, challenger=[4_600, 400])
    assert judge(PLAN, soak, before + same).outcome is Outcome.CONTINUE
    worse = table(Measure.ERROR, 1.0, challenger=[0, 300])
    assert judge(PLAN, soak, before + worse).outcome is Outcome.ROLLBACK
    crooked = errors(0.5, (600, 0), (200, 0))
    assert judge(PLAN, soak, crooked + worse).outcome is Outcome.ROLLBACK


def test_judge_believes_pairs_whatever_the_split() -> None:
    crooked = HARM["sample_ratio"]
    assert judge(PLAN, LAST, crooked + HARM["shadow_quality"]).outcome is Outcome.ROLLBACK
    assert judge(PLAN, LAST, crooked + HARM["quality"]).outcome is Outcome.INCONCLUSIVE


ONE_ARM = [table(measure, 0.05, champion=[5_000]) for measure in (Measure.ERROR, Measure.LATENCY)]
ONE_ARM += [table(Measure.LOSS, 0.5, champion=at_levels(33, l32=5_000)) + matured(5_000, 5_000)]
ONE_ARM += [table(Measure.ERROR, 0.5, champion=[0, 5_000]), table(Measure.VALUE, 0.5, champion=[9])]
ONE_ARM += [table(Measure.CLASS, 0.25, champion=[900]), table(Measure.SCORE, 0.5, champion=[900])]


@pytest.mark.parametrize("seen", ONE_ARM)
@pytest.mark.parametrize("row", ["champion", "challenger"])
def test_judge_compares_nothing_of_one_arm_alone(seen: Evidence, row: str) -> None:
    """However much of it there is; that an arm is missing is the sample ratio's to say."""
    ((measure, tables),) = [item for item in seen.tables.items() if item[0] != Measure.MATURED]
    ((share, counts),) = tables.items()
    alone = table(measure, share, **{row: counts[0].tolist()})  # type: ignore[arg-type]
    for step in STEPS:
        verdict = judge(PLAN, step, alone + matured(5_000, 5_000))
        assert verdict.outcome is not Outcome.PROMOTE
        for item in verdict.guardrails:
            assert item.state in ("no_data", "open") or item.kind in (
                "sample_ratio",
                "service_level",
            )
        expected = measure is Measure.ERROR and step < len(PLAN.steps)
        assert (verdict.outcome is Outcome.INCONCLUSIVE) is expected
        missing = {"champion": "challenger", "challenger": "champion"}[row]
        hints = [item.sentence for item in verdict.guardrails if item.state == "open"]
        assert any(f"nothing of the {missing} has been observed yet" in hint for hint in hints)


def test_judge_in_the_soak_has_the_service_level_alone() -> None:
    """Share 1: nothing to compare with, however bad; yet an absolute limit still holds."""
    fine = errors(1.0, (0, 0), (1_000, 10))
    verdict = judge(PLAN, SOAK, fine)
    assert verdict.outcome is Outcome.CONTINUE
    broken = judge(PLAN, SOAK, errors(1.0, (0, 0), (100, 100)))
    assert broken.outcome is Outcome.ROLLBACK
    assert broken.reason.startswith("Service level")
    others = [item for item in broken.guardrails if item.kind != "service_level"]
    assert all(item.log_harm == pytest.approx(0.0, abs=1e-9) for item in others)
    # No champion's rate is invented to compare with.
    assert of(broken, "errors").sentence == "Errors: nothing of the champion has been observed yet."


def test_judge_asks_early_gates_a_looser_latency_than_the_last() -> None:
    gates = [step.gate.latency_ratio for step in PLAN.steps]
    assert gates == [None, *[PLAN.latency.early_ratio] * 2, PLAN.latency.last_ratio]
    early = latencies(Measure.LATENCY_EARLY, 20_000, FASTEST)
    assert of(judge(PLAN, EARLY, early + HARM["latency"]), "latency").log_safe is not None
    for step, seen, state in (
        (EARLY, early, "safe"),
        (LAST, SAFE["latency"], "safe"),
        (LAST, early, "open"),
        (EARLY, SAFE["latency"], "open"),
    ):
        both = latencies(Measure.LATENCY, 100, np.rint(100 * QUANTILES).astype(int).tolist())
        assert of(judge(PLAN, step, seen + both), "latency").state == state


def test_judge_rolls_back_a_broken_challenger_in_every_state() -> None:
    for step in range(5):
        verdict = judge(plan_of(), step, errors(0.05, (95, 0), (0, 5)))
        assert verdict.outcome is Outcome.ROLLBACK
        assert "100.00% failed over 5 requests of the challenger" in verdict.reason


def test_judge_promotes_out_of_shadow_only_with_labels() -> None:
    unlabelled = table(Measure.PAIR_ERROR, challenger=[0, 5_000, 0])
    assert judge(plan_of(), SHADOW, unlabelled).outcome is Outcome.CONTINUE
    assert judge(plan_of(), SHADOW, labelled_pairs(2_000, 20, 20)).outcome is Outcome.PROMOTE


def test_judge_rolls_back_on_paired_labels_before_any_live_request() -> None:
    verdict = judge(plan_of(), SHADOW, labelled_pairs(100, 40, 2))
    assert verdict.outcome is Outcome.ROLLBACK
    assert verdict.reason.startswith("Labelled quality in shadow")


def test_judge_holds_quality_while_labels_are_missing() -> None:
    patchy = labelled_pairs(100, 40, 2) + table(Measure.PAIR_MATURED, challenger=[10])
    verdict = judge(plan_of(), SHADOW, patchy)
    assert verdict.outcome is Outcome.CONTINUE
    assert "93.4%" in verdict.reason


@pytest.mark.parametrize(
    ("came", "missing", "held"), [(995, 5, False), (994, 6, True), (0, 1, True), (0, 0, True)]
)
def test_judge_holds_live_quality_below_the_coverage_of_either_arm(
    came: int, missing: int, held: bool
) -> None:
    plan, step = asked_at("quality")
    harmed = table(
        Measure.LOSS, 0.5, champion=at_levels(33, l0=900), challenger=at_levels(33, l32=900)
    )
    for row in ("champion", "challenger"):
        other = {"champion": "challenger", "challenger": "champion"}[row]
        coverage = table(Measure.MATURED, **{row: [missing, came], other: [0, 10]})  # type: ignore[arg-type]
        found = of(judge(plan, step, harmed + coverage), "quality")
        assert found.state == ("open" if held else "harm")
        if came + missing and held:
            assert f"{row}'s matured requests" in found.sentence
            assert "99.5% are needed" in found.sentence
        elif held:
            assert f"none of the {row}'s requests has matured" in found.sentence
    # Coverage of one kind of request says nothing of another.
    shadow = labelled_pairs(100, 40, 2) + table(Measure.MATURED, champion=[99, 1])
    assert of(judge(PLAN, SHADOW, shadow), "shadow_quality").state == "harm"


def test_judge_never_promotes_where_the_gate_asks_for_nothing() -> None:
    plan = plan_of(strategy="blue_green")
    assert len(plan.steps) == 1
    # Past the last step (the soak) there is no gate: good news alone moves nothing.
    assert judge(plan, 1, labelled_pairs(2_000, 0, 0)).outcome is Outcome.CONTINUE


def test_judge_states_the_error_budget_it_spends() -> None:
    verdict = judge(PLAN, 0, EMPTY)
    assert verdict.alpha_spent == pytest.approx(0.05)
    assert verdict.alpha_spent == pytest.approx(
        sum(math.exp(-item.harm_bound) for item in verdict.guardrails)
    )


def test_gate_of_asks_pairs_in_the_mirror_and_live_requests_live() -> None:
    for number, step in enumerate(PLAN.steps):
        for kind in KINDS:
            of_step = gate_of(step, kind) == step.gate
            assert of_step is ((number == SHADOW) == (kind in samples.SHADOW))
            assert gate_of(None, kind) != step.gate


# ------------------------------------------------------------------ identical versions


def traffic(rng: np.random.Generator, share: float, count: int = 100) -> Requests:
    """Requests of two copies of one model."""
    category = rng.choice(3, count, p=[0.6, 0.3, 0.1])
    return Requests(
        share=np.full(count, share),
        challenger=rng.random(count) < share,
        step=np.ones(count, np.int64),
        failed=rng.random(count) < 0.02,
        latency=20_000 * np.exp(0.5 * rng.standard_normal(count)),
        score=rng.random(count),
        category=category,
    )


def test_judge_rolls_back_identical_copies_no_more_often_than_its_budget() -> None:
    """The whole judge on identical arms over a ramp, a look every 100 requests."""
    rng = np.random.default_rng(3)
    plan = full_plan(shadow=False, latency_tolerance=0.0, latency_slack_ms=0.0)
    runs, false_alarms = 60, 0
    for _ in range(runs):
        evidence, latest = EMPTY, watch.UNSEEN
        for share in np.repeat([0.05, 0.25, 0.5], 10):
            requests = traffic(rng, float(share))
            levels, latest = tally.levels(plan, requests, latest)
            loss = np.where(rng.random(100) < 0.10, ev.LOSS_STEPS, 0)
            worth = np.where(rng.random(100) < 0.20, ev.LOSS_STEPS, 0)
            outcomes = {Measure.LOSS: loss, Measure.VALUE: worth, Measure.MATURED: loss * 0 + 1}
            evidence += tally.totals({**levels, **outcomes}, requests)
            if judge(plan, 2, evidence).outcome in (Outcome.ROLLBACK, Outcome.INCONCLUSIVE):
                false_alarms += 1
                break
    # 99.9 % binomial limit around 60 x 0.035 (the live guardrails).
    assert false_alarms <= 8


def test_judge_keeps_identical_copies_that_fail_by_themselves() -> None:
    """Both copies fail 2 % of requests, each by itself: neither in pairs nor live is that harm."""
    rng = np.random.default_rng(4)
    plan = plan_of()
    for _ in range(20):
        champion, challenger = (rng.random((2, 4_000)) < 0.02).astype(int)
        pairs_seen = ev.count(
            Sight(Measure.PAIR_ERROR, 0.0, Arm.SHADOW, 1 + int(b) - int(a))
            for a, b in zip(champion, challenger, strict=True)
        )
        assert judge(plan, 0, pairs_seen).outcome is not Outcome.ROLLBACK
        failed = [int(arm.sum()) for arm in (champion, challenger)]
        counts = [(4_000 - count, count) for count in failed]
        live = errors(0.5, *counts) + losses(*counts)
        assert judge(plan, 3, live).outcome is not Outcome.ROLLBACK


# ------------------------------------------------------------------ whatever was counted

COUNT = st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 10**9))
WIDTHS = {
    Measure.ERROR: 2,
    Measure.FIRST_FAILURE: 2,
    Measure.LATENCY: TOP + 1,
    Measure.LATENCY_EARLY: TOP + 1,
    Measure.LATENCY_LAST: TOP + 1,
    Measure.SCORE: 10,
    Measure.CLASS: 3,
    Measure.LOSS: 33,
    Measure.VALUE: 33,
    Measure.MATURED: 2,
    Measure.PAIR_ERROR: 3,
    Measure.PAIR_LOSS: 65,
    Measure.PAIR_FLIP: 2,
    Measure.PAIR_MATURED: 2,
}
PLANS = [PLAN, full_plan(NUMBERS), full_plan(shadow=False), full_plan(unit="entity")]


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    tables: dict[Measure, dict[float, np.ndarray]] = {}
    for measure in draw(st.sets(st.sampled_from(sorted(WIDTHS)))):
        wide = WIDTHS[measure]
        shares = [0.0] if measure.startswith("pair") else [0.05, 0.25, 0.5, 1.0]
        for share in draw(st.sets(st.sampled_from(shares), min_size=1)):
            counts = np.zeros((2, wide), np.int64)
            for _ in range(draw(st.integers(0, 4))):
                row = draw(st.integers(0, 1)) if share else 1
                counts[row, draw(st.integers(0, wide - 1))] = draw(COUNT)
            if counts.any():
                tables.setdefault(measure, {})[share] = counts
    return Evidence(tables)


@pytest.mark.parametrize("plan", PLANS)
@given(evidence=evidences(), step=st.sampled_from(STEPS))
def test_judge_of_whatever_was_counted_gives_finite_numbers_and_keeps_its_rules(
    plan: Plan, evidence: Evidence, step: int
) -> None:
    """One arm only, all failures, none, shares of 0 and 1, a billion of each."""
    verdict = judge(plan, step, evidence)
    for item in verdict.guardrails:
        assert math.isfinite(item.log_harm)
        assert item.log_safe is None or math.isfinite(item.log_safe)
        for rate in (item.champion, item.challenger):
            assert rate is None or -1.0 <= rate <= 1.0
        assert item.sentence
        if item.requests == 0:
            assert item.state == "no_data"
        if item.state == "harm":
            assert item.log_harm >= item.harm_bound
            assert item.challenger_requests > 0 or item.kind == "sample_ratio"
    if verdict.outcome is Outcome.PROMOTE:
        assert all(i.state == "safe" for i in verdict.guardrails if i.log_safe is not None)
        assert any(i.log_safe is not None for i in verdict.guardrails)
    assert judge(plan, step, evidence) == verdict
    assert judge(plan, step, ev.decode(evidence.encode())) == verdict
