"""Another policy on a record of pairs: its gates, then all that was recorded later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pytest
from tests.delivery.samples import NOON, plan_of

from serinus.delivery.folding.whatif import Decided, Moment, decide
from serinus.delivery.types import Outcome
from serinus.delivery.verdicts.evidence import SOAK, Evidence, Measure

BATCH, SECONDS = 100, 10


def record(steps: int, soak: int = 0, *, worse_after: int = 1_000_000) -> Iterator[Moment]:
    """Batches of a hundred pairs every ten seconds; from some batch on every pair is worse."""
    counts = {0.0: np.zeros((2, 3), np.int64), SOAK: np.zeros((2, 3), np.int64)}
    soaking = NOON + timedelta(seconds=SECONDS * steps)
    for number in range(steps + soak):
        share = SOAK if number >= steps else 0.0
        counts[share][1, 2 if number >= worse_after else 1] += BATCH
        tables = {share: table.copy() for share, table in counts.items() if table.any()}
        at = NOON + timedelta(seconds=SECONDS * (number + 1))
        evidence = Evidence({Measure.PAIR_ERROR: tables})
        yield Moment(at, evidence, soaking if number >= steps else None)


def under(told: Iterator[Moment], **policy: object) -> Decided:
    """What a plan of one mirrored step decides, which asks for a thousand pairs."""
    asked = {"strategy": "blue_green", "labels": False, "min_requests": 1_000, **policy}
    return decide(NOON, plan_of(**asked), told)


def test_harm_in_the_recorded_soak_is_harm_under_the_other_policy() -> None:
    found = under(record(10, 30, worse_after=20))

    assert found.outcome is Outcome.ROLLBACK
    assert [gate.requests for gate in found.passed] == [1_000]
    assert 2_000 < found.requests < 3_000
    assert found.at == NOON + timedelta(seconds=found.requests / BATCH * SECONDS)
    assert "Errors in shadow and soak" in found.reason
    soaked = f"{found.requests - 1_000:,} requests and pairs of the recorded soak"
    assert found.compared == (
        "Judged under it after its promotion: "
        f"{soaked}, which were the challenger's under both. They prove harm."
    )


def test_soak_without_harm_leaves_the_promotion() -> None:
    found = under(record(10, 30))

    assert (found.outcome, found.requests) == (Outcome.PROMOTE, 1_000)
    assert "3,000 requests and pairs of the recorded soak" in found.compared
    assert found.compared.endswith("They prove no harm.")


def test_promotion_sooner_than_the_record_is_judged_by_its_further_steps_as_well() -> None:
    found = under(record(20, 30, worse_after=30), soak_seconds=60.0)

    assert found.outcome is Outcome.PROMOTE
    assert found.compared.startswith("The other policy promotes sooner than the record did.")
    assert "1,000 requests and pairs of the record's further steps" in found.compared
    # Its soak is over after six batches, and harm came after ten.
    assert "600 requests and pairs of the recorded soak" in found.compared
    assert "2,400 requests and pairs came later than its soak is long" in found.compared
    assert found.compared.endswith("from its promotion on cannot be known.")
    longer = under(record(20, 30, worse_after=30), soak_seconds=150.0)
    assert longer.outcome is Outcome.ROLLBACK
    assert "Its own soak of 150 s would have been over by then" in longer.compared


def test_promotion_later_than_the_record_is_judged_by_what_came_after() -> None:
    found = under(record(4, 30, worse_after=20))

    assert found.outcome is Outcome.ROLLBACK
    assert "later than the record did: its gates asked 600 requests and pairs" in found.compared
    assert f"{found.requests - 1_000:,} requests and pairs of the recorded soak" in found.compared


def test_soak_before_the_gates_are_passed_is_said_to_have_had_other_traffic() -> None:
    found = under(record(4, 3))

    assert found.outcome is Outcome.CONTINUE
    assert found.compared.startswith("300 requests and pairs of these came in the recorded soak")
    assert under(record(4)).compared == ""


@pytest.mark.parametrize(
    ("told", "policy", "words"),
    [
        ((10, 0), {}, "No request was recorded after its promotion"),
        ((10, 5), {"soak_seconds": 0.0}, "It has no soak: 500 requests and pairs"),
    ],
    ids=["no_record", "no_soak"],
)
def test_what_was_not_judged_is_said(
    told: tuple[int, int], policy: dict[str, object], words: str
) -> None:
    found = under(record(*told), **policy)

    assert found.outcome is Outcome.PROMOTE
    assert words in found.compared


def test_plan_that_promotes_nothing_has_nothing_to_soak() -> None:
    found = under(record(10, 30, worse_after=20), strategy="shadow")

    assert (found.outcome, found.requests, found.compared) == (Outcome.PROMOTE, 1_000, "")


def test_labels_that_prove_harm_after_the_promotion_are_said_to_be_late() -> None:
    """No further request came, but what is true of a thousand former ones."""
    (*_, passed) = record(20)
    losses, came = np.zeros((2, 65), np.int64), np.zeros((2, 2), np.int64)
    moments = []
    for level, labelled in ((32, 2_000), (64, 1_000)):
        losses[1, level] += labelled
        came[1, 1] += labelled
        tables = passed.evidence.tables | {
            Measure.PAIR_LOSS: {0.0: losses.copy()},
            Measure.PAIR_MATURED: {0.0: came.copy()},
        }
        moments.append(Moment(passed.at, Evidence(tables)))

    found = under(iter(moments), labels=True)

    assert [gate.requests for gate in found.passed] == [2_000]
    assert found.outcome is Outcome.ROLLBACK
    assert found.compared == (
        "Judged under it after its promotion: what was told later of the requests before. "
        "They prove harm."
    )
