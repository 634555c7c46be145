"""Success metrics: what a request adds, and what cannot be measured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from serinus.delivery.experiments import contrast, metrics
from serinus.delivery.experiments import moments as mo
from serinus.delivery.experiments.metrics import Metric
from serinus.errors import InvalidInput
from serinus.wire import Answer

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


ANYTHING = st.one_of(
    st.floats(),
    st.sampled_from([1e308, -1e308, 5e-324, 10**400, -(10**400), "1e999", "x", True]),
    st.integers(),
    st.text(max_size=8),
)


@given(st.sampled_from(metrics.NAMES), ANYTHING, ANYTHING)
def test_metric_takes_whatever_can_be_sent(name: str, answer: Answer, outcome: Answer) -> None:
    found = Metric(name, 1).parts(answer, outcome)
    if found is not None:
        # What an analysis does with it stays finite: errors go with the fourth power.
        assert np.isfinite(np.float64(found[0]) ** 4 * 1e12)


@pytest.mark.filterwarnings("error")
def test_metric_of_absurd_numbers_can_be_analysed() -> None:
    rng = np.random.default_rng(1)
    metric = Metric("mse")
    arms = []
    for arm in range(2):
        answers = [*rng.normal(0.0, 1.0, 50), -1e308 if arm else 1.0]
        parts = np.array([metric.parts(answer, 1e308 if arm else 0.0) for answer in answers])
        arms.append(mo.total(*parts.T))
    found = contrast.compare(*arms)
    assert np.isfinite([found.difference, found.error, found.freedom]).all()
