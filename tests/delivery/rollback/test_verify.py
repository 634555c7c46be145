"""Whether a rollback has helped, over incidents whose cause is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Literal

import msgspec
import pytest
from tests.delivery.rollback.simulation import (
    HARMS,
    NOON,
    SOUND,
    Incident,
    Traffic,
    incident,
    rollback,
    worker,
)

from serinus.delivery.rollback import bands, counts, verify
from serinus.delivery.rollback.counts import Counts
from serinus.delivery.rollback.types import Cause, Rollback, Seen, State
from serinus.delivery.rollback.verify import Case, Judgement

SEEDS = 100
CAUSES: tuple[Literal["model", "upstream"], ...] = ("model", "upstream")


def last(item: Incident) -> Judgement:
    return list(item.looks())[-1]


def case(traffic: Traffic, made: Rollback, **changes: object) -> Case:
    """A sound model that a rollback has just brought back, with changes."""
    fields: dict[str, object] = {
        "rollback": made,
        "bands": bands.bands(traffic.stretches(SOUND, -3_600, 60, 1.0), made.criteria),
        "workers": [worker()],
        "now": NOON + timedelta(seconds=120),
        "after": counts.total(traffic.stretches(SOUND, 0, 12, 1.0)),
    }
    return Case(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("harm", sorted(HARMS))
def test_judge_finds_the_cause_in_every_one_of_a_hundred_incidents(
    harm: Cause, cause: Literal["model", "upstream"]
) -> None:
    ends = [last(incident(seed, harm, cause)) for seed in range(SEEDS)]
    right = State.VERIFIED if cause == "model" else State.NOT_THE_MODEL
    assert {seed: end.reason for seed, end in enumerate(ends) if end.state is not right} == {}


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("harm", sorted(HARMS))
def test_judge_needs_no_champion_beside_the_version_that_was_taken_back(
    harm: Cause, cause: Literal["model", "upstream"]
) -> None:
    right = State.VERIFIED if cause == "model" else State.NOT_THE_MODEL
    for seed in range(10):
        assert last(incident(seed, harm, cause, side_by_side=False)).state is right


def test_judge_blames_a_slow_version_that_slowed_its_neighbour_down() -> None:
    """Both were slow before the rollback, and yet it was the model: only after it can one tell."""
    traffic = Traffic(3)
    made = rollback("latency")
    neighbour, slow = replace(SOUND, latency_ms=7.0), replace(SOUND, latency_ms=60.0)
    found = verify.judge(
        case(
            traffic,
            made,
            target=traffic.stretches(neighbour, -60, 6, 0.75),
            other=traffic.stretches(slow, -60, 6, 0.25),
        )
    )
    assert found.state is State.VERIFIED, found.reason


def test_judge_says_not_the_model_at_once_where_both_were_harmed() -> None:
    traffic = Traffic(4)
    made = rollback("errors")
    found = verify.judge(
        case(
            traffic,
            made,
            after=Counts(),
            target=traffic.stretches(HARMS["errors"], -60, 6, 0.75),
            other=traffic.stretches(HARMS["errors"], -60, 6, 0.25),
        )
    )
    assert found.state is State.NOT_THE_MODEL
    assert "Before the rollback 1.0.0 was out of its range as well" in found.reason
    assert "serinus default set fraud VALUE" in found.reason


def test_judge_waits_for_labels_where_quality_was_harmed() -> None:
    unlabelled = Traffic(5, labels=0.0)
    labelled = Traffic(5)
    made = rollback("quality")
    known = bands.bands(labelled.stretches(SOUND, -3_600, 60, 1.0), made.criteria)
    waits = case(unlabelled, made, bands=known)
    assert verify.judge(waits).state is None
    late = replace(waits, now=NOON + timedelta(seconds=601))
    ended = verify.judge(late)
    assert ended.state is State.UNVERIFIED
    assert "wrong answers has shown nothing yet" in ended.reason


def test_judge_without_any_earlier_range_says_so() -> None:
    late = case(Traffic(6), rollback(), bands=(), now=NOON + timedelta(seconds=601))
    assert verify.judge(late).state is State.UNVERIFIED
    assert "No earlier range of errors is known." in verify.judge(late).reason


@pytest.mark.parametrize(
    ("seen", "revision", "name"),
    [
        (Seen(target=1_000, astray=1), 7, "answering version"),
        (Seen(target=10), 7, "answering version"),
        (Seen(target=1_000), 6, "workers"),
    ],
)
def test_judge_verifies_nothing_before_the_target_answers_everything(
    seen: Seen, revision: int, name: str
) -> None:
    open_still = case(Traffic(7), rollback(seen=seen), workers=[worker(), worker(revision)])
    found = verify.judge(open_still)
    assert found.state is None
    assert [item.name for item in found.findings[:2] if item.state != "returned"] == [name]
    ended = verify.judge(replace(open_still, now=NOON + timedelta(seconds=601)))
    assert ended.state is State.UNVERIFIED


def test_judge_of_a_rollback_by_hand_wants_back_what_every_request_shows() -> None:
    traffic = Traffic(8)
    found = verify.judge(case(traffic, rollback("by hand")))
    assert found.state is State.VERIFIED
    assert "errors, latency and answers are back" in found.reason
    broken = counts.total(traffic.stretches(HARMS["errors"], 0, 12, 1.0))
    assert verify.judge(case(traffic, rollback("by hand"), after=broken)).state is (
        State.NOT_THE_MODEL
    )


def test_judge_of_a_rollback_by_hand_looks_at_more_than_the_harm_that_was_proven() -> None:
    """Wrong answers were proven beside the other version, and what is slow stays slow."""
    traffic = Traffic(11)
    slow = counts.total(traffic.stretches(HARMS["latency"], 0, 12, 1.0))
    facts = case(
        traffic,
        rollback("by hand"),
        after=slow,
        target=traffic.stretches(SOUND, -60, 6, 0.75),
        other=traffic.stretches(HARMS["quality"], -60, 6, 0.25),
    )
    found = verify.judge(facts)
    assert found.state is State.NOT_THE_MODEL, found.reason
    assert "latency" in found.reason
    back = verify.judge(replace(facts, after=counts.total(traffic.stretches(SOUND, 0, 12, 1.0))))
    assert back.state is State.VERIFIED
    assert "errors, latency, answers and quality are back" in back.reason


def test_judge_does_not_call_another_mix_of_answers_harm_where_errors_were() -> None:
    """A campaign that began meanwhile is not what the rollback was for."""
    traffic = Traffic(9)
    other_mix = counts.total(traffic.stretches(HARMS["answers"], 0, 12, 1.0))
    found = verify.judge(case(traffic, rollback("errors"), after=other_mix))
    assert found.state is State.VERIFIED
    assert any(item.signal == "answers" and item.state == "not_returned" for item in found.findings)


def test_judge_verifies_nothing_while_the_target_is_harmed_in_another_way() -> None:
    """A feed broke for both, just as the version was taken back for its wrong answers."""
    traffic = Traffic(12)
    failing = counts.total(traffic.stretches(HARMS["errors"], 0, 12, 1.0))
    found = verify.judge(case(traffic, rollback("quality"), after=failing))
    assert found.state is State.NOT_THE_MODEL, found.reason
    assert "errors is not back in its earlier range" in found.reason


def test_judge_is_pure() -> None:
    facts = case(Traffic(10), rollback())
    first, second = verify.judge(facts), verify.judge(facts)
    assert msgspec.json.encode(first) == msgspec.json.encode(second)
