"""Success metrics: what a request adds, and what cannot be measured."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from serinus.delivery.experiments import metrics
from serinus.delivery.experiments.metrics import Metric
from serinus.errors import InvalidInput

ANSWERS = [0, 1, 1, 0, 1, 1, 0, 1]
TRUTHS = [0, 1, 0, 1, 1, 0, 0, 1]


@pytest.mark.parametrize("name", ["accuracy", "precision", "recall", "f1"])
def test_metric_of_classes_is_the_usual_one(name: str) -> None:
    metric = metrics.parse(name, "classification", (0, 1))
    parts = np.array([metric.parts(*pair) for pair in zip(ANSWERS, TRUTHS, strict=True)])
    usual = {
        "accuracy": reference.accuracy_score,
        "precision": reference.precision_score,
        "recall": reference.recall_score,
        "f1": reference.f1_score,
    }[name]
    assert parts[:, 0].sum() / parts[:, 1].sum() == pytest.approx(usual(TRUTHS, ANSWERS))


def test_metric_of_numbers_is_the_usual_one() -> None:
    answers, truths = [1.0, 2.5, 3.0], [1.5, 2.0, 5.0]
    for name, usual in (
        ("mse", reference.mean_squared_error),
        ("mae", reference.mean_absolute_error),
    ):
        metric = metrics.parse(name, "regression", ())
        parts = [metric.parts(*pair) for pair in zip(answers, truths, strict=True)]
        assert np.mean([part[0] for part in parts if part]) == pytest.approx(usual(truths, answers))


def test_metric_says_nothing_of_an_answer_that_is_no_number() -> None:
    assert Metric("mse").parts("many", 2.0) is None


def test_metric_may_name_its_class() -> None:
    metric = metrics.parse("recall:2", "classification", (0, 1, 2))
    assert (metric.positive, metric.title) == (2, "recall of 2")


@pytest.mark.parametrize(
    ("text", "task", "classes", "says"),
    [
        ("speed", "classification", (0, 1), "choose from accuracy"),
        ("mse", "classification", (0, 1), "not measured of a classification"),
        ("recall", "classification", (0, 1, 2), "of which class"),
        ("recall:9", "classification", (0, 1, 2), "no class of this model"),
        ("latency:1", "classification", (0, 1), "takes no class"),
    ],
    ids=["unknown", "task", "classless", "strange class", "needless class"],
)
def test_metric_that_cannot_be_measured_is_refused(
    text: str, task: str, classes: tuple[int, ...], says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        metrics.parse(text, task, classes)


def test_value_metrics_count_by_unit() -> None:
    assert Metric("conversion").of_unit(3.0, 5.0) == (1.0, 1.0)
    assert Metric("revenue").of_unit(30.0, 5.0) == (30.0, 1.0)
    assert Metric("accuracy").of_unit(3.0, 5.0) == (3.0, 5.0)
    assert Metric("conversion").parts(0, -5.0) == (0.0, 1.0)
