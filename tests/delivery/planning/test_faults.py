"""A specification that cannot be a plan says all that is wrong with it, each with what is right."""

from math import inf, nan

import pytest

from serinus.delivery.planning import faults
from serinus.delivery.types import DeploymentSpec


def of(*, first: bool = False, task: str | None = "classification", **fields: object) -> list[str]:
    spec = DeploymentSpec(model="fraud", challenger="2.0.0", **fields)  # type: ignore[arg-type]
    return faults.of(spec, first=first, task=task)


@pytest.mark.parametrize("strategy", ["shadow", "canary", "blue_green", "rolling", "ab_test"])
def test_every_strategy_works_with_nothing_said(strategy: str) -> None:
    assert of(strategy=strategy) == []
    assert of(strategy=strategy, task="regression") == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"replicas": 1}, "replicas: must be at least 2"),
        ({"batch": 0}, "batch: must be at least 1"),
        ({"replicas": 3, "batch": 3}, "batch: must be below replicas"),
        ({"replicas": 500}, "batch: must leave at most 100 steps"),
    ],
    ids=["replicas", "batch", "at_once", "endless"],
)
def test_rolling_faults(fields: dict[str, object], said: str) -> None:
    (fault,) = of(strategy="rolling", **fields)

    assert fault.startswith(said)
    assert of(**fields) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"others": ("2.1.0", "2.0.0")}, "others: name each challenger once, 2.0.0 is named"),
        ({"split": (0.3, 0.3)}, "split: must have a share for each of the 1 challengers"),
        ({"others": ("3",), "split": (0.6, 0.5)}, "split: together at most 0.99, it is 1.1"),
        ({"split": (0.0,)}, "split: each share must be at least 0.01"),
        ({"split": (nan,)}, "split: each share must be at least 0.01"),
        ({"others": tuple(map(str, range(120)))}, "others: at most 99 challengers"),
        ({"metric": "beauty"}, "metric: there is no 'beauty'; choose from accuracy,"),
        ({"metric": "mse"}, "metric: mse is not for a classification; choose from accuracy,"),
        ({"labels": False}, "metric: accuracy needs labels, and labels is false"),
        ({"min_hours": 0.0}, "min_hours: must be above 0"),
        ({"min_hours": inf}, "min_hours: must be above 0"),
        ({"min_hours": 100.0}, "max_hours: must be at least min_hours (100)"),
        ({"confidence": 1.0}, "confidence: must be at least 0.5"),
    ],
    ids=[
        "twice", "too_long", "too_much", "nothing", "nan", "too_many", "unknown_metric",
        "other_task", "no_labels", "no_time", "endless", "ends_early", "certain",
    ],
)  # fmt: skip
def test_ab_test_faults(fields: dict[str, object], said: str) -> None:
    (fault,) = of(strategy="ab_test", **fields)

    assert fault.startswith(said)


def test_ab_test_faults_are_told_together() -> None:
    found = of(
        strategy="ab_test", others=("2.0.0",), split=(0.5,), metric="x", min_hours=0.0,
        confidence=2.0, error_odds=0.5,
    )  # fmt: skip

    assert [fault.partition(":")[0] for fault in found] == [
        "error_odds", "others", "split", "metric", "min_hours", "confidence",
    ]  # fmt: skip


def test_metric_of_values_needs_no_labels() -> None:
    assert of(strategy="ab_test", metric="revenue", labels=False) == []


@pytest.mark.parametrize("strategy", ["shadow", "ab_test"])
def test_first_version_has_nobody_to_be_compared_with(strategy: str) -> None:
    (fault,) = of(first=True, strategy=strategy)

    assert fault.startswith(f"strategy: {strategy} needs a champion")
    assert of(first=True) == []


def test_too_many_shares_are_refused() -> None:
    assert of(shares=tuple(number / 200 for number in range(1, 102))) == [
        "shares: at most 100 steps"
    ]
