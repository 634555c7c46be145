from __future__ import annotations

from functools import partial

import numpy as np

from serinus.delivery.verdicts import watch
from serinus.delivery.verdicts.evidence import EMPTY, Measure
from serinus.proof import judging, promote, streams
from serinus.proof.runner import Runner
from serinus.proof.streams import Difference


def test_equal_challenger_goes_through_every_step():
    plan = judging.default_plan()
    spent = [promote.one_run(plan, np.random.default_rng(seed)) for seed in range(4)]
    assert np.isfinite([time for time, _, _ in spent]).sum() >= 3
    assert all(time >= len(plan.steps) * 200 for time, _, _ in spent)
    assert all(live < time or time == np.inf for time, _, live in spent)


def test_broken_challenger_is_not_promoted(monkeypatch):
    real = streams.live
    monkeypatch.setattr(
        streams, "live",
        lambda rng, share, course: real(rng, share, course, Difference(error_ratio=50)),
    )  # fmt: skip
    time, harmed, _ = promote.one_run(judging.default_plan(), np.random.default_rng(1))
    assert (time, harmed) == (np.inf, 1.0)


def test_walk_keeps_what_was_known_and_counts_its_own_requests():
    plan = judging.default_plan()
    rng = np.random.default_rng(2)
    shadow = plan.steps[0]
    known, follow, pairs = promote.walk(
        plan, shadow, EMPTY, watch.UNSEEN, partial(promote._mirror, rng)
    )
    assert known.total(Measure.PAIR_ERROR) == pairs >= shadow.min_requests
    step = plan.steps[1]
    after, _, live = promote.walk(
        plan, step, known, follow, partial(promote._live, rng, plan, step)
    )
    assert after.total(Measure.PAIR_ERROR) == pairs
    assert after.total(Measure.ERROR) == live


def test_claim_has_both_plans_and_tells_of_pairs():
    """Of forty equal challengers 36 and 38 are asked for; a few fewer would still be luck."""
    with Runner(1, processes=0) as runner:
        found = promote.prove(runner, 40)
    halves, steps, together = found.bars
    assert (halves.limit, steps.limit, together.limit) == (0.90, 0.95, None)
    assert halves.figure >= 0.80
    assert steps.figure >= 0.85
    assert steps.figure - 0.15 <= together.figure <= steps.figure
    assert found.runs == 80


def test_promotion_takes_more_where_less_is_forgiven():
    """A gate that asks for half the margin passes later: the figure follows the plan."""
    strict = judging.make_plan(
        judging.DeploymentSpec(model="model", challenger="2", error_odds=1.5, error_points=0.001)
    )
    spent = [
        [promote.one_run(plan, np.random.default_rng(seed))[2] for seed in range(9)]
        for plan in (judging.default_plan(), strict)
    ]
    assert np.median(spent[1]) > 1.5 * np.median(spent[0])
