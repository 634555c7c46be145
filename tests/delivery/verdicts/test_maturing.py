"""What comes of requests that waited: losses, differences of pairs, values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery import samples
from tests.delivery.samples import NUMBERS

from serinus.delivery.planning.plan import Basis
from serinus.delivery.types import Deployment, DeploymentSpec, Plan
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts.evidence import Measure, Sight
from serinus.delivery.verdicts.fold import LABEL, VALUE, Facts, mature
from serinus.wire import (
    Answer,
    Arm,
)


def live(basis: Basis = samples.BASIS, **fields: object) -> Deployment:
    spec = DeploymentSpec(model="fraud", challenger="1.1.0", **fields)  # type: ignore[arg-type]
    return samples.deployment(spec, basis=basis)


def test_mature_gives_losses_and_coverage() -> None:
    plan = live().plan
    wrong = mature(plan, LABEL, Facts(Arm.CHALLENGER, 0.25, 1), 0)
    assert wrong == [
        Sight(Measure.MATURED, 0.0, Arm.CHALLENGER, 1),
        Sight(Measure.LOSS, 0.25, Arm.CHALLENGER, ev.LOSS_STEPS),
    ]
    assert mature(plan, LABEL, Facts(Arm.CHALLENGER, 0.25, 1), None) == [
        Sight(Measure.MATURED, 0.0, Arm.CHALLENGER, 0)
    ]


@pytest.mark.parametrize(
    ("challenger", "champion", "difference"), [(1, 0, 0), (0, 1, 64), (1, 1, 32), (None, 1, 64)]
)
def test_mature_compares_a_pair(challenger: int | None, champion: int, difference: int) -> None:
    plan = live().plan
    sights = mature(plan, LABEL, Facts(Arm.SHADOW, 0.0, challenger, champion), 1)
    assert sights == [
        Sight(Measure.PAIR_MATURED, 0.0, Arm.SHADOW, 1),
        Sight(Measure.PAIR_LOSS, 0.0, Arm.SHADOW, difference),
    ]


@pytest.mark.parametrize(
    ("outcome", "level"), [(5.0, 16), (None, 0), (99.0, 32), (math.nan, 0), (-math.inf, 0)]
)
def test_mature_takes_a_value_that_never_came_for_nothing(
    outcome: float | None, level: int
) -> None:
    plan = live(**samples.EVERYTHING).plan
    facts = Facts(Arm.CHAMPION, 0.25, 1)
    assert mature(plan, VALUE, facts, outcome) == [Sight(Measure.VALUE, 0.25, Arm.CHAMPION, level)]
    assert mature(live().plan, VALUE, facts, outcome) == []


SCALES: dict[str, Plan] = {"classes": live().plan, "numbers": live(NUMBERS).plan}
ANSWERS: st.SearchStrategy[Answer] = st.one_of(
    st.floats(), st.integers(), st.text(max_size=3), st.booleans()
)


@pytest.mark.parametrize("task", SCALES)
@given(mine=st.none() | ANSWERS, theirs=ANSWERS, truth=ANSWERS)
def test_mature_of_whatever_was_answered_and_told_stays_on_the_scale(
    task: str, mine: Answer | None, theirs: Answer, truth: Answer
) -> None:
    for facts in (Facts(Arm.SHADOW, 0.0, mine, theirs), Facts(Arm.CHALLENGER, 0.5, mine)):
        came, loss = mature(SCALES[task], LABEL, facts, truth)
        assert came.level == 1
        assert 0 <= loss.level <= (64 if facts.arm is Arm.SHADOW else 32)
