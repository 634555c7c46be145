from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from serinus.data import ingest
from serinus.errors import InvalidInput
from serinus.training.fitting import Fit, learn
from serinus.training.spec import TrainingSpec


def _learn(frame: pd.DataFrame | None = None, **changes: object) -> Fit:
    spec = TrainingSpec(**{"model": "m", "data": "iris", "target": "target", **changes})
    dataset = None if frame is None else ingest.from_frame(frame, name="d", source="d")
    return learn(spec, dataset, None, lambda stage: None)


def test_learn_deals_out_every_row() -> None:
    fit = _learn()

    assert sorted([*fit.train.index, *fit.test.index]) == list(range(150))
    assert fit.dealt == "stratified"
    assert fit.model.score(fit.inputs(fit.test), fit.test["target"]) > 0.8


def test_learn_is_the_same_for_the_same_seed() -> None:
    first, second = (_learn(algorithm="random_forest", seed=3) for _ in range(2))
    rows = first.inputs(first.test)

    pd.testing.assert_frame_equal(first.test, second.test)
    assert (first.model.predict_proba(rows) == second.model.predict_proba(rows)).all()


def test_learn_by_time_judges_on_the_newest_rows() -> None:
    random = np.random.default_rng(0)
    at = pd.date_range("2026-01-01", periods=100).strftime("%Y-%m-%d")
    frame = pd.DataFrame({"at": at, "x": random.normal(size=100), "target": [0, 1] * 50})
    fit = _learn(frame.sample(frac=1, random_state=1), time_column="at")

    assert fit.train["at"].max() < fit.test["at"].min()
    assert fit.prepared.features == ("x",)


def test_learn_by_group_keeps_groups_whole() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"who": np.arange(100) % 9, "x": random.normal(size=100), "target": [0, 1] * 50}
    )
    fit = _learn(frame, group_column="who")

    assert not set(fit.train["who"]) & set(fit.test["who"])
    assert fit.prepared.features == ("x",)


def test_learn_unique_rows_puts_no_row_on_both_sides() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"x": random.normal(size=50), "target": [0, 1] * 25})
    fit = _learn(pd.concat([frame] * 3), unique_rows=True)

    assert len(fit.prepared.frame) == 50
    assert not set(fit.train["x"]) & set(fit.test["x"])


def test_learn_unique_rows_keeps_rows_that_repeat_by_nature() -> None:
    frame = pd.DataFrame({"kind": ["a", "b"] * 60, "target": [0, 1, 1, 0, 0, 1] * 20})
    fit = _learn(frame, unique_rows=True)

    assert len(fit.prepared.frame) == 120


def test_learn_algorithm_that_raises_is_named() -> None:
    with pytest.raises(InvalidInput, match="logistic_regression cannot be fitted") as caught:
        _learn(params={"C": -1.0})

    assert caught.value.where == "fit"
    assert isinstance(caught.value.__cause__, ValueError)
