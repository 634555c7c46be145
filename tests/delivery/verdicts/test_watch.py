"""Latency thresholds: set before the requests that they judge, of a size that never grows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serinus.delivery.verdicts import watch
from serinus.delivery.verdicts.evidence import LATENCY_QUANTILES, Floats
from serinus.delivery.verdicts.watch import UNSEEN, Watch

LATENCIES = st.sampled_from(
    [0.0, -7.0, 9.0, 10.0, 10.3, 250.0, 1e3, 1.1e3, 2e4, 3e7, 1e18, np.inf, -np.inf]
)
SEEN = st.lists(st.tuples(LATENCIES, st.booleans()), max_size=40)


def lognormal(count: int, seed: int = 1) -> Floats:
    return 20_000.0 * np.exp(0.5 * np.random.default_rng(seed).standard_normal(count))


def arrays(seen: list[tuple[float, bool]]) -> tuple[Floats, np.ndarray]:
    return np.array([item[0] for item in seen]), np.array([item[1] for item in seen], np.bool_)


def grown(latency: Floats) -> Watch:
    """A watch that has seen these of the champion."""
    return UNSEEN.follow(latency, np.ones(len(latency), np.bool_))[1]


def test_watch_has_no_thresholds_before_enough_was_seen() -> None:
    latency = np.full(250, 1_000.0)
    thresholds, after = UNSEEN.follow(latency, np.ones(250, np.bool_))
    assert thresholds.shape == (250, len(LATENCY_QUANTILES))
    known = ~np.isnan(thresholds).any(axis=1)
    # The hundredth completes what is needed, and is itself judged by what was known before it.
    np.testing.assert_array_equal(known, np.arange(250) >= 100)
    assert after.seen == 250


def test_watch_learns_from_the_champion_alone() -> None:
    latency = np.full(1_000, 5e6)
    thresholds, after = UNSEEN.follow(latency, np.zeros(1_000, np.bool_))
    assert np.isnan(thresholds).all()
    assert after == UNSEEN


def test_watch_thresholds_are_the_champions_quantiles() -> None:
    latency = lognormal(4_000)
    expected = np.quantile(latency, LATENCY_QUANTILES)
    found = grown(latency).thresholds
    # Bins are 2 % wide; the rest is that the newest count more.
    np.testing.assert_allclose(found, expected, rtol=0.08)
    assert (np.diff(found) > 0).all()


def test_watch_where_all_latencies_are_alike_has_thresholds_below_them() -> None:
    found = grown(np.full(500, 900.0)).thresholds
    assert (found < 900.0).all()
    assert (found > 900.0 / 1.03).all()


def test_watch_forgets() -> None:
    slow, fast = lognormal(4_000), lognormal(20_000, 2) / 10
    both = grown(np.concatenate([slow, fast])).thresholds
    np.testing.assert_allclose(both, np.quantile(fast, LATENCY_QUANTILES), rtol=0.1)


def test_watch_is_of_one_size_whatever_was_seen() -> None:
    sizes = [len(grown(lognormal(count)).encode()) for count in (2_000, 20_000, 200_000)]
    assert max(sizes) <= 8_192
    assert sizes[2] <= 1.5 * sizes[1]


@given(before=SEEN, request=st.tuples(LATENCIES, st.booleans()), other=LATENCIES)
def test_watch_never_judges_a_request_by_itself(
    before: list[tuple[float, bool]], request: tuple[float, bool], other: float
) -> None:
    """The thresholds of a request are the same whatever its own latency, or what comes later."""
    start = grown(lognormal(95))
    latency, champion = arrays([*before, request])
    changed = latency.copy()
    changed[-1] = other
    mine, _ = start.follow(latency, champion)
    theirs, _ = start.follow(changed, champion)
    np.testing.assert_array_equal(mine, theirs)
    alone, _ = start.follow(latency[:-1], champion[:-1])
    np.testing.assert_array_equal(mine[:-1], alone)


@given(seen=SEEN, cut=st.integers(0, 40), start=st.sampled_from([0, 80, 99, 1_000, 1_240]))
def test_watch_of_two_batches_is_that_of_one(
    seen: list[tuple[float, bool]], cut: int, start: int
) -> None:
    latency, champion = arrays(seen)
    begin = grown(lognormal(start))
    whole, after = begin.follow(latency, champion)
    first, between = begin.follow(latency[:cut], champion[:cut])
    second, end = watch.decode(between.encode()).follow(latency[cut:], champion[cut:])
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    assert end.encode() == after.encode()
    assert end == after
    assert hash(end) == hash(after)
    assert after.seen == begin.seen + champion.sum()


@given(seen=SEEN)
def test_watch_encodes_and_decodes_to_the_same(seen: list[tuple[float, bool]]) -> None:
    _, after = grown(lognormal(300)).follow(*arrays(seen))
    again = watch.decode(after.encode())
    np.testing.assert_array_equal(again.weights, after.weights)
    np.testing.assert_array_equal(again.pending, after.pending)
    np.testing.assert_array_equal(again.thresholds, after.thresholds)
    assert again == after


def test_watch_decodes_nothing_as_unseen() -> None:
    assert watch.decode(b"") is UNSEEN
    assert np.isnan(UNSEEN.thresholds).all()
    assert watch.decode(UNSEEN.encode()) == UNSEEN


@pytest.mark.parametrize("extreme", [np.inf, 1e300, -np.inf, -1.0, 0.0])
def test_watch_takes_any_latency_for_the_fastest_or_slowest(extreme: float) -> None:
    after = grown(np.full(100, extreme))
    assert np.isfinite(after.thresholds).all()
    slowest = after.weights[-1] == 100
    assert slowest == (extreme > 0)
    assert slowest or after.weights[0] == 100
