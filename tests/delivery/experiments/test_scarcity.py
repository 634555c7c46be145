"""Traffic came, and yet nothing is compared: the report and the view say why."""

from __future__ import annotations

import pytest
from tests.delivery.experiments.trials import Floats, design, folded, question, settled

from serinus.delivery.experiments import conclude
from serinus.delivery.experiments import moments as mo
from serinus.delivery.experiments.fold import Settled, Units
from serinus.delivery.experiments.sums import Look, Sums
from serinus.delivery.experiments.types import Action, Design, Evaluation, View

NONE_OF_FEWER = "No version is compared on fewer than 10 equal "


def evaluated(asked: Design, sums: Sums) -> Evaluation:
    return conclude.evaluate(("d1", "fraud"), question(asked), sums, asked.shares, {})


def ended(champion: Floats, challenger: Floats) -> Sums:
    return Sums(
        stretches=[(0.5,)], arms={(0, 0): champion, (0, 1): challenger}, began_at=1, closed_at=2
    )


def of_sizes(*sizes: int) -> Floats:
    return mo.total([0.8 * size for size in sizes], sizes)


EVEN = of_sizes(*[10] * 1_000)
# One sends what it takes for 999 equal ones to be worth seven: somewhat more than half of it all.
UNEVEN = of_sizes(6_000, *[10] * 999)


def test_entity_that_outweighs_all_others_is_why_nothing_is_compared() -> None:
    found = evaluated(design(unit="entity"), ended(EVEN, UNEVEN))
    why = (
        f"{NONE_OF_FEWER}entities. 1.1.0: 1,000 entities, of which the largest outweigh the others "
        "(as if 7)."
    )

    assert found.findings[0].state == "no_data"
    assert found.recommendation.action is Action.KEEP
    assert found.recommendation.sentence == (
        f"Keep 1.0.0: too little came to compare anything. {why}"
    )
    assert why in found.notes


def test_view_before_the_end_says_it_as_well() -> None:
    sums = Sums(
        stretches=[(0.5,)],
        began_at=1,
        looks=[Look(1, 2, {(0, 0): UNEVEN, (0, 1): EVEN})],
    )
    found = evaluated(design(unit="entity"), sums)

    assert found.view is View.BEFORE_THE_END
    assert [note for note in found.notes if "1.0.0: 1,000 entities, of which the largest" in note]
    assert not any("1.1.0: " in note for note in found.notes)


def test_customer_with_half_the_traffic_is_told_from_requests_as_they_come() -> None:
    busiest = 1
    items: list[Settled] = []
    for n in range(360):
        busy = n % 2 == 1
        items.append(settled(n, n % 2, unit=busiest if busy and n % 4 == 1 else 2 + n))
    asked = design(unit="entity", most_seconds=300.0)
    units: Units = {}
    found = evaluated(asked, folded(items, asked, units=units, through=360_000_000))

    assert found.view is View.AT_THE_END
    assert found.arms[1].requests == 150
    assert "1.1.0: 76 entities, of which the largest outweigh the others (as if 3)" in (
        found.recommendation.sentence
    )


@pytest.mark.parametrize(
    ("unit", "metric", "arm", "words"),
    [
        (
            "request", "recall", mo.total([1.0] * 900, [1.0] * 6 + [0.0] * 894),
            "900 requests, of which few say anything of recall of 1 (as if 6)",
        ),
        (
            "entity", "recall", mo.total([1.0] * 900, [9.0] + [1.0] * 6 + [0.0] * 893),
            "900 entities, of which few say anything of recall of 1 or the largest outweigh the "
            "others (as if 2)",
        ),
        (
            "request", "recall", mo.total([0.0] * 900, 0.0),
            "900 requests, of which none says anything of recall of 1",
        ),
        ("request", "accuracy", of_sizes(*[1] * 7), "7 requests"),
        ("entity", "conversion", of_sizes(1), "1 entity"),
    ],
    ids=["rare", "rare_and_uneven", "never", "few", "one"],
)  # fmt: skip
def test_what_is_scarce_is_told_in_its_own_words(
    unit: str, metric: str, arm: Floats, words: str
) -> None:
    asked = design(unit=unit, metric=metric)
    found = evaluated(asked, ended(of_sizes(*[1] * 900), arm))

    assert found.notes[-1].endswith(f". 1.1.0: {words}.")


def test_arm_that_nothing_came_of_and_one_cut_in_stretches() -> None:
    sums = ended(of_sizes(*[1] * 9), of_sizes(*[1] * 9))
    sums.arms[(1, 0)] = of_sizes(*[1] * 8)
    del sums.arms[(0, 1)]
    found = evaluated(design(), sums)

    assert found.notes[-1] == (
        f"{NONE_OF_FEWER}requests. 1.0.0: 9 requests at constant shares; 1.1.0: nothing."
    )


def test_what_is_compared_is_not_said_to_be_scarce() -> None:
    found = evaluated(design(unit="entity"), ended(EVEN, EVEN))

    assert found.findings[0].difference is not None
    assert not any(note.startswith(NONE_OF_FEWER) for note in found.notes)
