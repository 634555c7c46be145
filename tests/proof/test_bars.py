from __future__ import annotations

import math

import numpy as np
import pytest

from serinus.proof import bars, intervals


def test_rate_at_most_is_judged_by_its_confidence_limit():
    hits = np.arange(100) < 3
    bar = bars.rate_at_most("errs", hits, 0.05, {"naive": np.ones(100)})
    assert bar.figure == 0.03
    assert bar.confidence_limit == intervals.rate_upper(3, 100) > 0.05
    assert not bar.passed
    assert bar.others == {"naive": 1.0}
    assert bars.rate_at_most("errs", np.arange(1000) < 30, 0.05).passed


def test_rate_at_least_is_judged_by_itself():
    bar = bars.rate_at_least("errs", np.arange(10) < 6, 0.6, whose="naive")
    assert (bar.figure, bar.passed, bar.whose) == (0.6, True, "naive")
    assert bar.confidence_limit == intervals.rate_lower(6, 10) < 0.6


def test_times_at_most_count_never_as_infinite():
    times = np.array([10.0] * 8 + [math.inf] * 2)
    median, most = bars.times_at_most("found", times, (10.0, 20.0), {"slow": times * 2})
    assert (median.figure, median.passed) == (10.0, True)
    assert (most.figure, most.passed) == (math.inf, False)
    assert median.others == {"slow": pytest.approx(20.0)}
