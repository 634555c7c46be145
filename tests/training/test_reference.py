from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from serinus.data import ingest
from serinus.stats import bins, class_tallies
from serinus.training import reference
from serinus.training.fitting import Fit, learn
from serinus.training.spec import TrainingSpec


def _fit(data: str, algorithm: str = "auto") -> Fit:
    spec = TrainingSpec(model="m", data=data, target="target", algorithm=algorithm)
    return learn(spec, None, None, lambda stage: None)


@pytest.mark.parametrize("data", ["iris", "breast_cancer", "diabetes"])
def test_profile_counts_every_row_once(data: str) -> None:
    fit = _fit(data)
    found = reference.profile(fit)

    assert found["rows"] == len(fit.prepared.frame)
    assert set(found["features"]) == set(fit.prepared.features)
    for part in [found["output"], *found["features"].values()]:
        assert sum(part["counts"]) == found["rows"]


def test_profile_of_a_feature_is_that_of_all_its_rows() -> None:
    fit = _fit("breast_cancer")
    part = reference.profile(fit)["features"]["mean radius"]
    values = fit.prepared.frame["mean radius"].to_numpy()

    assert bins.count(bins.from_dict(part["bins"]), values).tolist() == part["counts"]


def test_profile_output_is_of_rows_not_learned_from() -> None:
    """A forest that knows a row by heart is surer of it than of any that it will meet."""
    fit = _fit("breast_cancer", "random_forest")
    frame = fit.prepared.frame
    by_heart = reference.answers(fit.model, fit.inputs(frame), fit.prepared)
    held_out = reference.answers(fit.model, fit.inputs(fit.test), fit.prepared)
    part = reference.profile(fit)["output"]
    shared = bins.from_dict(part["bins"])

    def distance(values: np.ndarray) -> float:
        counts, known = bins.count(shared, values), np.array(part["counts"])
        return float(np.abs(counts / counts.sum() - known / known.sum()).sum())

    assert distance(held_out) < 0.5
    unsure = float(np.mean((by_heart > 0.02) & (by_heart < 0.98)))
    honest = float(np.mean((held_out > 0.02) & (held_out < 0.98)))
    assert unsure < honest


def test_answers_of_each_task() -> None:
    iris, cancer, diabetes = _fit("iris"), _fit("breast_cancer"), _fit("diabetes")

    def answers(fit: Fit) -> np.ndarray:
        return np.asarray(reference.answers(fit.model, fit.inputs(fit.test), fit.prepared))

    assert answers(iris).min() >= 1 / 3
    second = cancer.model.predict_proba(cancer.inputs(cancer.test))[:, 1]
    assert (answers(cancer) == second).all()
    assert answers(diabetes).max() > 1


def test_profile_with_a_class_too_rare_for_folds_uses_the_test_rows() -> None:
    frame = pd.DataFrame({"x": np.arange(60.0) ** 2, "target": ["a"] * 57 + ["b"] * 3})
    spec = TrainingSpec(model="m", data="d", target="target")
    fit = learn(spec, ingest.from_frame(frame, name="d", source="d"), None, lambda stage: None)

    assert reference.profile(fit)["rows"] == len(fit.test)


def test_profile_tells_how_often_each_class_is_true_and_claimed() -> None:
    fit = _fit("breast_cancer")
    found = class_tallies.read(reference.profile(fit))
    shares = fit.prepared.frame[fit.prepared.target].value_counts()

    assert {item.name: item.true for item in found} == shares.to_dict()
    assert sum(item.claimed for item in found) == len(fit.prepared.frame)
    assert all(0.8 < item.hits / item.true <= 1.0 for item in found)
    assert class_tallies.read(reference.profile(_fit("diabetes"))) == ()
