from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serinus.data import ingest
from serinus.data.dataset import Prepared
from serinus.data.validation import Purpose, prepare
from serinus.errors import InvalidInput
from serinus.training import trainers

ROWS = 120


def _prepared(target: Any) -> Prepared:
    random = np.random.default_rng(4)
    frame = pd.DataFrame(
        {
            "x": np.where(random.random(ROWS) < 0.1, np.nan, random.normal(size=ROWS)),
            "flag": random.random(ROWS) < 0.5,
            "gappy": np.where(random.random(ROWS) < 0.2, None, random.random(ROWS) < 0.5),
            "place": np.where(random.random(ROWS) < 0.2, None, random.choice(["n", "s"], ROWS)),
            "target": target,
        }
    )
    dataset = ingest.from_frame(frame, name="x", source="x")
    return prepare(dataset, Purpose(target="target"))[1]


LABELS = {
    "int": [3, 7, 9] * 40,
    "str": ["low", "mid", "high"] * 40,
    "bool": [True, False] * 60,
}

CASES = [
    (name, kind)
    for name, algorithm in trainers.ALGORITHMS.items()
    if "classification" in algorithm.estimators
    for kind in LABELS
]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_classifier_answers_in_the_labels_own_type(name: str, kind: str) -> None:
    prepared = _prepared(LABELS[kind])
    rows = trainers.inputs(prepared.frame, prepared.kinds)
    model = trainers.pipeline(trainers.ALGORITHMS[name], prepared, {}, 0)
    model.fit(rows, prepared.frame["target"].to_numpy())
    answers = np.asarray(pickle.loads(pickle.dumps(model)).predict(rows)).tolist()

    assert model.classes_.tolist() == list(prepared.classes)
    assert set(map(type, answers)) == {type(LABELS[kind][0])}
    assert set(answers) <= set(LABELS[kind])


@pytest.mark.parametrize(
    "name", [n for n, a in trainers.ALGORITHMS.items() if "regression" in a.estimators]
)
def test_regressor_answers_numbers(name: str) -> None:
    prepared = _prepared(np.random.default_rng(1).normal(size=ROWS))
    rows = trainers.inputs(prepared.frame, prepared.kinds)
    model = trainers.pipeline(trainers.ALGORITHMS[name], prepared, {}, 0)
    model.fit(rows, prepared.frame["target"].to_numpy())

    assert np.isfinite(np.asarray(model.predict(rows), dtype=float)).all()


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_pipeline_reads_every_kind_of_missing_alike(missing: object) -> None:
    prepared = _prepared([0, 1] * 60)
    rows = trainers.inputs(prepared.frame, prepared.kinds)
    model = trainers.pipeline(trainers.ALGORITHMS["logistic_regression"], prepared, {}, 0)
    model.fit(rows, prepared.frame["target"].to_numpy())

    def probability(place: object, number: object) -> float:
        row = pd.DataFrame(
            {"x": [number], "flag": [True], "gappy": [None], "place": [place]}
        ).astype({"x": "float64", "gappy": "float64", "place": "object"})
        return float(model.predict_proba(row)[0, 1])

    assert probability(missing, None) == probability(None, float("nan"))
    assert probability(missing, None) != probability("n", None)


def test_pipeline_takes_an_unseen_category() -> None:
    prepared = _prepared([0, 1] * 60)
    rows = trainers.inputs(prepared.frame, prepared.kinds)
    model = trainers.pipeline(trainers.ALGORITHMS["decision_tree"], prepared, {}, 0)
    model.fit(rows, prepared.frame["target"].to_numpy())

    assert len(model.predict(rows.head(1).assign(place="mars"))) == 1


def test_pipeline_is_the_same_for_the_same_seed() -> None:
    prepared = _prepared([0, 1] * 60)
    rows = trainers.inputs(prepared.frame, prepared.kinds)
    forest = trainers.ALGORITHMS["random_forest"]
    first, second = (
        trainers.pipeline(forest, prepared, {}, 7)
        .fit(rows, prepared.frame["target"].to_numpy())
        .predict_proba(rows)
        for _ in range(2)
    )

    assert (first == second).all()


@pytest.mark.parametrize(
    ("algorithm", "target", "told"),
    [
        ("magic", [0, 1] * 60, "is not known"),
        ("ridge", [0, 1] * 60, "does not do classification"),
        ("logistic_regression", list(np.arange(ROWS) / 7), "does not do regression"),
    ],
)
def test_choose_unfitting_names_the_fitting(algorithm: str, target: list[float], told: str) -> None:
    with pytest.raises(InvalidInput, match=told) as caught:
        trainers.choose(algorithm, _prepared(target))

    assert "decision_tree" in caught.value.remedy
    assert caught.value.where == "algorithm"


def test_pipeline_unknown_parameter_shows_the_defaults() -> None:
    with pytest.raises(InvalidInput, match="wings") as caught:
        trainers.pipeline(
            trainers.ALGORITHMS["decision_tree"], _prepared([0, 1] * 60), {"wings": 2}, 0
        )

    assert "max_depth" in caught.value.remedy


def test_choose_auto_is_linear_for_few_rows() -> None:
    assert trainers.choose("auto", _prepared([0, 1] * 60)).name == "logistic_regression"
    assert trainers.choose("auto", _prepared(np.arange(ROWS) / 7)).name == "ridge"
