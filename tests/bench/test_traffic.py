from collections import Counter

import pytest

from serinus.bench import traffic
from serinus.delivery.verdicts import fold, watch
from serinus.delivery.verdicts.evidence import Measure
from serinus.wire import Arm, Label, Prediction, Shadow, Value


def test_predictions_are_what_a_ramp_would_write():
    subject = traffic.deployment()
    found, _ = fold.sort(traffic.predictions(4_000), {subject.id: subject})
    gathered = fold.gather(subject, found[subject.id], watch.UNSEEN, {})
    tables = gathered.evidence.tables[Measure.ERROR]
    assert set(tables) == set(traffic.SHARES)
    for share, counts in tables.items():
        assert counts.sum() == 1_000
        assert counts[1].sum() == pytest.approx(1_000 * share, abs=80)


def test_rollout_is_a_mirror_step_and_a_ramp_with_what_came_of_them():
    found = traffic.rollout(42_000)
    kinds = Counter(type(event) for _, event in found)
    assert len(found) == pytest.approx(42_000, rel=0.01)
    assert kinds[Prediction] == 20_000
    assert kinds[Shadow] == 4_000
    assert kinds[Label] == pytest.approx(10_000, abs=400)
    assert kinds[Value] == pytest.approx(8_000, abs=400)
    assert len({identity for identity, _ in found}) == len(found)
    asked: dict[bytes, Prediction] = {}
    for identity, event in found:
        if isinstance(event, Prediction):
            asked[identity] = event
        else:
            of = asked[event.prediction]  # nothing comes before what it is of
            assert event.assignment == of.assignment
            assert isinstance(event, Label) or (of.assignment.share == 0) == isinstance(
                event, Shadow
            )


def test_rollout_feeds_every_guardrail():
    subject = traffic.deployment(**traffic.EVERYTHING)
    found, _ = fold.sort(traffic.rollout(4_000), {subject.id: subject})
    gathered = fold.gather(subject, found[subject.id], watch.UNSEEN, {})
    assert {Measure.SCORE, Measure.CLASS, Measure.LATENCY, Measure.PAIR_FLIP} <= set(
        gathered.evidence.tables
    )
    for waiting in (gathered.labels, gathered.values):
        both = set(waiting.asked) & set(waiting.told)
        arms = {waiting.asked[identity][1].arm for identity in both}
        assert {Arm.CHAMPION, Arm.CHALLENGER} <= arms
