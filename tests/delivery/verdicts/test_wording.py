"""Sentences: each gives the numbers, the bound, and which way it went."""

from __future__ import annotations

from dataclasses import replace
from math import log
from typing import Literal, get_args

import msgspec
import pytest
from tests.delivery.samples import full_plan

from serinus.delivery.types import Assessment, Gate, Guardrail, Kind
from serinus.delivery.verdicts import wording
from serinus.delivery.verdicts.estimate import Estimate

PLAN = full_plan()
KINDS: tuple[Kind, ...] = get_args(Kind)
State = Literal["harm", "safe", "open", "no_data"]
SEEN = Assessment(
    kind="errors",
    state="open",
    requests=1_000,
    challenger_requests=50,
    champion=0.01,
    challenger=0.1,
    log_harm=log(250),
    harm_bound=log(100),
    log_safe=log(3),
    safe_bound=log(40),
    margin="twice the champion's errors",
    sentence="",
)
LIVE = Estimate(1_000, 50, 0.01, 0.1, "40 %")
PAIRED = Estimate(1_200, 1_200, None, 0.025)


def sentence(
    kind: Kind,
    state: State,
    found: Estimate = LIVE,
    *,
    hold: str = "",
    tolerance: float = 0.0,
    **changes: object,
) -> str:
    seen = msgspec.structs.replace(SEEN, kind=kind, state=state, **changes)
    return wording.sentence(seen, Guardrail(kind, 0.01, tolerance), found, hold)


def test_sentence_of_harm_names_both_rates_and_the_bound() -> None:
    assert sentence("errors", "harm") == (
        "Errors: 10.00% failed over 50 requests of the challenger, 1.00% over 950 of the champion; "
        "the evidence that the challenger is worse is 250 to 1, a rollback needs 100 to 1."
    )


@pytest.mark.parametrize(
    ("kind", "tolerance", "words"),
    [
        ("service_level", 0.05, "10.00% failed (at most 5.00% may) over 50 requests of the cha"),
        ("service_level", 0.05, "the evidence that it breaks the service level is 250 to 1"),
        ("latency", 0.0, "10.00% were slower than the champion's p95, or failed, over 50 requests"),
        ("distribution", 0.1, "10.00% scored below the champion's 40 % mark over 50 requests"),
        ("distribution", 0.1, "that its scores are distributed otherwise is 250 to 1"),
        ("class_mix", 1.5, "10.00% were predicted 40 % over 50 requests of the challenger"),
        ("quality", 0.0, "10.00% is the loss over 50 requests"),
        ("business", 0.0, "10.00% of the value scale was earned over 50 requests"),
    ],
)
def test_sentence_of_each_live_kind_says_what_was_counted(
    kind: Kind, tolerance: float, words: str
) -> None:
    found = LIVE if kind != "latency" else replace(LIVE, what="")
    assert words in sentence(kind, "harm", found, tolerance=tolerance)


def test_sentence_of_latency_tells_the_quantile_that_the_gate_waits_for() -> None:
    found = Estimate(2_400, 189, 0.01, 0.0, "1.25 times the champion's p99 plus 1 ms")
    said = sentence("latency", "open", found, log_safe=log(1.88), margin="a quarter more")
    assert said == (
        "Latency: 0.00% were slower than 1.25 times the champion's p99 plus 1 ms over 189 requests "
        "of the challenger, 1.00% than that quantile itself over 2,211 of the champion; the "
        "evidence against a quarter more is 1.88 to 1, 40 to 1 is asked."
    )


def test_sentence_of_a_broken_sample_ratio_says_that_nothing_else_counts() -> None:
    assert sentence("sample_ratio", "harm", Estimate(1_000, 56, 0.1, 0.056)) == (
        "Sample ratio: 56 of 1,000 requests went to the challenger, 5.60% where 10.00% was "
        "configured; the evidence that the arms are not drawn as configured is 250 to 1, so no "
        "comparison of the arms can be believed."
    )


def test_sentence_of_disagreement_names_what_is_allowed() -> None:
    assert sentence("disagreement", "harm", Estimate(80, 80, None, 0.5), tolerance=0.3) == (
        "Disagreement in shadow: 50.00% of the same 80 requests are answered otherwise (at most "
        "30.00% may); the evidence that the two differ too often is 250 to 1, a rollback needs "
        "100 to 1."
    )


def test_sentence_of_disagreement_names_the_champions_own_noise() -> None:
    found = Estimate(80, 80, 0.02, 0.5)
    assert sentence("disagreement", "open", found, tolerance=0.3, log_safe=None) == (
        "Disagreement in shadow: of the same 80 requests the challenger answers 50.00% otherwise "
        "and the champion, asked twice, 2.00% (at most 30.00% more may); no harm is proven."
    )


def test_sentence_of_pairs_tells_the_soak_apart() -> None:
    found = Estimate(1_200, 1_200, None, -0.01, soak_requests=40, soak=0.3)
    assert sentence("shadow_errors", "harm", found) == (
        "Errors in shadow and soak: on the same 1,200 requests the challenger is 1.00 points "
        "better, on the 40 since it has all traffic 30.00 points worse; the evidence that the "
        "challenger is worse is 250 to 1, a rollback needs 100 to 1."
    )


@pytest.mark.parametrize(("state", "verb"), [("safe", "was asked"), ("open", "is asked")])
def test_sentence_of_safety_names_the_margin(state: State, verb: str) -> None:
    text = sentence("quality", state)
    assert text.startswith("Labelled quality: 10.00% is the loss over 50 requests")
    assert text.endswith(f"against twice the champion's errors is 3 to 1, 40 to 1 {verb}.")


def test_sentence_where_the_gate_asks_nothing_says_that_no_harm_is_proven() -> None:
    text = sentence("errors", "open", Estimate(10, 5, 0.0, 0.0), log_safe=None)
    assert text.endswith("; no harm is proven.")


@pytest.mark.parametrize(
    ("difference", "words"),
    [(0.0, "as good"), (0.025, "2.50 points worse"), (-0.01, "1.00 points better")],
)
@pytest.mark.parametrize(
    ("kind", "title"),
    [("shadow_quality", "Labelled quality in shadow"), ("shadow_errors", "Errors in shadow")],
)
def test_sentence_of_a_shadow_compares_on_the_same_requests(
    kind: Kind, title: str, difference: float, words: str
) -> None:
    found = Estimate(1_200, 1_200, None, difference)
    assert sentence(kind, "open", found, log_safe=None) == (
        f"{title}: on the same 1,200 requests the challenger is {words}; no harm is proven."
    )


@pytest.mark.parametrize("kind", KINDS)
def test_sentence_says_why_numbers_may_not_decide(kind: Kind) -> None:
    found = Estimate(10, 5, 0.0, 1.0)
    assert sentence(kind, "open", found, hold="only 3 labels came", log_harm=log(1e9)) == (
        f"{wording.TITLES[kind]}: only 3 labels came."
    )


@pytest.mark.parametrize("kind", KINDS)
def test_sentence_without_data_invents_no_rate(kind: Kind) -> None:
    assert sentence(kind, "no_data", Estimate(0, 0)) == (
        f"{wording.TITLES[kind]}: nothing observed yet."
    )


def test_sentence_of_one_arm_invents_no_rate_of_the_other() -> None:
    one_armed = Estimate(7, 0, 0.0, None)
    assert "nothing failed over 0 requests" in sentence("errors", "open", one_armed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", ["harm", "safe", "open"])
def test_sentence_of_every_kind_and_state_is_whole(kind: Kind, state: State) -> None:
    found = PAIRED if kind.startswith("shadow") or kind == "disagreement" else LIVE
    text = sentence(kind, state, found)
    assert text.startswith(f"{wording.TITLES[kind]}: ")
    assert text.endswith(".")
    assert not any(mark in text for mark in "{}")
    assert "None" not in text


def test_margin_names_all_that_a_gate_asks_of_a_kind() -> None:
    gate = Gate(
        error_odds=2.0,
        error_points=0.005,
        quality_points=0.02,
        latency_ratio=1.25,
        value_loss=0.2,
        score_shift=0.1,
        share_error=0.1,
    )
    assert wording.margin(PLAN, gate, "errors") == (
        "2 times the champion's errors and 0.5 points more of them"
    )
    assert wording.margin(PLAN, gate, "latency") == (
        "1.25 times the champion's latency and 1 ms more"
    )
    asked = {kind for kind in KINDS if wording.margin(PLAN, gate, kind)}
    assert set(KINDS) - asked == {"service_level", "class_mix", "disagreement"}
    assert not any(wording.margin(PLAN, Gate(), kind) for kind in KINDS)


@pytest.mark.parametrize(
    ("log_e", "words"),
    [
        (-800.0, "under 0.001"),
        (log(0.0123), "0.0123"),
        (0.0, "1"),
        (log(66.7), "66.7"),
        (log(999.9), "1,000"),
        (log(12_345), "12,300"),
        (log(999_999), "1,000,000"),
        (800.0, "over a million"),
    ],
)
def test_odds_are_said_as_a_person_says_them(log_e: float, words: str) -> None:
    assert wording.odds(log_e) == words
