from __future__ import annotations

import json
import math

import pytest

from serinus.proof.types import Bar, Finding


def a_bar(**given):
    return Bar(**{"name": "errs", "unit": "of runs", "figure": 0.03, "confidence_limit": 0.045,
                  "relation": "<=", "limit": 0.05, **given})  # fmt: skip


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ({}, True),
        ({"confidence_limit": 0.051}, True),
        ({"confidence_limit": 0.051, "by_confidence": True}, False),
        ({"confidence_limit": 0.05, "by_confidence": True}, True),
        ({"figure": 0.06}, False),
        ({"figure": math.inf}, False),
        ({"relation": ">=", "figure": 0.05}, True),
        ({"relation": ">=", "figure": 0.049}, False),
    ],
)
def test_bar_is_held_against_its_limit(given, passed):
    bar = a_bar(**given)
    assert bar.passed is passed
    assert (bar.strain <= 1) is passed


def test_finding_is_led_by_our_bar_nearest_to_its_limit():
    bars = (
        a_bar(name="far", figure=0.01),
        a_bar(name="near", figure=0.049, others={"naive": 0.7, "slow": math.inf}),
        a_bar(name="theirs", figure=0.6, relation=">=", limit=0.6, whose="naive"),
    )
    finding = Finding("aa", "We rarely err.", bars, 30, 1, 2.0, {"further": {"figure": math.nan}})
    document = json.loads(json.dumps(finding.as_dict()))
    assert finding.passed
    assert document["ours"] == {"of": "near", "figure": 0.049, "confidence_limit": 0.045}
    assert document["limit"] == 0.05
    assert document["others"] == {"naive": 0.7, "slow": None}
    assert document["notes"] == {"further": {"figure": None}}
    assert [bar["passed"] for bar in document["bars"]] == [True, True, True]


def test_figure_without_a_limit_is_told_and_decides_nothing():
    told = a_bar(figure=0.9, limit=None, relation=">=")
    assert told.as_dict()["passed"] is None
    assert not Finding("aa", "Nothing.", (told,), 30, 1, 0.0).passed
    both = Finding("aa", "We rarely err.", (told, a_bar(name="kept")), 30, 1, 0.0)
    assert both.passed
    assert both.as_dict()["ours"]["of"] == "kept"
    assert not Finding("aa", "We err.", (told, a_bar(figure=0.06)), 30, 1, 0.0).passed


def test_finding_without_bars_proves_nothing():
    assert not Finding("aa", "Nothing.", (), 0, 1, 0.0).passed


def test_finding_with_too_few_runs_is_neither_proven_nor_refuted() -> None:
    near = Bar("alarms", "of runs", 0.0, 0.14, "<=", 0.05, by_confidence=True)
    broken = Bar("alarms", "of runs", 0.2, 0.3, "<=", 0.05, by_confidence=True)
    kept = Bar("keys", "keys", 900.0, 950.0, "<=", 1_300.0)

    def concluded(*bars: Bar) -> str:
        return Finding("c", "s", bars, 20, 1, 0.1, scale=0.02).conclusion

    assert concluded(near, kept).startswith("NOT PROVEN")
    assert concluded(broken, near) == "FAILS"
    assert "proves little" in concluded(kept)
    assert Finding("c", "s", (kept,), 20, 1, 0.1).conclusion == "Holds"
