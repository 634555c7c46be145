from __future__ import annotations

import pytest

from serinus.delivery.planning import ab_test
from serinus.delivery.types import DeploymentSpec


def spec(**fields: object) -> DeploymentSpec:
    return DeploymentSpec(model="m", challenger="2", strategy="ab_test", **fields)  # type: ignore[arg-type]


def test_split_is_in_equal_parts_if_nobody_says() -> None:
    assert ab_test.split(spec()) == (0.5,)
    assert ab_test.split(spec(others=("3", "4"))) == (0.25, 0.25, 0.25)
    assert ab_test.split(spec(split=(0.1,))) == (0.1,)


@pytest.mark.parametrize(
    ("task", "metric"), [("classification", "accuracy"), ("regression", "mse")]
)
def test_experiment_is_judged_by_its_tasks_metric_if_nobody_says(task: str, metric: str) -> None:
    assert ab_test.experiment(spec(), task).metric == metric
    assert ab_test.experiment(spec(metric="revenue"), task).metric == "revenue"


def test_experiment_freezes_what_is_compared_and_when() -> None:
    found = ab_test.experiment(spec(others=("3",), min_hours=1.0, max_hours=2.0), "regression")

    assert found.challengers == ("2", "3")
    assert (found.min_seconds, found.planned_seconds) == (3600.0, 7200.0)
    (step,) = ab_test.steps(spec(others=("3",), min_hours=1.0, max_hours=2.0))
    assert step.min_seconds == 3600.0
    assert step.max_seconds > 7200.0
