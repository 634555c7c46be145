from collections import Counter

import pytest

from serinus.bench import fold, traffic
from serinus.delivery.verdicts.evidence import Measure
from serinus.errors import InvalidInput
from serinus.wire import Label, Shadow, Value


@pytest.mark.parametrize("wrong", [{"events": 0}, {"stored": -1}])
def test_run_refuses_numbers_of_no_sense(wrong):
    with pytest.raises(InvalidInput) as caught:
        fold.run(**wrong)
    assert caught.value.where in wrong


def test_run_measures_all_guardrails_on_real_work():
    report = fold.run(events=4_000, stored=50)
    assert report.guardrails == 11
    assert report.fold_seconds > 0
    assert report.stored_us_a_request > 0
    # Ten times the bars: whether they are met is for the benchmark on a quiet machine.
    assert report.seconds_a_million < 30
    parts = report.requests + report.pairs + report.labels + report.values
    assert parts == report.events
    assert report.verdict_ms < 20
    assert report.evidence_bytes_at_a_billion <= 8192 * report.guardrails
    assert f"{report.events:,} events into evidence" in str(report)


def test_in_memory_folds_what_the_labels_and_values_say():
    subject = traffic.deployment(**traffic.EVERYTHING)
    told = traffic.rollout(30_000)
    evidence, _ = fold._in_memory(subject, told)
    kinds = Counter(type(event) for _, event in told)
    assert evidence.total(Measure.PAIR_ERROR) == kinds[Shadow]
    assert evidence.total(Measure.TOLD, level=0) == kinds[Label]
    assert evidence.total(Measure.VALUE) == kinds[Value]
    # A failure is wrong without a label as well.
    labelled = evidence.total(Measure.MATURED) + evidence.total(Measure.PAIR_MATURED)
    assert kinds[Label] <= labelled <= 1.02 * kinds[Label]
