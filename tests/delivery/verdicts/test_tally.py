"""From arrays of requests to counts: every level, every look, and no more than was seen."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery.samples import full_plan, plan_of

from serinus.delivery.verdicts import tally
from serinus.delivery.verdicts.evidence import LATENCY_QUANTILES, MOST_CLASSES, Measure
from serinus.delivery.verdicts.tally import Requests
from serinus.delivery.verdicts.watch import UNSEEN, Watch

PLAN = full_plan()
ALIKE = 1_000.0
EVERY_LEVEL = len(LATENCY_QUANTILES)
ODD_FLOATS = st.sampled_from([0.0, 0.05, 0.45, 1.0, -1e9, np.nan, np.inf, -np.inf])


def made(count: int, **columns: object) -> Requests:
    """Answered requests of the champion at a share of one half, but for these columns."""
    plain: dict[str, tuple[object, type]] = {
        "share": (0.5, np.float64),
        "challenger": (False, np.bool_),
        "step": (1, np.int64),
        "failed": (False, np.bool_),
        "latency": (ALIKE, np.float64),
        "score": (0.5, np.float64),
        "category": (0, np.int64),
    }
    return Requests(
        **{
            name: np.broadcast_to(np.array(columns.get(name, value), kind), count).copy()
            for name, (value, kind) in plain.items()
        }  # type: ignore[arg-type]
    )


def part(requests: Requests, where: object) -> Requests:
    return Requests(
        **{field.name: getattr(requests, field.name)[where] for field in fields(Requests)}
    )


def seen(count: int = 500) -> Watch:
    """A watch of a champion that took 1 ms whenever it was asked."""
    return UNSEEN.follow(np.full(count, ALIKE), np.ones(count, np.bool_))[1]


@st.composite
def batches(draw: st.DrawFn) -> Requests:
    count = draw(st.integers(0, 30))

    def column(strategy: st.SearchStrategy[object]) -> list[object]:
        return draw(st.lists(strategy, min_size=count, max_size=count))

    return made(
        count,
        share=column(st.sampled_from([0.0, 0.05, 0.25, 0.5, 1.0])),
        challenger=column(st.booleans()),
        step=column(st.integers(0, 5)),
        failed=column(st.booleans()),
        latency=column(ODD_FLOATS | st.sampled_from([ALIKE, 2 * ALIKE])),
        score=column(ODD_FLOATS),
        category=column(st.sampled_from([-1, 0, 1, 2])),
    )


def test_levels_of_failures_and_steps() -> None:
    requests = made(4, failed=[0, 1, 0, 1], share=[0.5, 0.5, 0.0, 1.0], step=[1, 2, 0, 4])
    found, _ = tally.levels(PLAN, requests, UNSEEN)
    assert found[Measure.ERROR].tolist() == [0, 1, -1, 1]
    assert found[Measure.STEP].tolist() == [1, 2, -1, 4]


def test_levels_of_the_soak_are_for_the_service_level_alone() -> None:
    requests = made(2, share=1.0, challenger=True)
    found, _ = tally.levels(PLAN, requests, seen())
    counted = {measure for measure, level in found.items() if (level >= 0).any()}
    assert counted == {Measure.ERROR, Measure.STEP}


def test_levels_of_a_failure_are_no_answers_but_the_slowest_latency() -> None:
    found, _ = tally.levels(PLAN, made(3, failed=True), seen())
    counted = {measure for measure, level in found.items() if (level >= 0).any()}
    assert counted == {Measure.ERROR, Measure.STEP, Measure.LATENCY}
    assert found[Measure.LATENCY].tolist() == [EVERY_LEVEL] * 3


def test_levels_are_those_that_the_plans_guardrails_need() -> None:
    found, watch = tally.levels(plan_of(), made(2), UNSEEN)
    assert set(found) == {
        Measure.ERROR,
        Measure.STEP,
        Measure.LATENCY,
        Measure.LATENCY_EARLY,
        Measure.LATENCY_LAST,
    }
    assert watch.seen == 2


@pytest.mark.parametrize(
    ("score", "level"),
    [(-np.inf, 0), (0.05, 0), (0.1, 0), (0.11, 1), (0.95, 9), (np.inf, 9), (np.nan, -1)],
)
def test_levels_of_scores_are_tenths_of_the_champions(score: float, level: int) -> None:
    found, _ = tally.levels(PLAN, made(1, score=score), UNSEEN)
    assert found[Measure.SCORE].tolist() == [level]


def test_levels_of_classes_are_their_places() -> None:
    found, _ = tally.levels(PLAN, made(3, category=[2, -1, 0]), UNSEEN)
    assert found[Measure.CLASS].tolist() == [2, -1, 0]
    assert tally.width(Measure.CLASS) == MOST_CLASSES + 1
    assert tally.width(Measure.ERROR) == 2


def test_levels_of_latency_forgive_the_challenger_alone() -> None:
    """A millisecond and a tenth are forgiven where harm is asked, more where safety is."""
    scale = PLAN.latency
    assert (scale.slack_us, scale.tolerance) == (1_000.0, 0.1)
    assert 1.1 < scale.last_ratio < scale.early_ratio
    just_slower = 1.02 * ALIKE
    challengers = [
        just_slower * ratio + scale.slack_us
        for ratio in (1.0, 1.1, scale.last_ratio, scale.early_ratio)
    ]
    requests = made(5, latency=[just_slower, *challengers], challenger=[0, 1, 1, 1, 1])
    found, _ = tally.levels(PLAN, requests, seen())
    top = EVERY_LEVEL
    assert found[Measure.LATENCY].tolist() == [top, 0, top, top, top]
    assert found[Measure.LATENCY_LAST].tolist() == [top, 0, 0, top, top]
    assert found[Measure.LATENCY_EARLY].tolist() == [top, 0, 0, 0, top]


def test_levels_of_latency_wait_for_thresholds() -> None:
    found, after = tally.levels(PLAN, made(150), UNSEEN)
    np.testing.assert_array_equal(found[Measure.LATENCY] >= 0, np.arange(150) >= 100)
    assert after.seen == 150


def test_levels_of_latency_learn_in_the_mirror_step_but_not_in_the_soak() -> None:
    mirrored = made(120, share=0.0)
    found, after = tally.levels(PLAN, mirrored, UNSEEN)
    assert (found[Measure.LATENCY] == -1).all()
    assert np.isfinite(after.thresholds).all()
    assert tally.levels(PLAN, made(9, share=1.0), after)[1] is after
    assert tally.levels(PLAN, made(9, failed=True), after)[1] is after


def test_levels_take_an_unknown_latency_for_none_and_an_infinite_one_for_the_slowest() -> None:
    requests = made(4, latency=[np.nan, np.inf, np.nan, np.inf], challenger=[0, 0, 1, 1])
    before = seen()
    found, after = tally.levels(PLAN, requests, before)
    assert found[Measure.LATENCY].tolist() == [-1, EVERY_LEVEL, -1, EVERY_LEVEL]
    assert after.seen == before.seen + 1
    assert np.isfinite(after.weights).all()


def test_levels_of_what_does_not_count() -> None:
    counts = np.array([True, False, True])
    found, after = tally.levels(PLAN, made(3), seen(), counts)
    for level in found.values():
        np.testing.assert_array_equal(level >= 0, counts)
    # An entity's later requests still tell how fast the champion is.
    assert after.seen == seen().seen + 3


def test_totals_are_laid_out_by_share_arm_and_level() -> None:
    requests = made(
        5, share=[0.25, 0.25, 0.5, 0.5, 0.5], challenger=[0, 1, 1, 1, 0], failed=[1, 0, 1, 1, 0]
    )
    tables = tally.totals(tally.levels(PLAN, requests, UNSEEN)[0], requests).tables
    assert tables[Measure.ERROR][0.25].tolist() == [[0, 1], [1, 0]]
    assert tables[Measure.ERROR][0.5].tolist() == [[1, 0], [0, 2]]
    assert Measure.LATENCY not in tables


@given(requests=batches(), ends=st.lists(st.integers(0, 30), min_size=1, max_size=4))
def test_running_at_each_look_is_the_total_of_what_came_before_it(
    requests: Requests, ends: list[int]
) -> None:
    looks = np.array(sorted(ends), np.int64)
    levels, _ = tally.levels(PLAN, requests, seen())
    tables = tally.running(levels, requests, looks)
    for place, end in enumerate(looks):
        before = part(requests, slice(0, end))
        expected = tally.totals({m: level[:end] for m, level in levels.items()}, before)
        at_look = {
            measure: {share: counts[place] for share, counts in by_share.items()}
            for measure, by_share in tables.items()
        }
        assert tally.Evidence(at_look) == expected


@given(requests=batches())
def test_running_to_the_end_is_the_total(requests: Requests) -> None:
    levels, _ = tally.levels(PLAN, requests, seen())
    ends = np.array([0, len(requests)])
    tables = tally.running(levels, requests, ends)
    last = {m: {share: counts[-1] for share, counts in t.items()} for m, t in tables.items()}
    assert tally.Evidence(last) == tally.totals(levels, requests)
    assert all((counts[0] == 0).all() for t in tables.values() for counts in t.values())


@given(requests=batches(), cut=st.integers(0, 30))
def test_totals_of_two_batches_are_those_of_one(requests: Requests, cut: int) -> None:
    first, second = part(requests, slice(0, cut)), part(requests, slice(cut, None))
    start = seen(95)
    levels, after = tally.levels(PLAN, requests, start)
    levels_1, between = tally.levels(PLAN, first, start)
    levels_2, end = tally.levels(PLAN, second, between)
    parts = tally.totals(levels_2, second) + tally.totals(levels_1, first)
    assert parts.encode() == tally.totals(levels, requests).encode()
    assert end == after


@given(requests=batches(), order=st.randoms())
def test_totals_do_not_depend_on_the_order_of_judged_requests(
    requests: Requests, order: object
) -> None:
    levels, _ = tally.levels(PLAN, requests, seen())
    shuffled = list(range(len(requests)))
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    places = np.array(shuffled, np.int64)
    again = tally.totals({m: level[places] for m, level in levels.items()}, part(requests, places))
    assert again == tally.totals(levels, requests)


@given(requests=batches())
def test_totals_count_every_drawn_request_once(requests: Requests) -> None:
    evidence = tally.totals(tally.levels(PLAN, requests, UNSEEN)[0], requests)
    drawn = requests.share > 0
    assert evidence.total(Measure.ERROR) == drawn.sum()
    assert evidence.total(Measure.ERROR, level=1) == (drawn & requests.failed).sum()
    assert evidence.total(Measure.STEP) == drawn.sum()
    scored = drawn & (requests.share < 1) & ~requests.failed & ~np.isnan(requests.score)
    assert evidence.total(Measure.SCORE) == scored.sum()
