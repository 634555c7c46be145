"""Pairs: whose answer is whose, and what is noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery import samples
from tests.delivery.samples import answered, assigned, table

from serinus.delivery.types import Deployment, DeploymentSpec, Plan
from serinus.delivery.verdicts import evidence as ev
from serinus.delivery.verdicts import fold, measure, pairs
from serinus.delivery.verdicts.evidence import Measure, Sight
from serinus.delivery.verdicts.fold import LABEL, Facts, Gathered, mature
from serinus.delivery.verdicts.pairs import BEFORE, Flip, Halves, Pair
from serinus.delivery.verdicts.watch import UNSEEN
from serinus.wire import Arm, Event, Failure, Output, Shadow

Records = list[tuple[bytes, Event]]

SUBJECT = samples.deployment()
SOAK = len(SUBJECT.plan.steps)
OUTPUTS = st.none() | st.builds(Output, st.sampled_from([0, 1, "a", 2.5]))
FLIPS = st.builds(Flip, st.integers(0, 10), st.just(0.0), st.booleans())
HALVES = st.dictionaries(st.sampled_from([b"a", b"b", b"c", b"d"]), FLIPS)


def event(step: int, version: str, first: Output | None, second: Output | None) -> Shadow:
    return Shadow(1, b"p", assigned(Arm.SHADOW, step=step), version, first, second, 5)


@given(OUTPUTS, OUTPUTS, st.sampled_from([BEFORE, ev.SOAK]))
def test_pair_turned_twice_is_itself(
    one: Output | None, other: Output | None, share: float
) -> None:
    pair = Pair(one, other, share)
    assert pair.turned().turned() == pair
    assert pair.turned().failures == -pair.failures
    assert pair.turned().share != share


@pytest.mark.parametrize(
    ("step", "version", "turned"),
    [
        (0, "1.1.0", False),
        (SOAK - 1, "1.1.0", False),
        (SOAK, "1.0.0", True),
        (SOAK + 1, "1.0.0", True),
        # Neither of the two roles: it is told as it was before.
        (SOAK, "1.1.0", False),
        (SOAK - 1, "1.0.0", False),
    ],
)
def test_pair_of_turns_in_the_soak_alone(step: int, version: str, turned: bool) -> None:
    pair = pairs.pair_of(SUBJECT, event(step, version, Output(1), None))
    plain = Pair(Output(1), None, BEFORE)
    assert pair == (plain.turned() if turned else plain)


@given(OUTPUTS, OUTPUTS)
def test_flip_of_is_the_same_whichever_answered_first(
    one: Output | None, other: Output | None
) -> None:
    plan = SUBJECT.plan
    assert pairs.flip_of(plan, event(0, "1.1.0", one, other)) == pairs.flip_of(
        plan, event(0, "1.1.0", other, one)
    )


@given(HALVES, HALVES)
def test_join_counts_each_request_with_both_halves_once(
    challenger: dict[bytes, Flip], clone: dict[bytes, Flip]
) -> None:
    halves = Halves(dict(challenger), dict(clone))
    both = challenger.keys() & clone.keys()
    sights = halves.join()
    assert ev.count(sights).total(Measure.PAIR_FLOOR) == len(both)
    assert halves.join() == []
    assert set(halves.challenger) == set(challenger) - both
    assert set(halves.clone) == set(clone) - both


def disagreement(plan: Plan, rng: np.random.Generator, noise: float, real: float) -> float:
    """Log odds that the challenger differs too often, after 4,000 requests answered three times.

    Each answer is the right one but for noise of its own; the challenger differs by ``real`` more.
    """
    n = 4_000
    first, again, other = (rng.random(n) < noise for _ in range(3))
    flip = (first ^ other) ^ (rng.random(n) < real)
    level = 2 * flip + (first ^ again)
    counts = np.bincount(level, minlength=4)
    rail = next(rail for rail in plan.guardrails if rail.kind == "disagreement")
    found = samples.table(Measure.PAIR_FLOOR, challenger=counts.tolist())
    return float(measure.log_harm(plan, rail, found.tables)) - float(np.log(1 / rail.alpha))


def test_disagreement_forgives_the_champions_own_noise_and_nothing_more() -> None:
    plan = samples.full_plan(disagreement=0.01)
    rng = np.random.default_rng(3)
    twins = [disagreement(plan, rng, 0.02, 0.0) for _ in range(40)]
    worse = [disagreement(plan, rng, 0.02, 0.04) for _ in range(40)]
    assert max(twins) < 0
    assert sum(log_e > 0 for log_e in worse) >= 36


# ------------------------------------------------------------------ in the fold


def live(**fields: object) -> Deployment:
    spec = DeploymentSpec(model="fraud", challenger="1.1.0", **fields)  # type: ignore[arg-type]
    return samples.deployment(spec)


def gather(records: Records, subject: Deployment) -> Gathered:
    found, _ = fold.sort(records, {subject.id: subject})
    return fold.gather(subject, found[subject.id], UNSEEN, {})


def shadowed(champion: Output, challenger: Output) -> Shadow:
    return Shadow(1_500, b"p1", assigned(Arm.SHADOW, step=0), "1.1.0", champion, challenger, 9)


def cloned(champion: Output | None, again: Output | None, request: bytes = b"p1") -> Shadow:
    return Shadow(
        1_600, request, assigned(Arm.CLONE, share=0.0, step=0), "1.0.0", champion, again, 9
    )


def test_gather_in_the_soak_turns_the_roles_of_a_pair_round() -> None:
    subject = live(**samples.EVERYTHING)
    soak = len(subject.plan.steps)
    of_soak = assigned(Arm.SHADOW, share=0.0, step=soak)
    # The new version failed a request that the former champion could answer.
    failed = Shadow(1_500, b"p1", of_soak, "1.0.0", None, Output(1), 9)
    flipped = Shadow(1_600, b"p2", of_soak, "1.0.0", Output(0), Output(1), 9)
    again = Shadow(1_700, b"p2", assigned(Arm.CLONE, step=soak), "1.1.0", Output(0), Output(0), 9)
    found = gather([(b"s1", failed), (b"s2", flipped), (b"c2", again)], subject)
    assert found.evidence == (
        table(Measure.PAIR_ERROR, ev.SOAK, challenger=[0, 1, 1])
        + table(Measure.PAIR_FLIP, ev.SOAK, challenger=[0, 1])
        + table(Measure.PAIR_FLOOR, ev.SOAK, challenger=[0, 0, 1])
        + table(Measure.STEP, challenger=[*[0] * soak, 2])
    )
    assert found.labels.asked == {b"p2": (1_600, Facts(Arm.SHADOW, ev.SOAK, 0, 1))}
    sights = mature(subject.plan, LABEL, Facts(Arm.SHADOW, ev.SOAK, 0, 1), 1)
    assert sights[1] == Sight(Measure.PAIR_LOSS, ev.SOAK, Arm.SHADOW, 2 * ev.LOSS_STEPS)


def test_gather_in_the_soak_charges_whom_the_former_champion_stood_in_for() -> None:
    subject = live()
    of_soak = assigned(Arm.CHAMPION, share=0.0, step=len(subject.plan.steps))
    stood_in = answered(of_soak, version="1.0.0", fallback="boom")
    neither = Failure(1_000, of_soak, "1.0.0", "boom", 10, "boom")
    found = gather([(b"p1", stood_in), (b"p2", neither)], subject)
    assert found.evidence.total(Measure.ERROR, Arm.CHALLENGER, 1) == 2


@pytest.mark.parametrize("clone_first", [True, False])
def test_gather_joins_what_was_answered_twice_in_any_order(clone_first: bool) -> None:
    subject = live(disagreement=0.3)
    records: Records = [
        (b"s1", shadowed(Output(0), Output(1))),
        (b"c1", cloned(Output(0), Output(0))),
    ]
    found = gather(records[::-1] if clone_first else records, subject)
    assert found.evidence.tables[Measure.PAIR_FLOOR][0.0].tolist()[1] == [0, 0, 1]
    assert found.halves == Halves()


def test_gather_keeps_the_halves_that_do_not_meet() -> None:
    subject = live(disagreement=0.3)
    records: Records = [
        (b"s1", shadowed(Output(0), Output(1))),
        (b"c2", cloned(Output(0), Output(1), request=b"p2")),
        (b"c3", cloned(Output(0), None, request=b"p3")),  # it failed: nothing to compare
    ]
    found = gather(records, subject)
    assert found.halves == Halves({b"p1": Flip(1_500, 0.0, True)}, {b"p2": Flip(1_600, 0.0, True)})
    assert not found.evidence.total(Measure.PAIR_FLOOR)
    # Nobody asks how often the two differ, or clones were not asked for: nothing waits.
    for other in (live(), live(disagreement=0.3, clone=0.0)):
        found = gather(records, other)
        assert found.halves == Halves()
        assert found.evidence.total(Measure.PAIR_ERROR) == 1
