"""Recorded traffic, from a real ledger back to arrays, split in two."""

from __future__ import annotations

import numpy as np
import pytest

from serinus.delivery.types import DeploymentSpec
from serinus.delivery.verdicts.evidence import LOSS_STEPS
from serinus.errors import Conflict
from serinus.ledger.files.reader import Reader
from serinus.ledger.files.writer import Writer
from serinus.proof import judging, recorded, rules
from serinus.proof.recorded import LEAST
from serinus.proof.runner import Runner
from serinus.wire import Arm, Assignment, Failure, Label, Output, Prediction, Value

PLAN = judging.full_plan()
MODEL = "fraud"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "ledger"


def answered(number, *, arm=Arm.CHAMPION, unit=0, failed=False, latency=20_000, model=MODEL):
    assignment = Assignment(model, arm, 0.0, 1, unit=unit)
    if failed:
        return Failure(number, assignment, "1.0.0", "it raised", latency)
    score = (number * 7 % 100) / 100
    answer = Output(number % 3, (1 - score, score))
    return Prediction(number, assignment, "1.0.0", (1.0,), answer, latency)


def write(folder, events, told=()):
    """Append events, and what comes of them: ``told`` makes an event from number, id and event."""
    writer = Writer(folder, segment_bytes=10**7, sync="os")
    identities = writer.append(list(events))
    for tell in told:
        writer.append(
            [tell(identity, event) for identity, event in zip(identities, events, strict=True)]
        )
    writer.close()
    return identities


def label(identity, event):
    """Every tenth answer was wrong."""
    truth = 99 if event.at % 10 == 0 else event.at % 3
    output = event.output if isinstance(event, Prediction) else Output(0)
    return Label(event.at, identity, truth, event.at, event.assignment, "1.0.0", output)


def worth(identity, event):
    return Value(event.at, identity, 2.0, event.at, event.assignment, "1.0.0")


def gathered(folder, plan=PLAN):
    return recorded.gather(plan, Reader(folder).scan(MODEL))


def test_gather_reads_what_the_champion_answered_and_what_came_of_it(folder):
    events = [answered(number, failed=number % 50 == 0) for number in range(LEAST)]
    write(folder, events, (label, worth))
    write(folder, [answered(5, arm=Arm.CHALLENGER), answered(6, model="other")])
    found = gathered(folder)
    assert len(found) == LEAST
    assert found.requests.failed.sum() == LEAST // 50
    assert (found.requests.latency == 20_000).all()
    assert (found.loss == LOSS_STEPS).sum() == LEAST // 10
    assert (found.loss >= 0).all()
    assert len(set(found.value.tolist())) == 1
    assert found.value[0] > 0
    assert found.requests.category[1] == 1
    assert found.requests.score[1] == pytest.approx(0.07)


def test_gather_orders_by_time_across_writers(folder):
    write(folder, [answered(number, latency=number) for number in range(1, 2 * LEAST, 2)])
    write(folder, [answered(number, latency=number) for number in range(0, 2 * LEAST, 2)])
    found = gathered(folder)
    assert found.requests.latency.tolist() == list(range(2 * LEAST))
    assert (found.loss == -1).all()


def test_gather_keeps_the_newest(folder, monkeypatch):
    monkeypatch.setattr(recorded, "MOST", LEAST)
    write(folder, [answered(number, latency=number) for number in range(3 * LEAST)])
    assert gathered(folder).requests.latency[0] == 2 * LEAST


def test_gather_refuses_too_little(folder):
    write(folder, [answered(number) for number in range(LEAST - 1)])
    with pytest.raises(Conflict, match="999 requests"):
        gathered(folder)
    with pytest.raises(Conflict, match="0 requests"):
        recorded.gather(PLAN, ())


def test_draws_are_shared_within_an_entity():
    units = np.array([0, 7, 7, 0, -3, 7])
    found = recorded.draws(np.random.default_rng(1), units)
    assert found[1] == found[2] == found[5]
    assert len(set(found.tolist())) == 4


def test_one_run_splits_anew_each_time_and_finds_nothing_in_quiet_traffic(folder):
    write(folder, [answered(number) for number in range(LEAST)], (label,))
    found = gathered(folder)
    thresholds = rules.Thresholds.of(found.requests)
    runs = [
        recorded.one_run(PLAN, found, thresholds, np.random.default_rng(seed)) for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    live = [rail for rail in PLAN.guardrails if rail.kind not in judging.SHADOW]
    assert len(runs[0]) == len(live) + 1 + len(rules.OTHERS)
    assert np.isinf(runs[0][: len(live)]).all()


def test_claim_of_a_plan_by_entity_counts_first_failures(folder):
    plan = judging.make_plan(DeploymentSpec(model="m", challenger="2", unit="entity"))
    # One entity fails always: by request that would be harm, by entity it is one event.
    events = [
        answered(number, unit=1 + number % 40, failed=number % 40 == 0) for number in range(LEAST)
    ]
    write(folder, events)
    found = gathered(folder, plan)
    claim = recorded.claim(MODEL, plan, found, "The default plan")
    assert "last 1,000 requests" in claim.statement
    with Runner(3, processes=0) as runner:
        measured = claim.prove(runner, 30)
    assert measured.bars[0].figure == 0.0
    assert measured.bars[0].limit == pytest.approx(
        sum(rail.alpha for rail in plan.guardrails if rail.kind not in judging.SHADOW)
    )
    assert measured.notes["the traffic"]["failed"] == pytest.approx(1 / 40)
