import pytest

from serinus.bench import fold
from serinus.delivery.evidence import Measure
from serinus.errors import InvalidInput


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
    assert report.fold_seconds * 1_000_000 / report.events < 30
    assert report.verdict_ms < 20
    assert report.evidence_bytes_at_a_billion <= 8192 * report.guardrails
    assert f"{report.events:,} events into evidence" in str(report)


def test_predictions_are_what_a_ramp_would_write():
    subject = fold.deployment()
    found, _ = fold.fold.sort(fold.predictions(4_000), {subject.id: subject})
    gathered = fold.fold.gather(subject, found[subject.id], fold.watch.UNSEEN, {})
    tables = gathered.evidence.tables[Measure.ERROR]
    assert set(tables) == set(fold.SHARES)
    for share, counts in tables.items():
        assert counts.sum() == 1_000
        assert counts[1].sum() == pytest.approx(1_000 * share, abs=80)
