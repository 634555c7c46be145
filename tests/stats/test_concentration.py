"""Events that crowd into a segment."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from scipy import stats

from serinus.stats import concentration


@pytest.mark.parametrize(
    ("events", "inside", "requests"), [(20, 60, 300), (5, 2, 10), (150, 250, 300)]
)
def test_log_e_has_a_mean_of_at_most_one_where_segments_do_not_matter(events, inside, requests):
    k = np.arange(events + 1)
    chance = stats.hypergeom(requests, inside, events).pmf(k)
    share = np.full(k.shape, inside / requests)
    e = np.exp(concentration.log_e(k, np.full(k.shape, events), share))
    assert (chance * e).sum() <= 1 + 1e-9


def test_log_e_finds_where_events_crowd():
    assert concentration.log_e(40, 60, 0.1) > log(1e6)
    assert concentration.log_e(6, 60, 0.1) < 0
    assert concentration.log_e(0, 60, 0.1) < 0


def test_log_e_of_nothing_and_of_all_says_nothing():
    assert concentration.log_e(0, 0, 0.3) == pytest.approx(0.0)
    assert concentration.log_e(9, 9, 1.0) == pytest.approx(0.0)
