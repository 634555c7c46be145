from __future__ import annotations

import math

import numpy as np
import pytest
from tests.proof import controller

from serinus.delivery.types import DeploymentSpec
from serinus.delivery.verdicts.evidence import Measure
from serinus.proof import entities, judging, streams
from serinus.proof.runner import Runner
from serinus.proof.streams import Difference

BY_ENTITY = judging.make_plan(DeploymentSpec(model="model", challenger="2", unit="entity"))


def test_visits_follow_zipf():
    found = np.bincount(entities.visits(np.random.default_rng(1), 200_000, 1_000), minlength=1_000)
    assert len(found) == entities.ENTITIES
    assert found[0] / found[9] == pytest.approx(10, rel=0.1)


def test_first_failures_are_one_an_entity():
    entity = np.array([0, 1, 0, 0, 2, 1])
    failed = np.array([False, True, True, True, False, True])
    assert entities.first_failures(entity, failed).tolist() == [-1, 1, 1, -1, -1, -1]


def test_arms_are_kept_as_shares_grow():
    rng = np.random.default_rng(1)
    share = streams.shares(4_000, streams.RAMP)
    entity, drawn = entities.sticky(rng, share, 50, streams.flat(rng, 4_000))
    for one in range(50):
        arms = drawn.challenger[entity == one].astype(int)
        assert (np.diff(arms) >= 0).all()


@pytest.mark.parametrize(("ratio", "harmed"), [(30.0, True), (1.0, False)])
def test_controller_takes_back_at_the_very_same_request(ratio, harmed):
    """What is proved of entities is what the consumer and the judge do with them."""
    requests = 1_200
    rng = np.random.default_rng(3)
    share = np.full(requests, 0.25)
    course = streams.flat(rng, requests)
    entity, drawn = entities.sticky(rng, share, 200, course, Difference(error_ratio=ratio))
    ends = judging.looks(requests)
    first = entities.first_failures(entity, drawn.failed)
    tables = judging.counted(Measure.FIRST_FAILURE, first, drawn, ends)
    expected = judging.harm_time(BY_ENTITY, "errors", tables, ends)
    assert math.isfinite(expected) == harmed
    records = []
    for number in range(requests):
        asked = controller.assigned(
            0.25, bool(drawn.challenger[number]), 2, unit=int(entity[number]) + 1
        )
        event = controller.request_event(
            controller.at_us(number), asked, failed=bool(drawn.failed[number])
        )
        records.append((controller.identity(number), event))
    every = judging.EVERY
    batches = {int(end): records[end - every : end] for end in ends}
    assert controller.first_harm(BY_ENTITY, "errors", 2, batches) == expected


def test_errs_only_who_counts_requests():
    """Of 60 rollouts ours may take 3 back (2 % allowed); requests, 12 % of them, at least 3."""
    with Runner(1, processes=0) as runner:
        found = entities.prove(runner, 60)
    figures = {(bar.whose, bar.name): bar.figure for bar in found.bars}
    for name in entities.SPLITS:
        assert figures["Serinus", f"false rollbacks, {name}"] <= 0.05
    for name in entities.ERRS_AT:
        assert figures[entities.BY_REQUEST, f"false rollbacks, {name}"] >= 0.05
    for name in ("50 %", "ramp"):
        bar = next(bar for bar in found.bars if bar.name == f"wrongly passed, {name}")
        assert bar.figure <= 0.08 < bar.others[entities.BY_REQUEST]


def test_an_equal_challenger_is_passed_by_entity(monkeypatch):
    """What keeps a bad one out is its harm, not a gate that nobody passes."""
    monkeypatch.setattr(entities, "Difference", lambda **_: streams.EQUAL)
    monkeypatch.setattr(entities, "RARE", 0.001)
    times = [
        entities.one_passing(BY_ENTITY, (0.5,), np.random.default_rng(seed))[0] for seed in range(8)
    ]
    assert np.isfinite(times).sum() >= 6
