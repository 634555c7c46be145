"""Sums of signs of life."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery.samples import answered, assigned

from serinus.delivery.rollback import counts
from serinus.delivery.rollback.counts import Counts, Key
from serinus.wire import FORCED, Answer, Arm, Assignment, Event, Failure, Label, Output, Value

SECOND = 1_000_000


def key(model: str, version: str, at: int) -> Key:
    return Key(model, version, at // SECOND // 10 * 10, 10)


def fold(events: Sequence[Event]) -> dict[Key, Counts]:
    return counts.fold(events, lambda asked: {"d1": "1.1.0"}.get(asked.deployment), key)


def test_fold_counts_answers_by_version_and_ten_seconds() -> None:
    champion = assigned(Arm.CHAMPION)
    found = fold(
        [
            answered(champion, at=1 * SECOND, version="1.0.0", latency_us=1_000),
            answered(champion, at=9 * SECOND, version="1.0.0", output=Output(0), latency_us=1_000),
            answered(assigned(), at=11 * SECOND, output=Output(2.5), latency_us=4_000),
        ]
    )
    first = found[Key("fraud", "1.0.0", 0, 10)]
    assert (first.requests, first.failures, first.answered) == (2, 0, 2)
    assert first.classes == {"0": 1, "1": 1}
    assert sum(first.latency.values()) == 2
    second = found[Key("fraud", "1.1.0", 10, 10)]
    assert list(second.latency) == [next(iter(first.latency)) + 2 * counts.PER_OCTAVE]
    assert (second.classes, sum(second.numbers.values())) == ({}, 1)


def test_fold_lays_a_failure_at_the_door_of_who_was_asked() -> None:
    found = fold(
        [
            answered(assigned(), version="1.0.0", fallback="it raised"),
            Failure(1_000, assigned(Arm.CHAMPION), "1.0.0", "it raised", 900),
            Failure(1_000, assigned(), "1.0.0", "it raised", 900, fallback="it raised"),
        ]
    )
    challenger = found[Key("fraud", "1.1.0", 0, 10)]
    champion = found[Key("fraud", "1.0.0", 0, 10)]
    assert (challenger.requests, challenger.failures, challenger.answered) == (2, 2, 0)
    assert (champion.requests, champion.failures, champion.answered) == (1, 1, 1)


def test_fold_leaves_out_whom_nobody_knows_any_more_and_the_staging_endpoint() -> None:
    lost = answered(assigned(deployment="d9"), version="1.0.0", fallback="it raised")
    staged = answered(assigned(Arm.STAGING))
    found = fold([lost, staged, Failure(1_000, assigned(Arm.STAGING), "1.1.0", "no", 5)])
    assert {at.version: item.requests for at, item in found.items()} == {"1.0.0": 0}


@pytest.mark.parametrize(
    ("answer", "truth", "loss"), [(1, 1, 0.0), (1, 0, 1.0), ("a", "b", 1.0), (2.0, 3.5, 1.5)]
)
def test_fold_puts_labels_and_values_where_the_answer_was(
    answer: float | int | str, truth: float | int | str, loss: float
) -> None:
    about = assigned(Arm.CHAMPION)
    label = Label(99 * SECOND, b"p", truth, 12 * SECOND, about, "1.0.0", Output(answer))
    value = Value(99 * SECOND, b"p", -2.0, 12 * SECOND, about, "1.0.0")
    found = fold([label, value])[Key("fraud", "1.0.0", 10, 10)]
    assert (found.labelled, found.loss, found.loss_squares) == (1, loss, loss**2)
    assert (found.valued, found.value, found.value_squares) == (1, -2.0, 4.0)


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from([0, 1, 0.5, -3e9, "a"]))), st.data())
def test_fold_does_not_care_how_events_are_cut(
    seen: list[tuple[int, float | int | str]], data: st.DataObject
) -> None:
    events: list[Event] = [
        answered(assigned(), at=at * SECOND, output=Output(value)) for at, value in seen
    ]
    cut = data.draw(st.integers(0, len(events)))
    whole = fold(events)
    parts = [fold(events[:cut]), fold(events[cut:])]
    for at, item in whole.items():
        both = counts.total([part[at] for part in parts if at in part])
        assert both == counts.decode(counts.encode(item))


def test_total_of_many_classes_keeps_the_frequent_ones() -> None:
    many = Counts(classes={str(number): 100 - number for number in range(80)})
    found = counts.total([many, Counts(classes={"0": 5})]).classes
    assert len(found) == 65
    assert found["0"] == 105
    assert sum(found.values()) == sum(many.classes.values()) + 5


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False))
def test_signed_octaves_rise_with_their_numbers(first: float, second: float) -> None:
    low, high = sorted([first, second])
    levels = counts.signed_octaves(np.array([low, high]))
    assert levels[0] <= levels[1]


@given(st.floats(1e-9, 1e9))
def test_number_at_is_the_end_of_its_level(value: float) -> None:
    level = int(counts.signed_octaves(np.array([value]))[0])
    assert value <= counts.number_at(level) * (1 + 1e-9)
    assert counts.number_at(level) <= value * 2 ** (1.001 / counts.PER_OCTAVE)
    assert counts.number_at(-level) == pytest.approx(-counts.number_at(level), rel=0.05)
    assert counts.number_at(0) == 0.0


# What a client may send as a label or a value, or a model may answer.
ANYTHING = st.one_of(
    st.floats(),
    st.sampled_from([1e308, -1e308, 1e200, 5e-324, 10**400, -(10**400), "1e999", "nan", "x", ""]),
    st.booleans(),
    st.integers(),
    st.text(max_size=8),
)


@given(ANYTHING, ANYTHING, st.floats())
def test_fold_takes_whatever_can_be_sent(answer: Answer, truth: Answer, worth: float) -> None:
    about = assigned(Arm.CHAMPION)
    answer = answer if not isinstance(answer, int) or abs(answer) < 2**63 else 1
    found = fold(
        [
            answered(about, at=1, version="1.0.0", output=Output(answer)),
            Label(2, b"p", truth, 1, about, "1.0.0", Output(answer)),
            Value(2, b"p", worth, 1, about, "1.0.0"),
        ]
    )
    total = counts.total([counts.decode(counts.encode(item)) for item in found.values()])
    sums = (total.loss, total.loss_squares, total.value, total.value_squares)
    assert np.isfinite(sums).all()
    assert total.answered == 1


def test_fold_leaves_out_a_label_that_is_no_number_where_numbers_are_answered() -> None:
    about = assigned(Arm.CHAMPION)
    labels = [Label(2, b"p", truth, 1, about, "1.0.0", Output(2.0)) for truth in ("x", "2.5", 3)]
    (found,) = fold(labels).values()
    assert (found.labelled, found.loss) == (2, 1.5)


@pytest.mark.parametrize(
    ("assignment", "counted"),
    [
        (Assignment("fraud", Arm.CHAMPION, 0.0, 1), True),
        (Assignment("fraud", Arm.CHAMPION, 0.25, 1), False),
        (Assignment("fraud", Arm.CHALLENGER, 0.0, 1), False),
        (Assignment("fraud", Arm.CHALLENGER, 0.25, 1, "d1"), True),
        (Assignment("fraud", Arm.CHAMPION, 0.0, 1, step=FORCED), False),
    ],
    ids=["aside", "forced-champion", "forced-former-champion", "drawn", "forced-without-share"],
)
def test_fold_leaves_out_what_a_tester_forced(assignment: Assignment, counted: bool) -> None:
    told = (2, b"p", 1, 1, assignment, "1.0.0", Output(0))
    found = fold(
        [
            answered(assignment, version="1.0.0"),
            Failure(1, assignment, "1.0.0", "it raised", 5),
            Label(*told),
            Value(2, b"p", 3.0, 1, assignment, "1.0.0"),
        ]
    )
    total = counts.total(found.values())
    assert (total.requests, total.labelled, total.valued) == ((2, 1, 1) if counted else (0, 0, 0))
