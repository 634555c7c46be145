"""Sentences: each gives the numbers, the bound, and which way it went."""

from __future__ import annotations

from math import log

import pytest

from serinus.delivery import wording
from serinus.delivery.measure import Numbers

HARM, SAFE = log(100), log(40)
LIVE = Numbers(1_000, 50, 0.01, 0.1, log(250), log(3), "twice the champion's errors")


def test_sentence_of_harm_names_both_rates_and_the_bound() -> None:
    assert wording.sentence("errors", "harm", LIVE, HARM, SAFE) == (
        "Errors: 10.00% failed over 50 requests of the challenger, 1.00% over 950 of the champion; "
        "the evidence that the challenger is worse is 250 to 1, a rollback needs 100 to 1."
    )


@pytest.mark.parametrize(("state", "verb"), [("safe", "was asked"), ("open", "is asked")])
def test_sentence_of_safety_names_the_margin(state: str, verb: str) -> None:
    text = wording.sentence("quality", state, LIVE, HARM, SAFE)
    assert text.startswith("Labelled quality: 10.00% is the loss over 50 requests")
    assert text.endswith(f"against twice the champion's errors is 3 to 1, 40 to 1 {verb}.")


def test_sentence_where_the_gate_asks_nothing_says_that_no_harm_is_proven() -> None:
    silent = Numbers(10, 5, 0.0, 0.0, 0.0)
    assert wording.sentence("errors", "open", silent, HARM, SAFE).endswith("; no harm is proven.")


@pytest.mark.parametrize(
    ("difference", "words"),
    [(0.0, "as good"), (0.025, "2.50 points worse"), (-0.01, "1.00 points better")],
)
def test_sentence_of_a_shadow_compares_on_the_same_requests(difference: float, words: str) -> None:
    found = Numbers(1_200, 1_200, None, difference, 0.0)
    assert wording.sentence("shadow_quality", "open", found, HARM, SAFE) == (
        "Labelled quality in shadow: on the same 1,200 requests the challenger is "
        f"{words}; no harm is proven."
    )


def test_sentence_says_why_numbers_may_not_decide() -> None:
    held = Numbers(10, 5, 0.0, 1.0, log(1e9), hold="only 3 labels came")
    assert wording.sentence("quality", "open", held, HARM, SAFE) == (
        "Labelled quality: only 3 labels came."
    )


def test_sentence_without_data_invents_no_rate() -> None:
    nothing = Numbers(0, 0, None, None, 0.0)
    assert wording.sentence("errors", "no_data", nothing, HARM, SAFE) == (
        "Errors: nothing observed yet."
    )
    one_armed = Numbers(7, 0, 0.0, None, 0.0)
    assert "nothing failed over 0 requests" in wording.sentence(
        "errors", "open", one_armed, HARM, SAFE
    )


@pytest.mark.parametrize(
    ("log_e", "words"),
    [(0.0, "1"), (log(66.7), "66.7"), (log(999_999), "1e+06"), (800.0, "over a million")],
)
def test_odds_never_overflow(log_e: float, words: str) -> None:
    assert wording.odds(log_e) == words
