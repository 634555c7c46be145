"""Pairs over shadow and soak."""

from __future__ import annotations

import numpy as np
import pytest

from serinus.delivery.verdicts.evidence import SOAK, Measure
from serinus.delivery.verdicts.pairs import BEFORE
from serinus.proof import judging, soak, streams
from serinus.proof.runner import Runner

PLAN = judging.full_plan()


def test_twin_is_never_found_but_a_failing_version_is():
    rng = np.random.default_rng(4)
    assert np.isinf(soak.one_twin(PLAN, streams.all_swing, rng)[0])
    harm, flips, limits = soak.HARMS["each request fails"]
    assert 0 < soak.one_harm(PLAN, harm, flips, rng)[0] <= limits[1]


@pytest.mark.parametrize("name", soak.HARMS)
def test_what_does_not_begin_is_not_found(name):
    _, flips, _ = soak.HARMS[name]
    found = soak.one_harm(PLAN, streams.EQUAL, flips / 2, np.random.default_rng(2))
    assert np.isinf(found[0])


def test_tables_tell_the_soak_apart():
    rng = np.random.default_rng(1)
    n = soak.SHADOW + 100
    pairs, ends = streams.mirrored(rng, streams.flat(rng, n)), np.array([soak.SHADOW, n])
    found = soak._tables(pairs, soak._floor(rng, np.zeros(n)), ends)
    assert found[Measure.PAIR_ERROR][BEFORE].sum(axis=(1, 2)).tolist() == [5_000, 5_000]
    assert found[Measure.PAIR_ERROR][SOAK].sum(axis=(1, 2)).tolist() == [0, 100]
    assert found[Measure.PAIR_FLOOR][SOAK][1].sum() == 100


def test_claim_holds_rates_and_times():
    with Runner(1, processes=0) as runner:
        found = soak.prove(runner, 30)
    names = [bar.name for bar in found.bars]
    assert names[:2] == ["false rollbacks, all metrics swing", "false rollbacks, an outage of both"]
    assert len(names) == 2 + 2 * len(soak.HARMS)
    assert all(bar.limit == pytest.approx(0.015) for bar in found.bars[:2])
    assert all(bar.passed for bar in found.bars[2:])
