"""From requests to sums: order, entities, looks, the planned end, labels of different delay."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.delivery.experiments.trials import DESIGN, design, folded, question, settled

from serinus.delivery.experiments import analysis, fold
from serinus.delivery.experiments import moments as mo
from serinus.delivery.experiments.fold import LOOKS, Folding, Units
from serinus.delivery.experiments.sums import Sums, decode
from serinus.delivery.experiments.types import Grouping, Setup
from serinus.wire import Arm, Assignment, Failure, Output, Prediction


def assigned(arm: Arm = Arm.CHAMPION, **changes: object) -> Assignment:
    fields: dict[str, object] = {"share": 0.5, "revision": 1, "deployment": "d1", **changes}
    return Assignment("fraud", arm, **fields)  # type: ignore[arg-type]


def prediction(assignment: Assignment, features: tuple[object, ...] = (1.0, "a")) -> Prediction:
    return Prediction(5, assignment, "1.0.0", features, Output(1), 900)  # type: ignore[arg-type]


def test_draw_names_the_arm_the_shares_and_what_was_known_before() -> None:
    setup = Setup("classification", (0, 1), 0, (Grouping("kind", 1, categories=("a", "b")),))
    event = prediction(assigned(Arm.CHALLENGER, variant=1, shares=(0.2, 0.3), unit=9))
    found = fold.draw_of(event, setup)
    assert found == fold.Draw(2, (0.2, 0.3), 9, 1, 1.0, (0,))


def test_draw_of_a_failure_has_no_answer() -> None:
    found = fold.draw_of(Failure(5, assigned(), "1.0.0", "ValueError", 900), Setup("regression"))
    assert found is not None
    assert found.answer is None


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_draw_is_none_where_no_arm_was_drawn(share: float) -> None:
    assert fold.draw_of(prediction(assigned(share=share)), Setup("regression")) is None


def test_groups_are_cut_at_numbers_or_by_category() -> None:
    numbers = Grouping("age", 0, cuts=(10.0, 20.0))
    assert [fold.group_of(numbers, cell) for cell in (5, 10.0, 25, None, float("nan"))] == [
        0,
        1,
        2,
        3,
        3,
    ]
    kinds = Grouping("kind", 0, categories=("a", "b"))
    assert [fold.group_of(kinds, cell) for cell in ("a", "b", "c", None)] == [0, 1, 2, 2]


def test_requests_count_by_arm() -> None:
    sums = folded([settled(0), settled(1, 1, right=False), settled(2, 1)])
    assert sums.arms[(0, 1)][mo.UNITS] == 2
    assert sums.arms[(0, 1)][mo.Y] == 1
    assert sums.units == 3


def test_what_was_not_labelled_is_told_and_not_compared() -> None:
    sums = folded([settled(0), settled(1, outcome=None)])
    assert sums.units == 1
    assert (sums.told[0].requests, sums.told[0].labelled) == (2, 1)


def test_answer_that_nobody_gave_is_wrong_and_is_no_number() -> None:
    lost = settled(0)
    lost = fold.Settled(lost.at, fold.Draw(0, (0.5,), 0, None), False)
    assert folded([lost]).arms[(0, 0)][mo.Y] == 0.0
    sums = folded([lost], design(metric="mse"))
    assert sums.units == 0
    assert sums.told[0].left_out == 1


def test_entity_is_one_unit_however_often_it_comes() -> None:
    asked = design(unit="entity")
    units: Units = {}
    sums = folded([settled(n, unit=7, right=n % 2 == 0) for n in range(4)], asked, units=units)
    sums = folded([settled(9, unit=7)], asked, sums=sums, units=units)
    assert sums.arms[(0, 0)].tolist() == mo.total([3.0], [5.0]).tolist()


def test_entity_that_was_moved_counts_no_more_for_anybody() -> None:
    sums = folded([settled(0, unit=7), settled(1, 1, unit=7)], design(unit="entity"))
    assert sums.units == 1
    assert sums.told[1].left_out == 1


def test_buyer_who_comes_twice_has_converted_once() -> None:
    asked = design(metric="conversion", unit="entity")
    items = [settled(n, unit=7, outcome=30.0) for n in range(2)]
    items.append(settled(2, unit=8, outcome=None))
    assert folded(items, asked).arms[(0, 0)].tolist() == mo.total([1.0, 0.0]).tolist()


def test_covariate_is_counted_from_the_first_and_frozen_for_an_entity() -> None:
    items = [settled(n, unit=7 + n // 2, x=1e9 + n) for n in range(4)]
    sums = folded(items, design(unit="entity"))
    assert sums.origin == 1e9
    assert sums.arms[(0, 0)][mo.X] == 2.0


def test_segments_add_up_to_the_whole() -> None:
    items = [settled(n, n % 2, right=n % 3 > 0, groups=(n % 4, n % 2)) for n in range(60)]
    sums = folded(items)
    for feature in range(2):
        parts = [row for (of, *_), row in sums.segments.items() if of == feature]
        np.testing.assert_allclose(sum(parts), sum(sums.arms.values()))


def test_distributions_follow_an_entity_from_bin_to_bin() -> None:
    asked = design(metric="revenue", unit="entity")
    units: Units = {}
    sums = folded([settled(0, unit=7, outcome=10.0)], asked, units=units)
    sums = folded([settled(1, unit=7, outcome=90.0)], asked, sums=sums, units=units)
    assert sum(sums.spread[0].values()) == 1
    assert sums.spread == folded([settled(0, outcome=100.0)], asked).spread


def test_looks_are_taken_at_twelfths_and_the_end_closes() -> None:
    sums = folded([settled(n, n % 2) for n in range(2_000)])
    assert [look.number for look in sums.looks] == list(range(1, LOOKS))
    first = sums.looks[0].arms
    assert sum(row[mo.UNITS] for row in first.values()) == DESIGN.units / LOOKS
    assert sums.units == DESIGN.units
    assert sums.closed_at == settled(DESIGN.units - 1).at


def test_end_waits_for_time_and_for_units() -> None:
    slow = design(least_seconds=1_500.0)
    assert folded([settled(n) for n in range(1_400)], slow).closed_at == 0
    assert folded([settled(n) for n in range(1_502)], slow).closed_at > 0


def test_end_comes_at_the_longest_time_even_without_the_sample() -> None:
    brief = design(most_seconds=100.0)
    assert folded([settled(n) for n in range(90)], brief).closed_at == 0
    sums = folded([settled(n) for n in range(90)], brief, through=200_000_000)
    assert (sums.closed_at, sums.units) == (200_000_000, 90)


def test_stretches_are_told_apart_by_the_shares_in_force() -> None:
    sums = folded([settled(0), settled(1, shares=(0.7,)), settled(2)])
    assert sums.stretches == [(0.5,), (0.7,)]
    assert sums.arms[(0, 0)][mo.UNITS] == 2


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2), st.booleans(), st.integers(0, 5), st.sampled_from([None, 0, 1])
        ),
        max_size=60,
    ),
    st.lists(st.integers(0, 60), max_size=4),
)
def test_sums_do_not_depend_on_how_the_requests_were_batched(
    drawn: list[tuple[int, bool, int, int | None]], cuts: list[int]
) -> None:
    asked = design(unit="entity", units=24)
    items = [
        settled(n, arm, right=right, unit=unit, outcome=outcome, groups=(unit % 2,), x=float(unit))
        for n, (arm, right, unit, outcome) in enumerate(drawn)
    ]
    whole = folded(items, asked)
    units: Units = {}
    parts = Sums()
    ends = [0, *sorted(cuts), len(items)]
    for low, high in itertools.pairwise(ends):
        parts = decode(parts.encode())
        Folding(asked, question(asked).metric, parts, units).add(items[low:high], 0)
    assert parts.encode() == whole.encode()


def test_labels_that_come_late_in_one_arm_do_not_bend_the_comparison() -> None:
    """Wrong answers are labelled three times as late in one arm; both are right in 80 %.

    What is compared is a stretch of requests that are all settled. To compare the labels so far
    takes of the late arm its quick labels, which are those of its right answers.
    """
    rng = np.random.default_rng(1)
    runs, requests = 300, 1_200
    naive_wrong = ours_wrong = 0
    for _ in range(runs):
        arm = rng.integers(0, 2, requests)
        right = rng.random(requests) < 0.8
        lag = np.minimum(rng.exponential(np.where(right, 20, np.where(arm, 240, 80))), 300.0)
        now = 900.0
        came = np.arange(requests) + lag <= now
        asked = design(units=600, window_seconds=300.0)
        # By that time each of the first 600 requests has its label or will never have one.
        items = [settled(n, int(arm[n]), right=bool(right[n])) for n in range(600)]
        sums = folded(items, asked)
        assert sums.closed_at
        found = analysis.at_end(sums, question(asked))[0]
        ours_wrong += found.state != "undecided"
        naive_wrong += abs(_statistic(arm, right, came)) > 1.96
    assert naive_wrong / runs > 0.09
    assert ours_wrong / runs < 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


def _statistic(arm: np.ndarray, right: np.ndarray, counted: np.ndarray) -> float:
    parts = [right[counted & (arm == number)] for number in range(2)]
    if min(len(part) for part in parts) < 10:
        return 0.0
    error = np.sqrt(sum(part.var() / len(part) for part in parts))
    return float((parts[1].mean() - parts[0].mean()) / error)


def test_entity_has_the_covariate_and_groups_of_its_first_request_labelled_or_not() -> None:
    asked = design(unit="entity")
    units: Units = {}
    first = settled(0, unit=7, x=2.0, groups=(1,), outcome=None)
    sums = folded([settled(0, unit=8, x=0.0, groups=(0,)), first], asked, units=units)
    assert sums.units == 1
    again = [settled(1, unit=7, x=90.0, groups=(3,)), settled(2, unit=9, x=90.0, outcome=None)]
    sums = folded(again, asked, sums=sums, units=units)
    assert (sums.units, sums.arms[(0, 0)][mo.X]) == (2, 2.0)
    assert {group for _, group, _, _ in sums.segments} == {0, 1}


@pytest.mark.parametrize("told", [True, False], ids=["with-features", "older-events"])
def test_failures_of_one_arm_do_not_bend_what_is_adjusted(told: bool) -> None:
    """Two equal arms, of which one fails 2 %; the first x is three deviations out."""
    rng = np.random.default_rng(2)
    runs, requests = 40, 600
    asked = design(metric="revenue", units=requests)
    setup = Setup("classification", (0, 1), 0)
    adjusted = wrong = 0
    for _ in range(runs):
        x = rng.normal(0.0, 1.0, requests)
        x[0] = 3.0
        arm, fails = rng.integers(0, 2, requests), rng.random(requests) < 0.02
        worth = 10.0 + x + rng.normal(0.0, 0.1, requests)
        items = []
        for number in range(requests):
            role = Arm.CHALLENGER if arm[number] else Arm.CHAMPION
            features = (float(x[number]),)
            event: Prediction | Failure = prediction(assigned(role), features)
            if arm[number] and fails[number]:
                event = Failure(5, assigned(role), "x", "no", 9, "", None, features if told else ())
            draw = fold.draw_of(event, setup)
            assert draw is not None
            items.append(fold.Settled(1_000_000 * (number + 1), draw, float(worth[number])))
        (found,) = analysis.at_end(folded(items, asked), question(asked, covariate=0))
        adjusted += found.reduction is not None
        wrong += found.state != "undecided"
    # With a failure or two in a whole experiment nobody can tell, and nothing is bent.
    assert adjusted == runs if told else adjusted < runs / 10
    assert wrong / runs < 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


def test_what_lacks_its_covariate_is_kept_with_each_look() -> None:
    items = [settled(n, n % 2, x=None if n % 4 == 1 else 1.0) for n in range(240)]
    sums = decode(folded(items).encode())
    assert sums.missing == {1: 60}
    assert [look.missing[1] for look in sums.looks] == [25, 50]
