from __future__ import annotations

import math

import numpy as np

from serinus.proof import delay, judging, streams
from serinus.proof.runner import Runner
from serinus.proof.streams import Difference

PLAN = judging.default_plan()


def live(difference=streams.EQUAL):
    rng = np.random.default_rng(1)
    share = streams.shares(delay.REQUESTS, (0.5,))
    return streams.live(rng, share, streams.flat(rng, delay.REQUESTS), difference)


def test_labels_at_once_are_found_as_soon_as_without_delay():
    stream = live(Difference(wrong_points=0.2))
    ends = judging.looks(delay.REQUESTS)
    at_once = delay.in_request_order(PLAN, stream, np.arange(delay.REQUESTS, dtype=float))
    tables = judging.live_tables(judging.only(PLAN, "quality"), stream, ends)
    expected = judging.harm_time(PLAN, "quality", tables, ends)
    assert abs(at_once - expected) <= judging.EVERY


def test_one_label_that_never_comes_holds_up_those_behind_it_for_the_window():
    stream = live(Difference(wrong_points=0.2))
    arrival = np.arange(delay.REQUESTS, dtype=float)
    arrival[0] = math.inf
    found = delay.in_request_order(PLAN, stream, arrival)
    assert delay.WINDOW <= found <= delay.WINDOW + judging.EVERY


def test_labels_that_one_arm_lacks_decide_nothing():
    stream = live(Difference(wrong_points=0.2))
    arrival = np.arange(delay.REQUESTS, dtype=float)
    lacking = stream.requests.challenger & (np.arange(delay.REQUESTS) % 50 == 0)
    arrival[lacking] = math.inf
    assert delay.in_request_order(PLAN, stream, arrival) == math.inf


def test_claim_tells_how_many_labels_came():
    with Runner(1, processes=0) as runner:
        found = delay.prove(runner, 5)
    assert {bar.whose for bar in found.bars} == {"Serinus", delay.SO_FAR}
    for figures in found.notes.values():
        assert figures["share that came within the window"] >= PLAN.label_coverage
