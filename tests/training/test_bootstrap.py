from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from serinus.training import bootstrap
from serinus.training.evaluation import evaluate_classes, evaluate_numbers


def _case(rows: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(classes), random.integers(0, classes, rows - classes)])
    scores = random.dirichlet(np.ones(classes), rows).round(2) + 1e-3  # rounded: there are ties
    return truth, scores / scores.sum(axis=1, keepdims=True)


@settings(max_examples=30)
@given(rows=st.integers(20, 80), classes=st.integers(2, 4), seed=st.integers(0, 10_000))
def test_classification_agrees_with_scikit_learn(rows: int, classes: int, seed: int) -> None:
    truth, scores = _case(rows, classes, seed)
    chosen = scores.argmax(axis=1)
    labels = list(range(classes))
    average = {"average": "macro", "zero_division": 0}
    auc = (
        metrics.roc_auc_score(truth, scores[:, 1])
        if classes == 2
        else metrics.roc_auc_score(truth, scores, multi_class="ovr", average="macro")
    )
    onehot = np.eye(classes)[truth]
    brier = ((scores - onehot) ** 2).sum(axis=1).mean() / (2 if classes == 2 else 1)

    found = evaluate_classes(truth.tolist(), scores, labels, 0).values()

    assert found == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(truth, chosen),
            "precision": metrics.precision_score(truth, chosen, **average),
            "recall": metrics.recall_score(truth, chosen, **average),
            "f1": metrics.f1_score(truth, chosen, **average),
            "roc_auc": auc,
            "log_loss": metrics.log_loss(truth, scores, labels=labels),
            "brier": brier,
        },
        rel=1e-9,
    )


@settings(max_examples=20)
@given(rows=st.integers(20, 80), seed=st.integers(0, 10_000))
def test_resampled_metrics_agree_with_scikit_learn_on_the_drawn_rows(rows: int, seed: int) -> None:
    truth, scores = _case(rows, 2, seed)
    counts = next(bootstrap.weights(rows, seed))[:5]
    found = bootstrap.classification(np.eye(2)[truth], scores, counts)

    for place, count in enumerate(counts.astype(int)):
        drawn = np.repeat(np.arange(rows), count)
        if len(set(truth[drawn])) == 2:
            auc = metrics.roc_auc_score(truth[drawn], scores[drawn, 1])
            assert found["roc_auc"][place] == pytest.approx(auc)
        f1 = metrics.f1_score(truth[drawn], scores[drawn].argmax(axis=1), average="macro")
        assert found["f1"][place] == pytest.approx(f1)


@settings(max_examples=30)
@given(rows=st.integers(20, 80), seed=st.integers(0, 10_000))
def test_regression_agrees_with_scikit_learn(rows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.normal(1e4, 3, rows)
    answers = truth + random.normal(0, 2, rows)

    found = evaluate_numbers(truth, answers, 0).values()

    assert found == pytest.approx(
        {
            "mse": metrics.mean_squared_error(truth, answers),
            "mae": metrics.mean_absolute_error(truth, answers),
            "r2": metrics.r2_score(truth, answers),
        }
    )


def test_weights_draw_as_many_rows_as_there_are() -> None:
    chunks = list(bootstrap.weights(50, 3))

    assert sum(map(len, chunks)) == bootstrap.resamples_for(50)
    assert all((chunk.sum(axis=1) == 50).all() for chunk in chunks)


def test_weights_are_the_same_for_the_same_seed() -> None:
    first, second = (np.concatenate(list(bootstrap.weights(30, 8))) for _ in range(2))

    assert (first == second).all()
    assert (first != np.concatenate(list(bootstrap.weights(30, 9)))).any()


@pytest.mark.parametrize(
    ("rows", "resamples"), [(10, 1_000), (2_000, 500), (10_000, 200), (10**6, 500)]
)
def test_resamples_for_so_many_rows(rows: int, resamples: int) -> None:
    assert bootstrap.resamples_for(rows) == resamples


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(11)
    covered = 0
    for _ in range(200):
        hits = random.random(150) < 0.8
        scores = np.where(hits[:, None], [0.1, 0.9], [0.9, 0.1])
        estimate = evaluate_classes([1] * 150, scores, [0, 1], 1).metrics["accuracy"]
        covered += estimate.low <= 0.8 <= estimate.high

    assert 0.89 <= covered / 200 <= 0.99  # four standard errors around 0.95, less its known bias


def test_interval_of_what_no_resample_defines_is_the_estimate() -> None:
    def metrics(places: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        own = (counts == 1).all(axis=1)
        return {"rare": np.where(own, 0.5, np.nan)}

    assert bootstrap.estimates(metrics, 20, 0) == {"rare": (0.5, 0.5, 0.5)}


def test_interval_of_many_rows_is_as_wide_as_theory_says() -> None:
    random = np.random.default_rng(7)
    hits = random.random(40_000) < 0.8
    scores = np.where(hits[:, None], [0.1, 0.9], [0.9, 0.1])
    estimate = evaluate_classes([1] * len(hits), scores, [0, 1], 1).metrics["accuracy"]

    assert estimate.value == hits.mean()
    width = 2 * 1.96 * np.sqrt(0.8 * 0.2 / len(hits))
    assert estimate.high - estimate.low == pytest.approx(width, rel=0.2)
    assert estimate.low < estimate.value < estimate.high


def test_one_class_in_the_test_rows_leaves_the_area_undefined() -> None:
    scores = np.array([[0.2, 0.8], [0.6, 0.4]] * 10)
    found = evaluate_classes([1] * 20, scores, [0, 1], 0)

    assert "roc_auc" not in found.values()
    assert found.to_dict()["metrics"]["roc_auc"] == {"value": None, "low": None, "high": None}
