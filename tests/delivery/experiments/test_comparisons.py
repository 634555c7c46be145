"""Several challengers as comparisons of two: shares, evidence, error probabilities."""

from __future__ import annotations

import msgspec
import pytest
from tests.delivery.samples import answered, assigned, deployment

from serinus.delivery.experiments import comparisons
from serinus.delivery.types import Deployment, DeploymentSpec, Phase
from serinus.wire import Arm, Assignment, Event, WorkerStatus


def trial(*others: str, **changes: object) -> Deployment:
    spec = DeploymentSpec(model="fraud", challenger="1.1.0", strategy="ab_test", others=others)
    return deployment(spec, **changes)


def drawn(arm: Arm, variant: int = 0, step: int = 0) -> Assignment:
    plain = assigned(arm, share=0.2, step=step)
    return msgspec.structs.replace(plain, variant=variant, shares=(0.2, 0.3))


def test_one_challenger_is_the_deployment_itself() -> None:
    only = trial()
    records: list[tuple[bytes, Event]] = [(b"1", answered(assigned()))]
    assert comparisons.of(only) == {0: only}
    assert comparisons.project(records, [only]) == (records, [only])


def test_each_of_several_has_a_part_of_the_error_probability() -> None:
    several = trial("1.2.0")
    parts = comparisons.of(several)
    assert [part.id for part in parts.values()] == ["d1", "d1+1"]
    assert [part.challenger for part in parts.values()] == ["1.1.0", "1.2.0"]
    for part in parts.values():
        for mine, whole in zip(part.plan.guardrails, several.plan.guardrails, strict=True):
            assert mine.alpha == pytest.approx(whole.alpha / 2)


def test_champions_requests_are_everybodys_and_a_challengers_its_own() -> None:
    several = trial("1.2.0")
    status = WorkerStatus(1, "w1", 1, (), {})
    records: list[tuple[bytes, Event]] = [
        (b"0", answered(drawn(Arm.CHAMPION))),
        (b"1", answered(drawn(Arm.CHALLENGER, 0))),
        (b"2", answered(drawn(Arm.CHALLENGER, 1))),
        (b"3", status),
    ]
    found, judged = comparisons.project(records, [several])
    assert [part.id for part in judged] == ["d1", "d1+1"]
    told = [
        (identity, event.assignment.deployment, round(event.assignment.share, 6))
        for identity, event in found
        if not isinstance(event, WorkerStatus)
    ]
    first, second = round(0.2 / 0.7, 6), 0.375
    assert told == [
        (b"0", "d1", first),
        (b"0", "d1+1", second),
        (b"1", "d1", first),
        (b"2", "d1+1", second),
    ]
    assert found[-1] == (b"3", status)


def test_dropped_challenger_learns_nothing_more() -> None:
    gone = msgspec.structs.replace(drawn(Arm.CHAMPION), shares=(0.0, 0.3))
    found, _ = comparisons.project([(b"0", answered(gone))], [trial("1.2.0")])
    told = [
        event.assignment.deployment for _, event in found if not isinstance(event, WorkerStatus)
    ]
    assert told == ["d1+1"]


def test_soak_is_the_winners_alone() -> None:
    soaking = trial("1.2.0", challenger="1.2.0", phase=Phase.SOAKING, step=1)
    assert {place: part.id for place, part in comparisons.of(soaking).items()} == {1: "d1"}
    found, _ = comparisons.project([(b"0", answered(drawn(Arm.CHAMPION, step=1)))], [soaking])
    assert len(found) == 1
