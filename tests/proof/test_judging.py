"""The tables and bounds of a proof are the product's own."""

from __future__ import annotations

import math

import numpy as np
import pytest

from serinus.delivery.types import Outcome
from serinus.delivery.verdicts import judge, tally, watch
from serinus.delivery.verdicts.evidence import Evidence, Measure
from serinus.proof import judging, streams
from serinus.proof.streams import Difference


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def broken(rng, n=2_000):
    share = streams.shares(n, (0.1,))
    return streams.live(rng, share, streams.flat(rng, n), Difference(error_ratio=50))


def test_plans_have_every_guardrail_within_the_budget():
    sharp, default = judging.sharp_plan(), judging.default_plan()
    assert len(sharp.guardrails) == 11
    assert sum(rail.alpha for rail in sharp.guardrails) <= 0.05 + 1e-9
    assert {rail.kind for rail in default.guardrails} < {rail.kind for rail in sharp.guardrails}
    assert sharp.latency.tolerance == sharp.latency.slack_us == 0
    assert default.latency.slack_us > 0
    assert [rail.kind for rail in judging.only(sharp, "quality").guardrails] == ["quality"]


def test_harm_is_found_at_the_look_where_the_judge_rolls_back(rng):
    plan = judging.default_plan()
    stream = broken(rng)
    ends = judging.looks(2_000)
    tables = judging.live_tables(plan, stream, ends)
    times = judging.harm_found(plan, tables, ends)
    assert times["errors"] == judging.harm_time(plan, "errors", tables, ends) < 300
    place = int(np.searchsorted(ends, times["errors"]))
    step = len(plan.steps) - 1
    earliest = min(times.values())
    for look, expected in ((place, Outcome.ROLLBACK), (place - 1, Outcome.CONTINUE)):
        if expected is Outcome.CONTINUE and ends[look] >= earliest:
            continue
        assert judge.judge(plan, step, judging.at(tables, look)).outcome is expected


def test_tables_of_a_look_are_the_evidence_of_the_requests_before_it(rng):
    plan = judging.default_plan()
    stream = broken(rng)
    tables = judging.live_tables(plan, stream, judging.looks(2_000))
    levels, _ = tally.levels(plan, stream.requests, watch.UNSEEN)
    everything = tally.totals({**levels, **judging.outcomes(plan, stream)}, stream.requests)
    assert judging.at(tables, -1) == everything


def test_error_tables_are_those_of_all_measures(rng):
    plan = judging.default_plan()
    stream = broken(rng)
    ends = judging.looks(2_000)
    alone = judging.error_tables(stream.requests, ends)
    for share, counts in judging.live_tables(plan, stream, ends)[Measure.ERROR].items():
        np.testing.assert_array_equal(alone[Measure.ERROR][share], counts)


def test_pair_tables_count_each_pair_once(rng):
    pairs = streams.mirrored(rng, streams.flat(rng, 500))
    ends = judging.looks(500)
    tables = judging.pair_tables(pairs, ends)
    error = tables[Measure.PAIR_ERROR][0.0]
    assert error.shape == (25, 2, 3)
    assert not error[:, 0].any()
    np.testing.assert_array_equal(error[:, 1].sum(axis=1), ends)
    assert tables[Measure.PAIR_LOSS][0.0][-1].sum() == (pairs.loss >= 0).sum()


def test_plus_continues_where_the_evidence_ended(rng):
    plan = judging.default_plan()
    first, second = broken(rng, 1_000), broken(rng, 1_000)
    ends = judging.looks(1_000)
    before = judging.at(judging.error_tables(first.requests, ends), -1)
    after = judging.at(judging.plus(judging.error_tables(second.requests, ends), before), -1)
    both = before + judging.at(judging.error_tables(second.requests, ends), -1)
    assert after == both
    assert judging.at(judging.plus({}, before), 3) == before
    assert isinstance(before, Evidence)
    assert plan.has("errors")


def test_gate_is_passed_only_where_all_margins_are_excluded(rng):
    plan = judging.make_plan(
        judging.DeploymentSpec(model="model", challenger="2", shares=(0.5,), shadow=False)
    )
    n = 40_000
    stream = streams.live(rng, streams.shares(n, (0.5,)), streams.flat(rng, n))
    ends = judging.looks(n)
    tables = judging.live_tables(plan, stream, ends)
    step = plan.steps[-1]
    passed = judging.gate_passed(plan, step, tables)
    kinds = ("errors", "quality", "latency", "sample_ratio")
    times = [judging.margin_time(plan, step.gate, kind, tables, ends) for kind in kinds]
    assert not passed[ends < max(times)].any()
    assert math.isfinite(judging.first(passed, ends))
    assert judging.margin_time(plan, step.gate, "class_mix", tables, ends) == math.inf


def test_first_is_infinite_if_never():
    ends = judging.looks(100)
    assert judging.first(np.zeros(5, bool), ends) == math.inf
    assert judging.first(ends >= 60, ends) == 60
    assert judging.first(np.bool_(True), ends) == 20


def test_reordered_keeps_requests_whole(rng):
    requests = broken(rng).requests
    order = rng.permutation(len(requests))
    found = judging.reordered(requests, order)
    np.testing.assert_array_equal(found.latency, requests.latency[order])
    np.testing.assert_array_equal(found.failed, requests.failed[order])
