"""What can go wrong is said in sentences, and only where it can."""

from __future__ import annotations

import pytest
from tests.delivery.samples import BASIS

from serinus.delivery.forecast.risks import risks
from serinus.delivery.forecast.types import Duration, Forecast, StepForecast, Traffic
from serinus.delivery.planning.plan import Basis, make_plan
from serinus.delivery.types import DeploymentSpec

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
        "no_labels", "few_labels", "late_labels", "no_traffic", "late", "entities", "values",
        "first", "blue_green", "shadow", "unwatched", "thompson", "no_soak", "blind_soak",
        "approvals", "by_hand",
    ],
)  # fmt: skip
def test_risk_is_told_where_it_is(fields: dict[str, object], words: str) -> None:
    assert words in told(**fields)  # type: ignore[arg-type]
    assert words not in told()


def test_plan_without_labels_is_not_told_to_wait_for_them() -> None:
    assert "label" not in told(traffic=Traffic(requests=9_000, seconds=9_000.0), labels=False)
