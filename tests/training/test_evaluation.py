from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from serinus.training.evaluation import better_by, evaluate


def test_evaluate_classifier_is_plain_json_with_intervals_around_the_values() -> None:
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"x": random.normal(size=200)})
    truth = pd.Series(np.where(rows["x"] + random.normal(size=200) > 0, "yes", "no"), dtype=object)
    found = evaluate(LogisticRegression().fit(rows, truth), rows, truth, ["no", "yes"], 1)
    document = json.loads(json.dumps(found.to_dict()))

    assert document["rows"] == 200
    assert document["confidence"] == 0.95
    for estimate in document["metrics"].values():
        assert estimate["low"] <= estimate["value"] <= estimate["high"]
        assert estimate["low"] < estimate["high"]


def test_evaluate_regressor() -> None:
    rows = pd.DataFrame({"x": np.arange(50.0)})
    truth = rows["x"] * 2 + 1
    found = evaluate(LinearRegression().fit(rows, truth), rows, truth, (), 1)

    assert found.values()["r2"] == pytest.approx(1)
    assert found.values()["mse"] == pytest.approx(0, abs=1e-12)


def test_evaluate_is_the_same_for_the_same_seed() -> None:
    rows = pd.DataFrame({"x": np.random.default_rng(2).normal(size=60)})
    truth = pd.Series(np.arange(60) % 2)
    model = LogisticRegression().fit(rows, truth)

    assert evaluate(model, rows, truth, [0, 1], 5) == evaluate(model, rows, truth, [0, 1], 5)


@pytest.mark.parametrize(
    ("metric", "new", "old", "gain"),
    [("roc_auc", 0.9, 0.8, 0.1), ("brier", 0.1, 0.3, 0.2), ("mse", 5.0, 4.0, -1.0)],
)
def test_better_by_follows_the_metric(metric: str, new: float, old: float, gain: float) -> None:
    assert better_by(metric, new, old) == pytest.approx(gain)
