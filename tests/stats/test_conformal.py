from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from scipy.spatial import distance

from serinus.stats import conformal

COUNTS = st.lists(st.integers(0, 10_000), min_size=4, max_size=4)
LOGS = arrays.arrays(
    np.float64,
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.floats(-20, 1, width=32),
)
Draw = Callable[[np.random.Generator, int, int], NDArray[np.float64]]


@given(COUNTS, COUNTS)
def test_jensen_shannon_symmetric_bounded_as_scipy_has_it(left: list, right: list) -> None:
    found = conformal.jensen_shannon(left, right)
    assert found == pytest.approx(conformal.jensen_shannon(right, left))
    assert 0.0 <= found <= 1.0
    if sum(left) and sum(right):
        assert found == pytest.approx(distance.jensenshannon(left, right, base=2) ** 2, abs=1e-9)
    else:
        assert found == 0.0


def test_jensen_shannon_same_zero_disjoint_one() -> None:
    assert conformal.jensen_shannon([1, 2, 0], [10, 20, 0]) == pytest.approx(0.0, abs=1e-12)
    assert conformal.jensen_shannon([1, 2, 0], [0, 0, 5]) == pytest.approx(1.0)


@given(LOGS, st.randoms(use_true_random=False))
def test_deviations_order_of_windows_moves_only_rows(logs: NDArray, random: object) -> None:
    order = list(range(len(logs)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert np.array_equal(conformal.deviations(logs)[order], conformal.deviations(logs[order]))


@given(LOGS)
def test_surprise_any_history_rank_counts_itself(logs: NDArray) -> None:
    found = conformal.surprise(logs[:-1], logs[-1])
    assert 1 / len(logs) <= found.p_value <= 1
    mean = np.mean((np.arange(1, len(logs) + 1) / len(logs)) ** -0.5)
    assert found.e_value == pytest.approx(found.p_value**-0.5 / mean)
    assert found.score == pytest.approx(max(found.deviations))
    assert np.isfinite(found.deviations).all()


def test_surprise_same_windows_say_nothing() -> None:
    assert conformal.surprise(np.zeros((50, 3)), np.zeros(3)).p_value == 1.0


def test_surprise_without_features_says_nothing() -> None:
    assert conformal.surprise(np.zeros((5, 0)), np.zeros(0)).p_value == 1.0


def test_surprise_history_is_capped() -> None:
    far = np.full((5_000, 1), 9.0)
    near = np.linspace(0, 1, conformal.CAP - 1)[:, None]
    capped = conformal.surprise(np.vstack([far, near]), np.array([2.0]))
    assert capped == conformal.surprise(near, np.array([2.0]))
    assert capped.p_value == 1 / conformal.CAP


@given(st.integers(1, 500))
def test_e_value_mean_over_ranks_is_one(windows: int) -> None:
    ranks = np.arange(1, windows + 1) / windows
    assert conformal.e_value(ranks, windows).mean() == pytest.approx(1.0)


@given(st.floats(0, 1e6), st.floats(0, 100), st.floats(0, 100))
def test_shiryaev_roberts_grows_with_evidence(detector: float, low: float, more: float) -> None:
    assert conformal.shiryaev_roberts(detector, low) >= 0
    assert conformal.shiryaev_roberts(detector, low + more) >= conformal.shiryaev_roberts(
        detector, low
    )


def test_change_start_finds_where_small_ranks_begin() -> None:
    quiet = [0.4, 0.9, 0.7, 0.3, 0.8]
    assert conformal.change_start([*quiet, 0.02, 0.03, 0.05]) == len(quiet)
    assert conformal.change_start([0.01]) == 0
    assert conformal.change_start([]) == 0


# ------------------------------------------------------------------ the promise, simulated


def _heavy_correlated(random: np.random.Generator, cases: int, windows: int) -> NDArray[np.float64]:
    """Features that share a heavy-tailed part and have infinite variance of their own."""
    shared = random.standard_t(2, (cases, windows, 1))
    return 0.7 * shared + random.standard_t(2, (cases, windows, 4))


def _counted(random: np.random.Generator, cases: int, windows: int) -> NDArray[np.float64]:
    """Coarse ties, as distances of few rows over few bins have them."""
    return np.log(random.poisson(2.0, (cases, windows, 3)) + 0.5)


def _run_lengths(logs: NDArray[np.float64], alarm: float) -> NDArray[np.int64]:
    """Windows until the alarm of each case (cases, windows, features); the horizon if never."""
    cases, horizon = logs.shape[:2]
    detector, lengths = np.zeros(cases), np.full(cases, horizon)
    running = np.arange(cases)
    for window in range(1, horizon + 1):
        scores = conformal.deviations(logs[running, :window]).max(axis=-1)
        evidence = conformal.e_value(conformal.newest_rank(scores), window)
        detector[running] = conformal.shiryaev_roberts(detector[running], evidence)  # type: ignore[arg-type]
        over = detector[running] >= alarm
        lengths[running[over]] = window
        running = running[~over]
    return lengths


@pytest.mark.parametrize("draw", [_heavy_correlated, _counted])
def test_detector_exchangeable_windows_run_length_holds(draw: Draw) -> None:
    """The mean run length is at least A = 40, even cut off at 150 windows (which lowers it)."""
    lengths = _run_lengths(draw(np.random.default_rng(5), 200, 150), alarm=40)
    error = lengths.std(ddof=1) / np.sqrt(lengths.size)
    assert lengths.mean() - 3 * error > 40


def test_detector_shift_after_60_windows_is_found_within_12() -> None:
    logs = _heavy_correlated(np.random.default_rng(6), 100, 72) * 0.3
    logs[:, 60:, 0] += 4.0
    lengths = _run_lengths(logs, alarm=1_000)
    assert (lengths > 60).mean() >= 0.95
    assert (lengths < 72).mean() >= 0.95
