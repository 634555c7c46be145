"""What can go wrong is said in sentences, and only where it can."""

from __future__ import annotations

import pytest
from tests.delivery.samples import BASIS

from serinus.delivery.forecast.feasibility import propose
from serinus.delivery.forecast.risks import risks
from serinus.delivery.forecast.types import Duration, Forecast, StepForecast, Traffic
from serinus.delivery.planning.plan import Basis, make_plan
from serinus.delivery.planning.positives import Share
from serinus.delivery.types import DeploymentSpec
from serinus.stats.class_tallies import Tally

SEEN = Traffic(requests=100_000, seconds=86_400.0, labelled=1.0, loss=0.1)
WHOLE = Duration(None, None)


def told(
    *, traffic: Traffic | None = SEEN, first: bool = False, decided: float = 1.0, **fields: object
) -> str:
    spec = DeploymentSpec(model="m", challenger="2", **fields)  # type: ignore[arg-type]
    plan = make_plan(spec, Basis(BASIS.quality, first=first), salt="d")
    step = StepForecast(0, "shadow", WHOLE, "errors", None, None, decided)
    forecast = Forecast(traffic, 1, (step,), WHOLE, (), ())
    return " ".join(risks(spec, plan, traffic, forecast))


def test_usual_plan_tells_of_its_breaker_alone() -> None:
    assert told().startswith("A gateway asks the version no more for 2 s once 50% of 20 rows")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"traffic": Traffic(requests=9_000, seconds=9_000.0)}, "No label came lately"),
        ({"traffic": Traffic(requests=9_000, seconds=9_000.0, labelled=0.8)}, "Only 80.0%"),
        (
            {"traffic": Traffic(requests=9, seconds=9.0, labelled=1.0, label_delay_seconds=2e5)},
            "most will count as missing",
        ),
        ({"traffic": None}, "Too little traffic"),
        ({"quality_tolerance": 0.005}, "worse by up to 0.5 points is no harm to this plan"),
        ({"decided": 0.9}, "passes in its time in 90%"),
        ({"unit": "entity"}, "Nobody said how many entities"),
        ({"value_cap": 1.0, "value_loss": 0.2}, "waits for business values"),
        ({"first": True}, "nothing can be taken back"),
        ({"strategy": "blue_green"}, "All traffic moves at once"),
        ({"strategy": "shadow"}, "It promotes nothing"),
        ({"shadow": False}, "Nothing is watched unseen"),
        ({"strategy": "ab_test", "allocation": "thompson"}, "Shares follow what was learnt"),
        ({"soak_seconds": 0.0}, "There is no soak"),
        ({"soak_mirror": 0.0}, "The soak mirrors nothing"),
        ({"approvals": True}, "It waits for a person 4 times"),
        ({"auto_promote": False}, "waits for a person before all traffic"),
    ],
    ids=[
        "no_labels", "few_labels", "late_labels", "no_traffic", "tolerance", "late", "entities",
        "values", "first", "blue_green", "shadow", "unwatched", "thompson", "no_soak", "blind_soak",
        "approvals", "by_hand",
    ],
)  # fmt: skip
def test_risk_is_told_where_it_is(fields: dict[str, object], words: str) -> None:
    assert words in told(**fields)  # type: ignore[arg-type]
    assert words not in told()


def test_plan_without_labels_is_not_told_to_wait_for_them() -> None:
    assert "label" not in told(traffic=Traffic(requests=9_000, seconds=9_000.0), labels=False)


def ab_test(basis: Basis, traffic: Traffic = SEEN, **fields: object) -> tuple[str, float]:
    """What is told of an A/B test by the recall of a class, and its share of the labels."""
    asked = {"strategy": "ab_test", "metric": "recall:1", **fields}
    spec = DeploymentSpec(model="m", challenger="2", **asked)  # type: ignore[arg-type]
    plan = make_plan(spec, basis, salt="d")
    found = plan.experiment.positives if plan.experiment else None
    told = " ".join(risks(spec, plan, traffic, Forecast(traffic, 1, (), WHOLE, (), ())))
    return told, found.true if found else 1.0


def test_class_that_nobody_knows_is_told_to_be_taken_for_rare() -> None:
    known = Tally(1, 999, 19, 19, 10)

    words, share = ab_test(Basis(BASIS.quality, classes=(0, 1)))
    assert "it is taken for rare (1% of labels and of answers)" in words
    assert share == 0.01
    words, share = ab_test(Basis(BASIS.quality, classes=(0, 1), second=Share(0.03, 0.03)))
    assert "thought as frequent among labels (3.00%)" in words
    assert share == 0.03
    words, share = ab_test(Basis(BASIS.quality, classes=(0, 1), tallies=(known,)))
    assert "Of the class" not in words
    assert share == 0.0195


def test_entities_that_outweigh_the_others_are_told_of_where_they_weigh_more() -> None:
    basis = Basis(BASIS.quality, classes=(0, 1))
    words = "where one sends half of all traffic there may never be a result"

    assert words in ab_test(basis, unit="entity")[0]
    assert words not in ab_test(basis)[0]
    assert words not in ab_test(basis, unit="entity", metric="conversion")[0]


def test_end_that_waits_for_what_may_never_come_is_told() -> None:
    basis = Basis(BASIS.quality, classes=(0, 1))
    half = Traffic(requests=100_000, seconds=86_400.0, labelled=0.5, loss=0.1)

    assert "Missing labels are waited for" in ab_test(basis, half)[0]
    assert "are waited for" not in ab_test(basis)[0]
    assert "there up to 24 h after" in ab_test(basis, metric="conversion")[0]
    assert "are waited for" not in ab_test(basis, half, metric="latency")[0]


FRAUD = Tally("fraud", rows=10_000, true=300, claimed=250, hits=180)


def of_rare(*tallies: Tally, **fields: object) -> str:
    """What is told of a canary whose champion's classes are as frequent as these."""
    spec = DeploymentSpec(model="m", challenger="2", **fields)  # type: ignore[arg-type]
    basis = Basis(BASIS.quality, classes=("fine", "fraud"), tallies=tallies)
    return " ".join(propose(spec, basis, None, salt="d", harms=False).risks)


def test_class_too_rare_for_accuracy_is_told_with_what_sees_it() -> None:
    words = of_rare(Tally("fine", 10_000, 9_700, 9_750, 9_600), FRAUD)

    assert "2 points of accuracy are 67 % of all that are fraud (3 % of labels)" in words
    # It would lose 180 hits and be spared 70 false alarms: 1.1 points.
    assert "a version that finds none of them could pass. Compare recall" in words
    assert "(metric recall:fraud)" in words
    assert "ask for fewer points (quality_points = 0.005)" in words
    assert "of accuracy" not in of_rare(FRAUD, quality_points=0.005)


@pytest.mark.parametrize(
    ("tally", "words"),
    [
        (Tally("fraud", 10_000, 300, 300, 290), "that misses as many more of them could pass."),
        (Tally("fraud", 10_000, 100, 80, 70), "are more than all that are fraud (1 % of labels)"),
        (Tally("fraud", 10_000, 0, 0, 0), "are more than all that are fraud (0 % of labels)"),
    ],
    ids=["well_found", "rarer_than_the_points", "never_came"],
)
def test_class_too_rare_for_accuracy_is_told_as_rare_as_it_is(tally: Tally, words: str) -> None:
    assert words in of_rare(tally)


@pytest.mark.parametrize(
    "fields",
    [{"labels": False}, {"value_cap": 1.0, "value_loss": 0.2}, {"strategy": "ab_test"}],
    ids=["no_labels", "values", "ab_test"],
)
def test_rare_class_is_not_told_of_where_accuracy_passes_nothing(fields: dict[str, object]) -> None:
    assert "points of accuracy" not in of_rare(FRAUD, **fields)


def test_class_of_a_tenth_is_frequent_enough_for_accuracy() -> None:
    assert "points of accuracy" not in of_rare(Tally("fraud", 10_000, 1_000, 900, 800))
