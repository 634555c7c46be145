"""What each event adds to the evidence."""

from datetime import UTC, datetime

import pytest

from serinus.delivery import evidence as ev
from serinus.delivery.evidence import Cell, Measure
from serinus.delivery.fold import Facts, harvest, mature
from serinus.delivery.plan import make_plan, quality_scale
from serinus.delivery.types import Deployment, DeploymentSpec, Outcome, Phase
from serinus.wire import Arm, Assignment, Failure, Label, Output, Prediction, Shadow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCALE = quality_scale("classification", {"accuracy": 0.9})


def live(**spec: object) -> dict[str, Deployment]:
    asked = DeploymentSpec(model="fraud", challenger="1.1.0", **spec)  # type: ignore[arg-type]
    plan = make_plan(asked, salt="d1", quality=SCALE, first=False)
    deployment = Deployment(
        "d1", "fraud", "1.0.0", "1.1.0", "canary", asked, plan, "hash", Phase.RUNNING, 1, NOW,
        Outcome.NO_DATA, "", "test", NOW, NOW, None,
    )  # fmt: skip
    return {"d1": deployment}


def assigned(
    arm: Arm = Arm.CHALLENGER, *, share: float = 0.25, unit: int = 0, deployment: str = "d1"
) -> Assignment:
    return Assignment("fraud", arm, share, 7, deployment, 1, unit)


def answered(assignment: Assignment, *, fallback: str = "") -> Prediction:
    return Prediction(1_000, assignment, "1.1.0", (1.0,), Output(1), 500, fallback)


def cell(measure: Measure, level: int, arm: Arm = Arm.CHALLENGER, share: float = 0.0) -> Cell:
    return Cell(measure, share, arm, level)


def test_harvest_counts_an_answer_and_waits_for_its_label() -> None:
    found = harvest([(b"p1", answered(assigned()))], live())
    assert found.cells["d1"] == [cell(Measure.ERROR, 0, share=0.25), cell(Measure.STEP, 1)]
    assert found.waiting["d1", b"p1"].facts == Facts(Arm.CHALLENGER, 0.25, 1)


def test_harvest_charges_a_fallback_to_the_arm_that_failed() -> None:
    found = harvest([(b"p1", answered(assigned(), fallback="ValueError"))], live())
    assert found.cells["d1"][0] == cell(Measure.ERROR, 1, share=0.25)
    facts = found.waiting["d1", b"p1"].facts
    assert facts is not None
    assert facts.answer is None


def test_harvest_counts_an_unanswered_request_as_a_failure() -> None:
    failure = Failure(1_000, assigned(Arm.CHAMPION), "1.0.0", "boom", 10)
    found = harvest([(b"f", failure)], live())
    assert found.cells["d1"][0] == cell(Measure.ERROR, 1, Arm.CHAMPION, 0.25)
    entry = found.waiting["d1", b"f"]
    assert entry.facts == Facts(Arm.CHAMPION, 0.25, None)
    assert entry.label is not None  # wrong whatever the truth: it waits for no label


@pytest.mark.parametrize(
    "assignment", [assigned(deployment=""), assigned(deployment="d0"), assigned(share=0.0)]
)
def test_harvest_ignores_requests_that_no_draw_assigned(assignment: Assignment) -> None:
    found = harvest([(b"p1", answered(assignment))], live())
    assert not found.cells
    assert not found.waiting


def test_harvest_pairs_a_shadow_answer_with_the_champions() -> None:
    shadow = Shadow(
        1_500, b"p1", assigned(Arm.CHAMPION, share=0.0), "1.1.0", Output(0), Output(1), 9
    )
    found = harvest([(b"s1", shadow)], live())
    assert found.cells["d1"][0] == cell(Measure.PAIR_ERROR, 0, Arm.SHADOW)
    assert found.waiting["d1", b"p1"].facts == Facts(Arm.SHADOW, 0.0, 1, 0)


@pytest.mark.parametrize(
    ("champion", "challenger", "difference"),
    [(Output(0), None, 1), (None, Output(1), -1), (None, None, 0)],
)
def test_harvest_compares_the_failures_of_a_pair(
    champion: Output | None, challenger: Output | None, difference: int
) -> None:
    assignment = assigned(Arm.CHAMPION, share=0.0)
    shadow = Shadow(1_500, b"p1", assignment, "1.1.0", champion, challenger, 9, "boom")
    found = harvest([(b"s1", shadow)], live())
    assert found.cells["d1"][0] == cell(Measure.PAIR_ERROR, difference, Arm.SHADOW)
    assert not found.waiting  # quality is compared where both answered


def test_harvest_takes_the_first_label_and_one_that_comes_early() -> None:
    labels = [
        (name, Label(2_000, b"p9", value, 1_000, assigned(), "1.1.0", Output(1)))
        for name, value in ((b"l1", 1), (b"l2", 0))
    ]
    entry = harvest(labels, live()).waiting["d1", b"p9"]
    assert (entry.label, entry.facts, entry.predicted_at) == (1, None, 1_000)


def test_harvest_counts_an_entity_once() -> None:
    records = [
        (name, answered(assigned(unit=unit))) for name, unit in ((b"p1", 5), (b"p2", 5), (b"p3", 6))
    ]
    found = harvest(records, live(unit="entity"))
    assert set(found.units["d1"]) == {5, 6}
    assert {key[1] for key in found.waiting} == {b"p1", b"p3"}


def test_harvest_counts_every_request_where_the_request_is_the_unit() -> None:
    records = [(name, answered(assigned(unit=5))) for name in (b"p1", b"p2")]
    assert len(harvest(records, live()).cells["d1"]) == 4


def test_mature_gives_losses_and_coverage() -> None:
    wrong = mature(SCALE, Facts(Arm.CHALLENGER, 0.25, 1), 0)
    assert wrong == [
        cell(Measure.MATURED, 1),
        Cell(Measure.LOSS, 0.25, Arm.CHALLENGER, ev.LOSS_STEPS),
    ]
    assert mature(SCALE, Facts(Arm.CHALLENGER, 0.25, 1), None) == [cell(Measure.MATURED, 0)]


@pytest.mark.parametrize(
    ("challenger", "champion", "difference"), [(1, 0, -32), (0, 1, 32), (1, 1, 0), (None, 1, 32)]
)
def test_mature_compares_a_pair(challenger: int | None, champion: int, difference: int) -> None:
    cells = mature(SCALE, Facts(Arm.SHADOW, 0.0, challenger, champion), 1)
    assert cells[1] == Cell(Measure.PAIR_LOSS, 0.0, Arm.SHADOW, difference)


def test_harvest_counts_a_mirrored_entity_once_and_apart_from_live_ones() -> None:
    shadows = [
        (name, Shadow(1, name, assigned(Arm.SHADOW, unit=5), "1.1.0", Output(0), Output(1), 9))
        for name in (b"s1", b"s2")
    ]
    found = harvest([*shadows, (b"p1", answered(assigned(unit=5)))], live(unit="entity"))
    assert len(found.units["d1"]) == 2
    assert {key[1] for key in found.waiting} == {b"s1", b"p1"}
