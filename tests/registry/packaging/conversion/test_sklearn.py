"""Pipelines over mixed columns: every request that is hostile to them is answered the same."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from tests.registry.packaging import fitted
from xgboost import XGBClassifier

from serinus import wire
from serinus.registry import folders
from serinus.registry.packaging import proof, variations
from serinus.registry.packaging.conversion import sklearn as conversion
from serinus.registry.packaging.types import Unconvertible
from serinus.training import trainers

pytestmark = pytest.mark.filterwarnings("ignore:X does not have valid feature names")


def about(frame: pd.DataFrame, classes: tuple[Any, ...]) -> wire.Manifest:
    task = "classification" if classes else "regression"
    return wire.Manifest(
        "m", task, folders.inputs_of(frame), "y", classes, folders.example_of(frame)
    )


def compared(model: Any, frame: pd.DataFrame, classes: tuple[Any, ...], folder: Path) -> float:
    manifest = about(frame, classes)
    theirs, ours = fitted.original(model, manifest), fitted.graph(model, manifest, folder)
    real = fitted.rows_of(frame, manifest)
    varied = variations.variations(manifest, real)
    varied += variations.edges(manifest, real, proof.numbers_of(theirs))
    found = [
        proof.compare(proof.ask(theirs, rows, are_real=are_real), ours, 1e-5)
        for rows, are_real in ((real, True), (varied, False))
    ]
    assert [item.fault for item in found] == ["", ""]
    return max(item.largest for item in found)


def people() -> tuple[pd.DataFrame, Any]:
    frame = fitted.mixed()
    return frame, np.where((frame["age"] > 38) & (frame["town"] != "Ulm"), "yes", "no")


def encoder(**options: Any) -> OneHotEncoder:
    return OneHotEncoder(**{"handle_unknown": "ignore", "sparse_output": False, **options})


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        HistGradientBoostingClassifier(max_iter=8),
        VotingClassifier([("x", XGBClassifier(n_estimators=8, n_jobs=1))], voting="soft"),
        VotingClassifier([("a", LogisticRegression()), ("b", LogisticRegression(C=9))]),
    ],
    ids=["logistic", "histogram", "vote of one", "hard vote"],
)
def test_a_training_pipeline_over_mixed_columns(estimator: Any, tmp_path: Path) -> None:
    frame, target = people()
    kinds = {"town": "text", "age": "number", "flag": "boolean", "street": "text"}
    inputs = trainers.inputs(frame, kinds)  # type: ignore[arg-type]
    steps = [("inputs", trainers.preprocessing(kinds)), ("model", estimator)]  # type: ignore[arg-type]
    model = Pipeline(steps).fit(inputs, target)
    assert compared(model, inputs, ("no", "yes"), tmp_path) < 1e-6


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"drop": "first"},
        {"max_categories": 5},
        {"min_frequency": 5, "handle_unknown": "infrequent_if_exist"},
        {"min_frequency": 5, "drop": "first"},
    ],
    ids=str,
)
def test_encoders_of_texts(options: dict[str, Any], tmp_path: Path) -> None:
    frame, target = people()
    frame = frame[["town", "street"]].fillna("nowhere")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found unknown categories")
        model = make_pipeline(
            ColumnTransformer([("texts", encoder(**options), ["street", "town"])]),
            LogisticRegression(),
        ).fit(frame, target)
        assert compared(model, frame, ("no", "yes"), tmp_path) < 1e-9


def test_an_encoder_of_numbers_knows_whole_ones_only_by_being_them(tmp_path: Path) -> None:
    frame = pd.DataFrame({"code": np.arange(60.0) % 4, "x": np.arange(60.0)})
    model = make_pipeline(
        ColumnTransformer([("codes", encoder(), ["code"])], remainder="passthrough"), Ridge()
    ).fit(frame, frame["code"] * 3)
    assert compared(model, frame, (), tmp_path) < 1e-9


def test_columns_in_another_order_selected_and_left_out(tmp_path: Path) -> None:
    frame = fitted.numbers()
    parts = ColumnTransformer(
        [
            ("scaled", StandardScaler(), [3, 1]),
            ("filled", SimpleImputer(), make_column_selector("x2")),
            ("dropped", "drop", ["x0"]),
        ]
    )
    model = make_pipeline(make_pipeline(parts), Ridge()).fit(frame, fitted.truth(frame, ()))
    assert compared(model, frame, (), tmp_path) < 1e-9


def test_the_best_of_a_search_and_a_classifier_without_probabilities(tmp_path: Path) -> None:
    frame = fitted.numbers()
    target = fitted.truth(frame, ("a", "b", "c"))
    search = GridSearchCV(make_pipeline(StandardScaler(), LinearSVC()), {"linearsvc__C": [1, 2]})
    assert compared(search.fit(frame, target), frame, ("a", "b", "c"), tmp_path) == 0.0


class Own(RegressorMixin, BaseEstimator):
    """An estimator that no converter knows."""

    def fit(self, _rows: Any, _target: Any) -> Own:
        self.fitted_ = True
        return self

    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows))


def strict() -> Any:
    frame, target = people()
    parts = ColumnTransformer([("texts", encoder(handle_unknown="error"), ["street"])])
    return make_pipeline(parts, LogisticRegression()).fit(frame, target), frame


def own() -> Any:
    frame = fitted.numbers()
    return Own().fit(frame, None), frame


def lonely() -> Any:
    frame = fitted.numbers()
    step = FunctionTransformer(np.log1p)
    return make_pipeline(step, Ridge()).fit(frame.abs(), frame["x0"]), frame


def unparted() -> Any:
    frame, target = people()
    return make_pipeline(encoder(), LogisticRegression()).fit(frame, target), frame


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (strict, "an unknown category is an error"),
        (own, "converter gives up"),
        (lonely, "converter gives up"),
        (unparted, "before a ColumnTransformer"),
    ],
)
def test_what_a_graph_cannot_be_is_said(made: Any, why: str) -> None:
    model, frame = made()
    classes = ("no", "yes") if hasattr(model, "classes_") else ()
    with pytest.raises(Unconvertible, match=why):
        conversion.convert(model, about(frame, classes))
