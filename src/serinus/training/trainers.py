"""The algorithms, each as one pipeline with its preprocessing inside: no training/serving skew.

Every part comes from scikit-learn or XGBoost, so that a model loads wherever those are installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from xgboost import XGBClassifier, XGBRegressor

from serinus.data.dataset import Prepared
from serinus.data.types import Kind, Task
from serinus.errors import InvalidInput
from serinus.training.spec import AUTO

MOST_CATEGORIES = 64
FEW_ROWS = 2_000
MISSING = "(missing)"


@dataclass(frozen=True)
class Algorithm:
    """A way to learn.

    Args:
        name: what a spec calls it.
        estimators: by task what makes the estimator; a task that is absent is not offered.
        defaults: parameters that a spec may override.
        seeded: whether the estimator takes a ``random_state``.
    """

    name: str
    estimators: Mapping[Task, Callable[..., Any]]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    seeded: bool = True


def _xgboost_classifier(**params: Any) -> VotingClassifier:
    # XGBoost knows only classes 0, 1, …; a vote of one keeps the labels as they are.
    return VotingClassifier([("xgboost", XGBClassifier(**params))], voting="soft")


_TREES = {"n_estimators": 200, "max_depth": 4, "learning_rate": 0.1, "n_jobs": 1, "verbosity": 0}

ALGORITHMS: Mapping[str, Algorithm] = {
    algorithm.name: algorithm
    for algorithm in (
        Algorithm(
            "logistic_regression", {"classification": LogisticRegression}, {"max_iter": 1_000}
        ),
        Algorithm("linear_regression", {"regression": LinearRegression}, seeded=False),
        Algorithm("ridge", {"regression": Ridge}),
        Algorithm(
            "decision_tree",
            {"classification": DecisionTreeClassifier, "regression": DecisionTreeRegressor},
            {"max_depth": 4, "min_samples_leaf": 5},
        ),
        Algorithm(
            "random_forest",
            {"classification": RandomForestClassifier, "regression": RandomForestRegressor},
            {"n_estimators": 100, "min_samples_leaf": 2, "n_jobs": 1},
        ),
        Algorithm(
            "gradient_boosting",
            {
                "classification": HistGradientBoostingClassifier,
                "regression": HistGradientBoostingRegressor,
            },
            {"max_iter": 100, "learning_rate": 0.1, "max_leaf_nodes": 15},
        ),
        Algorithm(
            "k_neighbors",
            {"classification": KNeighborsClassifier, "regression": KNeighborsRegressor},
            {"n_neighbors": 15},
            seeded=False,
        ),
        Algorithm(
            "xgboost",
            {"classification": _xgboost_classifier, "regression": XGBRegressor},
            _TREES,
        ),
    )
}
"""Every algorithm by name."""


def choose(algorithm: str, prepared: Prepared) -> Algorithm:
    """The algorithm of that name; ``auto`` is a linear model for few rows, boosted trees for many.

    Raises:
        InvalidInput: there is none of that name for the task.
    """
    if algorithm == AUTO:
        linear = "logistic_regression" if prepared.task == "classification" else "ridge"
        return ALGORITHMS[linear if len(prepared.frame) < FEW_ROWS else "gradient_boosting"]
    found = ALGORITHMS.get(algorithm)
    offered = ", ".join(sorted(n for n, a in ALGORITHMS.items() if prepared.task in a.estimators))
    if found is None or prepared.task not in found.estimators:
        what = "is not known" if found is None else f"does not do {prepared.task}"
        raise InvalidInput(
            f"the algorithm {algorithm!r} {what}",
            where="algorithm",
            remedy=f"For {prepared.task} use auto, or one of: {offered}.",
        )
    return found


def pipeline(
    algorithm: Algorithm,
    prepared: Prepared,
    params: Mapping[str, Any],
    seed: int,
) -> Pipeline:
    """The unfitted pipeline: fill in, scale or encode, then the estimator.

    Raises:
        InvalidInput: the algorithm has no such parameter.
    """
    settings = {**algorithm.defaults, **params}
    if algorithm.seeded:
        settings.setdefault("random_state", seed)
    try:
        estimator = algorithm.estimators[prepared.task](**settings)
    except TypeError as error:
        raise InvalidInput(
            f"the algorithm {algorithm.name} refuses its parameters ({error})",
            where="params",
            remedy=f"Its defaults are: {dict(algorithm.defaults)}.",
        ) from error
    return Pipeline([("inputs", preprocessing(prepared.kinds)), ("model", estimator)])


def preprocessing(kinds: Mapping[str, Kind]) -> ColumnTransformer:
    """Numbers: fill in the median, scale. Text: missing is a category of its own, one-hot."""
    numbers = [name for name, kind in kinds.items() if kind != "text"]
    texts = [name for name, kind in kinds.items() if kind == "text"]
    number = Pipeline(
        [
            ("fill", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("scale", StandardScaler()),
        ]
    )
    # pandas.NA stands for every kind of missing: None from a request, NaN from a file.
    fill = SimpleImputer(missing_values=pd.NA, strategy="constant", fill_value=MISSING)
    encode = OneHotEncoder(
        handle_unknown="ignore", max_categories=MOST_CATEGORIES, sparse_output=False
    )
    text = Pipeline([("fill", fill), ("encode", encode)])
    parts = [("numbers", number, numbers), ("texts", text, texts)]
    return ColumnTransformer([part for part in parts if part[2]])


def inputs(frame: pd.DataFrame, kinds: Mapping[str, Kind]) -> pd.DataFrame:
    """The features as a model reads them: numbers as floats, booleans, text as objects."""
    columns: dict[str, pd.Series[Any]] = {}
    for name, kind in kinds.items():
        series = frame[name]
        if kind == "text":
            series = series.astype(object).where(series.notna(), None)
        elif kind == "number" or series.isna().any():
            series = series.astype("float64")
        columns[name] = series
    return pd.DataFrame(columns)
