from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from serinus.monitoring import performance
from serinus.monitoring.performance import Expected, Sums
from serinus.wire import Answer, Arm, Assignment, Label, Output


def label(value: Answer, answer: Answer) -> Label:
    return Label(2, bytes(16), value, 1, Assignment("m", Arm.CHAMPION, 0.0, 1), "1", Output(answer))


@pytest.mark.parametrize(
    ("value", "answer", "right"),
    [(1, 1, 1), (1.0, 1, 1), ("a", "a", 1), ("a", "b", 0), (True, True, 1), (0, 1, 0)],
)
def test_sums_of_classes(value: Answer, answer: Answer, right: int) -> None:
    assert performance.sums(label(value, answer), "classification") == Sums(1, right)


def test_sums_of_numbers() -> None:
    assert performance.sums(label(1.0, 3), "regression") == Sums(1, 0, 2.0, 4.0, 16.0)


@pytest.mark.parametrize("value", ["text", math.nan])
def test_sums_of_what_is_no_number_are_nothing(value: Answer) -> None:
    assert performance.sums(label(value, 3.0), "regression") == Sums()


@given(st.floats() | st.integers(-(10**400), 10**400), st.floats())
def test_sums_stay_finite(value: float, answer: float) -> None:
    found = performance.sums(label(value, answer), "regression")
    assert math.isfinite(found.fourth)


def test_measures_without_labels_are_none() -> None:
    assert performance.measures(Sums(), "classification", {}) == ()


def test_shortfall_no_data_never_alarms() -> None:
    expected = Expected({"accuracy": 0.99}, 100)
    assert performance.shortfall([], "classification", expected) is None
    assert performance.shortfall([(0, Sums())], "classification", expected) is None
    assert performance.shortfall([(0, Sums(29, 0))], "classification", expected) is None
    assert performance.shortfall([(0, Sums(500, 0))], "classification", Expected({}, 9)) is None


def test_shortfall_slow_decay_is_found_over_ten_windows() -> None:
    """Eight points over ten windows of 50 are too few in each, and enough together."""
    expected = Expected({"accuracy": 0.95}, 5_000)
    decayed = [(number, Sums(50, 43)) for number in range(20, 30)]
    assert performance.shortfall(decayed[-1:], "classification", expected) is None
    found = performance.shortfall(decayed, "classification", expected)
    assert found is not None
    assert (found.windows, found.rows) == (10, 500)
    assert found.measure.value == pytest.approx(0.86)


def test_shortfall_small_test_leaves_more_possible() -> None:
    windows = [(0, Sums(400, 364))]
    assert performance.shortfall(windows, "classification", Expected({"accuracy": 0.97}, 5_000))
    assert not performance.shortfall(windows, "classification", Expected({"accuracy": 0.97}, 80))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_shortfall_as_good_as_its_test_is_hardly_ever_called_worse(task: str) -> None:
    """Of 200 versions watched over 40 windows each, at most 5 % are ever called worse."""
    random = np.random.default_rng(17)
    called = 0
    for _ in range(200):
        if task == "classification":
            sums = [Sums(60, int(right)) for right in random.binomial(60, 0.9, 40)]
            expected = Expected({"accuracy": random.binomial(300, 0.9) / 300}, 300)
        else:
            errors = np.abs(random.normal(size=(40, 60)))
            sums = [
                Sums(60, 0, *(float((row**power).sum()) for power in (1, 2, 4))) for row in errors
            ]
            expected = Expected({"mae": float(np.abs(random.normal(size=300)).mean())}, 300)
        windows = list(enumerate(sums))
        called += any(
            performance.shortfall(windows[max(0, now - 9) : now + 1], task, expected)
            for now in range(40)
        )
    assert called <= stats.binom.ppf(0.999, 200, 0.05)
