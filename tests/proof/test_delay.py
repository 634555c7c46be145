from __future__ import annotations

import math
from collections import defaultdict

import msgspec
import numpy as np
import pytest
from tests.proof import controller

from serinus.proof import delay, judging, streams
from serinus.proof.runner import Runner
from serinus.proof.streams import Difference

PLAN = judging.default_plan()


def live(difference=streams.EQUAL, requests=delay.REQUESTS):
    rng = np.random.default_rng(1)
    share = streams.shares(requests, (0.5,))
    return streams.live(rng, share, streams.flat(rng, requests), difference)


def found(stream, arrival):
    return delay.taken_back(PLAN, delay.in_request_order(stream, arrival))


def test_labels_at_once_are_found_as_soon_as_without_delay():
    stream = live(Difference(wrong_points=0.2))
    ends = judging.looks(delay.REQUESTS)
    at_once = found(stream, np.arange(delay.REQUESTS, dtype=float))
    tables = judging.live_tables(judging.only(PLAN, "quality"), stream, ends)
    expected = judging.harm_time(PLAN, "quality", tables, ends)
    assert abs(at_once - expected) <= judging.EVERY


def test_one_label_that_never_comes_holds_up_those_behind_it_for_the_window():
    stream = live(Difference(wrong_points=0.2))
    arrival = np.arange(delay.REQUESTS, dtype=float)
    arrival[0] = math.inf
    assert delay.WINDOW <= found(stream, arrival) <= delay.WINDOW + judging.EVERY


def test_labels_that_one_arm_lacks_decide_nothing():
    stream = live(Difference(wrong_points=0.2))
    arrival = np.arange(delay.REQUESTS, dtype=float)
    lacking = stream.requests.challenger & (np.arange(delay.REQUESTS) % 50 == 0)
    arrival[lacking] = math.inf
    assert found(stream, arrival) == math.inf


WINDOW = 400


@pytest.mark.parametrize("lost", [0, 2, 40], ids=["none lost", "few lost", "too many lost"])
def test_controller_takes_back_at_the_very_same_request(monkeypatch, lost):
    """What is proved of late labels is what the consumer and the judge do with them."""
    monkeypatch.setattr(delay, "WINDOW", WINDOW)
    stream = live(Difference(wrong_points=0.3), 1_400)
    # So short that nearly all come within the window.
    scenario = delay.SCENARIOS["mistakes are told sooner"]
    requests = np.arange(1_400)
    late = delay.arrivals(stream, scenario, np.random.default_rng(2)) - requests
    arrival = requests + late / 25
    arrival[100 : 100 + 5 * lost : 5] = math.inf
    plan = msgspec.structs.replace(PLAN, label_window_seconds=float(WINDOW))
    expected = found(stream, arrival)
    assert math.isinf(expected) == (lost > 2)
    if lost:
        assert expected > 100 + WINDOW
    looks = delay.in_request_order(stream, arrival).looks
    step = len(plan.steps) - 1
    told = controller.first_harm(plan, "quality", step, events(stream, arrival, looks, step))
    assert told == expected


def events(stream, arrival, looks, step):
    """The ledger up to each look: requests as they come, labels as they arrive."""
    drawn = stream.requests
    due = []
    for number in range(len(arrival)):
        asked = controller.assigned(0.5, bool(drawn.challenger[number]), step)
        at = controller.at_us(number)
        failed = bool(drawn.failed[number])
        answer = controller.WRONG if stream.loss[number] else controller.RIGHT
        event = controller.request_event(at, asked, failed=failed, answer=answer)
        due.append((number, 0, (controller.identity(number), event)))
        if math.isfinite(arrival[number]) and not failed:
            label = controller.label_event(controller.at_us(arrival[number]), number, asked, answer)
            due.append((arrival[number], 1, (controller.identity(10**6 + number), label)))
    batches = defaultdict(list, {int(look): [] for look in looks})
    for when, _, record in sorted(due, key=lambda one: one[:2]):
        batches[int(looks[np.searchsorted(looks, when)])].append(record)
    return dict(batches)


def test_errs_only_who_counts_labels_as_they_come():
    """Twenty runs suffice: others err in four of five, ours in one of a hundred."""
    with Runner(1, processes=0) as runner:
        found = delay.prove(runner, 20)
    figures = {(bar.whose, bar.name): bar.figure for bar in found.bars}
    for name in ("false rollbacks, ramp and trend", "false rollbacks, mistakes are told sooner"):
        assert figures["Serinus", name] <= 0.10
        assert figures[delay.SO_FAR, name] >= 0.60
    passed = "wrongly passed, accuracy falls"
    assert figures["Serinus", passed] <= 0.15 < figures[delay.SO_FAR, passed]
    for labels in found.notes.values():
        assert labels["share that came within the window"] >= PLAN.label_coverage


def test_a_challenger_within_the_margin_is_passed():
    """What keeps a bad one out is its harm, not a rule that passes nobody."""
    equal = streams.EQUAL
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delay, "Difference", lambda **_: equal)
        runs = [delay.one_passing(PLAN, np.random.default_rng(seed))[0] for seed in range(4)]
    assert np.isfinite(runs).sum() >= 3
