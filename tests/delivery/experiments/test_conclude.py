"""From findings to one sentence: what is recommended when, and what is told beside it."""

from __future__ import annotations

import numpy as np
import pytest
from tests.delivery.experiments.trials import design, folded, question, settled

from serinus.delivery.experiments import conclude
from serinus.delivery.experiments.fold import Settled
from serinus.delivery.experiments.sums import Sums
from serinus.delivery.experiments.types import Action, Design, Evaluation, Progress, View


def traffic(rates: tuple[float, ...], count: int, **fields: object) -> list[Settled]:
    rng = np.random.default_rng(1)
    return [
        settled(n, arm := n % len(rates), right=rng.random() < rates[arm], **fields)  # type: ignore[arg-type]
        for n in range(count)
    ]


def evaluated(
    sums: Sums, asked: Design | None = None, dropped: dict[int, str] | None = None
) -> Evaluation:
    asked = asked or design()
    out = dropped or {}
    return conclude.evaluate(
        ("d1", "fraud"), question(asked, dropped=list(out)), sums, asked.shares, out
    )


def test_before_the_end_it_says_until_when_to_go_on() -> None:
    found = evaluated(folded(traffic((0.8, 0.8), 300)))
    assert found.view is View.BEFORE_THE_END
    assert found.recommendation.action is Action.GO_ON
    assert found.progress.due is not None
    assert f"{found.progress.due:%F %H:%M}" in found.recommendation.sentence
    assert "300 of 1,200 units" in found.validity
    assert "look 3 of 11" in found.validity


def test_proof_before_the_end_may_be_promoted() -> None:
    found = evaluated(folded(traffic((0.5, 0.9), 900)))
    assert (found.view, found.winner) == (View.BEFORE_THE_END, "1.1.0")
    assert "may be promoted before the planned end" in found.recommendation.sentence


def test_winner_at_the_end_is_promoted_with_its_p_value() -> None:
    found = evaluated(folded(traffic((0.7, 0.8), 1_200)))
    assert (found.view, found.winner) == (View.AT_THE_END, "1.1.0")
    assert found.recommendation.action is Action.PROMOTE
    assert "p = " in found.recommendation.sentence
    assert found.significant


def test_worse_challenger_keeps_the_champion() -> None:
    found = evaluated(folded(traffic((0.9, 0.7), 1_200)))
    assert found.recommendation.action is Action.KEEP
    assert found.winner is None
    assert found.significant


def test_no_proof_says_how_large_a_difference_is_excluded() -> None:
    found = evaluated(folded(traffic((0.8, 0.8), 1_200)))
    assert found.recommendation.action is Action.NO_DIFFERENCE
    assert "none is larger than 0." in found.recommendation.sentence


def test_end_without_the_sample_is_told() -> None:
    asked = design(most_seconds=100.0)
    found = evaluated(folded(traffic((0.8, 0.8), 90), asked, through=200_000_000), asked)
    assert found.view is View.AT_THE_END
    assert any("90 of 1,200 units" in note for note in found.notes)


def test_labels_that_differ_by_arm_are_told() -> None:
    items = [settled(n, n % 2, outcome=None if n % 2 and n % 3 == 0 else 1) for n in range(600)]
    found = evaluated(folded(items))
    assert any("Labels in time differ by arm" in note for note in found.notes)


def test_dropped_challenger_is_told_with_its_reason() -> None:
    found = evaluated(folded(traffic((0.8, 0.9), 1_200)), dropped={0: "It failed."})
    assert found.arms[1].dropped == "It failed."
    assert "1.1.0 was dropped: It failed." in found.notes
    assert found.recommendation.action is Action.KEEP


def test_changed_shares_are_told_and_stretches_compared_apart() -> None:
    items = traffic((0.8, 0.8), 400)
    items += [settled(400 + n, n % 2, shares=(0.7,)) for n in range(400)]
    found = evaluated(folded(items))
    assert any("2 stretches" in note for note in found.notes)


def test_nothing_yet_is_no_data() -> None:
    found = evaluated(Sums())
    assert found.findings[0].state == "no_data"
    assert found.progress.share == 0.0
    assert found.arms[0].value is None


def test_covariate_that_one_arm_lacks_more_often_is_not_adjusted_for_and_that_is_told() -> None:
    asked = design(covariate="age")
    items = [settled(n, n % 2, x=None if n % 10 == 1 else float(n % 7)) for n in range(1_200)]
    found = conclude.evaluate(
        ("d1", "fraud"), question(asked, covariate=0), folded(items, asked), asked.shares, {}
    )
    assert found.findings[0].reduction is None
    assert any(note.startswith("age is missing more often in one arm") for note in found.notes)
    whole = [settled(n, n % 2, x=float(n % 7)) for n in range(1_200)]
    found = conclude.evaluate(
        ("d1", "fraud"), question(asked, covariate=0), folded(whole, asked), asked.shares, {}
    )
    assert found.findings[0].reduction is not None
    assert not found.notes


@pytest.mark.parametrize(
    ("passed", "planned", "told"),
    [
        (0.0, 3.0, "0.0 of 3.0 seconds"),
        (35.99, 36.0, "35.9 of 36.0 seconds"),
        (61.0, 600.0, "1.0 of 10.0 minutes"),
        (86_399.0, 86_400.0, "23.9 of 24.0 hours"),
        (86_400.0, 864_000.0, "1.0 of 10.0 days"),
    ],
)
def test_time_that_is_waited_for_is_told_in_its_own_unit(
    passed: float, planned: float, told: str
) -> None:
    asked = question(design(least_seconds=planned, most_seconds=2 * planned, units=10))
    progress = Progress(0, 10, passed, planned, None, None, None)
    assert told in conclude._validity(Sums(), progress, asked, live=True)
