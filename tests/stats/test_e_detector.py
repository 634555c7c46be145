"""E-detectors: the recursions step by step, merging, rare false alarms and quick true ones."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.errors import InvalidInput
from serinus.stats import e_detector

VALUES = st.lists(st.floats(0.0, 1.0), max_size=20)
LIMITS = st.floats(0.01, 0.9)
KINDS = st.sampled_from([e_detector.rate_above, e_detector.mean_above])


def same(first: e_detector.State, second: e_detector.State) -> bool:
    return first.observations == second.observations and all(
        np.allclose(a, b, atol=1e-9)
        for a, b in (
            (first.log_gain, second.log_gain),
            (first.log_sum, second.log_sum),
            (first.log_best, second.log_best),
        )
    )


@given(values=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30), limit=LIMITS, kind=KINDS)
def test_detector_follows_its_recursions(values: list[float], limit: float, kind) -> None:
    detector = kind(limit)
    total = best = np.zeros(detector.stakes.size)
    for value in values:
        factor = 1 + detector.stakes * (value - limit)
        total, best = (total + 1) * factor, np.maximum(best, 1) * factor
    state = e_detector.observe(detector, values)
    assert np.exp(state.log_sum) == pytest.approx(total)
    assert np.exp(state.log_best) == pytest.approx(best)
    assert e_detector.log_evidence(state) == pytest.approx(math.log(total.mean()))
    assert e_detector.log_evidence_cusum(state) <= e_detector.log_evidence(state) + 1e-9


@given(first=VALUES, second=VALUES, third=VALUES, limit=LIMITS, kind=KINDS)
def test_detector_runs_merge_in_order_however_they_are_bracketed(
    first: list[float], second: list[float], third: list[float], limit: float, kind
) -> None:
    detector = kind(limit)
    a, b, c = (e_detector.observe(detector, values) for values in (first, second, third))
    whole = e_detector.observe(detector, first + second + third)
    assert same(e_detector.merge(e_detector.merge(a, b), c), whole)
    assert same(e_detector.merge(a, e_detector.merge(b, c)), whole)
    assert same(e_detector.merge(e_detector.start(detector), a), a)


@given(limit=LIMITS, part=st.floats(0.0, 1.0), kind=KINDS)
def test_detector_expects_no_more_than_the_observations_while_nothing_is_wrong(
    limit: float, part: float, kind
) -> None:
    detector = kind(limit)
    chance, length = part * limit, 5
    mean = batch = 0.0
    for events in itertools.product((0, 1), repeat=length):
        law = math.prod(chance if event else 1 - chance for event in events)
        mean += law * math.exp(e_detector.log_evidence(e_detector.observe(detector, events)))
        state = e_detector.observe_events(detector, sum(events), length)
        batch += law * math.exp(e_detector.log_evidence(state))
    assert mean <= length + 1e-9
    assert batch <= length + 1e-9


def test_detector_false_alarms_are_as_rare_as_promised() -> None:
    rng = np.random.default_rng(1)
    detector = e_detector.rate_above(0.05)
    run_length, most = 200, 2_000
    until = []
    for _ in range(60):
        state, at = e_detector.start(detector), most
        for step in range(10, most + 1, 10):
            run = e_detector.observe(detector, rng.random(10) < 0.05)
            state = e_detector.merge(state, run)
            if e_detector.is_alarm(state, run_length):
                at = step
                break
        until.append(at)
    assert np.mean(until) >= run_length


@pytest.mark.parametrize("batch", [1, 20])
def test_detector_finds_a_tripled_error_rate_after_a_long_quiet_time(batch: int) -> None:
    rng = np.random.default_rng(2)
    detector = e_detector.rate_above(0.02)
    delays = []
    for _ in range(20):
        state = e_detector.observe(detector, rng.random(20_000) < 0.01)
        for step in range(batch, 4_001, batch):
            run = e_detector.observe_events(detector, rng.binomial(batch, 0.06), batch)
            state = e_detector.merge(state, run)
            if e_detector.is_alarm(state, 100_000):
                delays.append(step)
                break
        else:
            delays.append(10**9)
    # log(100,000) / KL(6 % : 2 %) is 429 requests.
    assert np.median(delays) <= 700


@given(values=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20), limit=LIMITS, kind=KINDS)
def test_block_bets_what_was_there_and_the_capital_in_any_order(
    values: list[float], limit: float, kind
) -> None:
    detector = kind(limit)
    before = e_detector.observe(detector, [0.5, 0.1])
    state = e_detector.merge(before, e_detector.observe_block(detector, values, 0.25))
    gain = np.prod(1 + detector.stakes[:, None] * (np.array(values) - limit), axis=1)
    assert np.exp(state.log_sum) == pytest.approx((np.exp(before.log_sum) + 0.25) * gain)
    other = e_detector.merge(before, e_detector.observe_block(detector, values[::-1], 0.25))
    assert same(state, other)
    nothing = e_detector.observe_block(detector, values, 0.0)
    assert np.isneginf(nothing.log_sum).all()
    assert same(e_detector.observe_block(detector, [], 1.0), e_detector.start(detector))


@given(limit=LIMITS, part=st.floats(0.0, 1.0), kind=KINDS)
def test_block_expects_no_more_than_its_capital_however_its_end_depends_on_events(
    limit: float, part: float, kind
) -> None:
    detector, chance = kind(limit), part * limit
    mean = 0.0
    for events in itertools.product((0, 1), repeat=5):
        law = math.prod(chance if event else 1 - chance for event in events)
        # Ends with the first event: a window that closes when there is something to see.
        seen = events[: events.index(1) + 1] if 1 in events else events
        state = e_detector.observe_block(detector, seen, 1.0)
        mean += law * math.exp(e_detector.log_evidence(state))
    assert mean <= 1 + 1e-9


@pytest.mark.parametrize("capital", [-0.1, math.nan])
def test_block_refuses_what_is_no_capital(capital: float) -> None:
    with pytest.raises(InvalidInput):
        e_detector.observe_block(e_detector.mean_above(0.5), [0.1], capital)


@pytest.mark.parametrize("values", [[-0.1], [1.1], [math.nan], [math.inf]])
def test_detector_refuses_what_is_outside_its_range(values: list[float]) -> None:
    with pytest.raises(InvalidInput):
        e_detector.observe(e_detector.mean_above(0.5), values)


@pytest.mark.parametrize(("events", "observations"), [(-1, 3), (4, 3), (1, 0)])
def test_detector_refuses_impossible_counts(events: int, observations: int) -> None:
    with pytest.raises(InvalidInput):
        e_detector.observe_events(e_detector.rate_above(0.5), events, observations)


@pytest.mark.parametrize("limit", [0.0, 1.0, math.nan])
def test_detector_refuses_a_limit_that_nothing_can_exceed(limit: float) -> None:
    with pytest.raises(InvalidInput):
        e_detector.rate_above(limit)
    with pytest.raises(InvalidInput):
        e_detector.mean_above(limit)


def test_detector_is_silent_at_the_start_and_finite_after_a_billion() -> None:
    detector = e_detector.rate_above(0.01)
    assert not e_detector.is_alarm(e_detector.start(detector), 1.0)
    assert e_detector.observe(detector, []).observations == 0
    state = e_detector.observe_events(detector, 10**7, 10**9)
    assert np.isfinite(e_detector.log_evidence(state))
