import pytest

from serinus.bench import reaction, traffic
from serinus.errors import InvalidInput
from serinus.ledger.types import Record
from serinus.wire import Arm, Assignment, Output, Prediction


def test_run_refuses_a_number_of_no_sense():
    with pytest.raises(InvalidInput, match="at least 1"):
        reaction.run(0)


def test_run_measures_a_rollback_of_each_kind():
    report = reaction.run(turns=1)
    # Ten times the bars: whether they are met is for the benchmark on a quiet machine.
    assert 0 < report.proven[0] < 10
    assert 0 < report.manual[0] < 3
    assert "from sufficient evidence to 0 %" in str(report)
    assert [bar["at_most"] for bar in report.as_dict()["bars"]] == [1.0, 0.3]


def test_proof_is_the_first_request_that_suffices():
    subject = traffic.deployment(shadow=False, labels=False, shares=(0.5,))
    records = [
        Record(
            number.to_bytes(16, "big"),
            Prediction(
                number,
                Assignment(subject.model, arm, 0.5, 1, subject.id, 0),
                "x",
                (),
                Output(0),
                900,
                "ValueError" if arm is Arm.CHALLENGER else "",
            ),
        )
        for number in range(1, 200)
        for arm in (Arm.CHALLENGER if number % 2 else Arm.CHAMPION,)
    ]
    at = reaction.proven_at(subject, records)
    assert at is not None
    # The proof came with it, and not a request before.
    assert reaction.proven_at(subject, records[:at]) == at
    assert reaction.proven_at(subject, records[: at - 1]) is None
