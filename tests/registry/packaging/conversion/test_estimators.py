"""Every kind of tree: the same answers at random, at thresholds, and where values are missing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from tests.registry.packaging import fitted

from serinus.registry.packaging import proof, variations
from serinus.registry.packaging.conversion import estimators
from serinus.registry.packaging.conversion.trees import Ensemble
from serinus.registry.packaging.types import Unconvertible

lightgbm = pytest.importorskip("lightgbm", reason="LightGBM is an extra: pip install lightgbm")
xgboost = pytest.importorskip("xgboost")

NO_NAMES = pytest.mark.filterwarnings("ignore:X does not have valid feature names")
pytestmark = NO_NAMES

TREES: dict[str, Any] = {
    "tree": lambda: DecisionTreeClassifier(max_depth=5, random_state=0),
    "forest": lambda: RandomForestClassifier(12, random_state=0),
    "extra": lambda: ExtraTreesClassifier(6, random_state=0),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=8, random_state=0),
    "histogram": lambda: HistGradientBoostingClassifier(max_iter=8, random_state=0),
    "xgboost": lambda: xgboost.XGBClassifier(n_estimators=12, max_depth=3, n_jobs=1),
    "xgboost forest": lambda: xgboost.XGBRFClassifier(n_estimators=5, n_jobs=1),
    "lightgbm": lambda: lightgbm.LGBMClassifier(n_estimators=12, verbose=-1, n_jobs=1),
}
REGRESSIONS: dict[str, Any] = {
    "tree": lambda: DecisionTreeRegressor(max_depth=5, random_state=0),
    "forest": lambda: RandomForestRegressor(12, random_state=0),
    "boosting": lambda: GradientBoostingRegressor(n_estimators=8, random_state=0),
    "histogram": lambda: HistGradientBoostingRegressor(max_iter=8, random_state=0),
    "histogram poisson": lambda: HistGradientBoostingRegressor(loss="poisson", max_iter=8),
    "xgboost": lambda: xgboost.XGBRegressor(n_estimators=12, max_depth=3, n_jobs=1),
    "xgboost poisson": lambda: xgboost.XGBRegressor(n_estimators=9, objective="count:poisson"),
    "lightgbm": lambda: lightgbm.LGBMRegressor(n_estimators=12, verbose=-1, n_jobs=1),
    "lightgbm gamma": lambda: lightgbm.LGBMRegressor(n_estimators=8, objective="gamma", verbose=-1),
}
WITH_GAPS = {"histogram", "xgboost", "lightgbm", "forest", "tree"}


def difference(model: Any, classes: tuple[Any, ...], folder: Path, *, gaps: bool) -> float:
    """The largest difference of graph and estimator, on real rows, variations and thresholds."""
    frame = fitted.numbers(gaps=gaps)
    model.fit(frame, fitted.truth(frame, classes))
    about = fitted.manifest(classes, required=not gaps)
    theirs, ours = fitted.original(model, about), fitted.graph(model, about, folder)
    real = fitted.rows_of(frame, about)
    edges = variations.edges(about, real, proof.numbers_of(theirs))
    varied = variations.variations(about, real) + edges
    tolerance = 1e-5 if "XGB" in type(model).__name__ else 1e-6
    found = [
        proof.compare(proof.ask(theirs, rows, are_real=are_real), ours, tolerance)
        for rows, are_real in ((real, True), (varied, False))
    ]
    assert [item.fault for item in found] == ["", ""]
    assert math.isfinite(theirs.answer(edges[:1])[0].value if not classes else 0.0)
    return max(item.largest for item in found)


@pytest.mark.parametrize("classes", [(0, 1), (False, True), ("no", "yes"), (3, 1, 2)])
@pytest.mark.parametrize("name", TREES)
def test_classifier_answers_the_same(name: str, classes: tuple[Any, ...], tmp_path: Path) -> None:
    if "xgboost" in name:
        classes = tuple(range(len(classes)))  # it knows no other names
    assert difference(TREES[name](), tuple(sorted(classes)), tmp_path, gaps=False) < 1e-6


@pytest.mark.parametrize("name", REGRESSIONS)
def test_regression_answers_the_same(name: str, tmp_path: Path) -> None:
    bound = 1e-5 if "xgboost" in name else 1e-6
    assert difference(REGRESSIONS[name](), (), tmp_path, gaps=False) < bound


@pytest.mark.parametrize("name", sorted(WITH_GAPS))
def test_missing_values_go_the_same_way(name: str, tmp_path: Path) -> None:
    assert difference(TREES[name](), (0, 1), tmp_path, gaps=True) < 1e-6
    assert difference(REGRESSIONS[name](), (), tmp_path, gaps=True) < 1e-5


@pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
def test_early_stopping_answers_with_the_best_stage(name: str, tmp_path: Path) -> None:
    frame, later = fitted.numbers(), fitted.numbers(seed=5)
    classes = (0, 1)
    wrong = fitted.truth(later, classes)[::-1]
    given: dict[str, Any] = {"eval_X": later, "eval_y": wrong}
    if name == "xgboost":
        model = xgboost.XGBClassifier(n_estimators=40, early_stopping_rounds=2, n_jobs=1)
        given = {"eval_set": [(later, wrong)], "verbose": False}
    else:
        model = lightgbm.LGBMClassifier(n_estimators=40, verbose=-1, n_jobs=1)
        given["callbacks"] = [lightgbm.early_stopping(2, verbose=False)]
    model.fit(frame, fitted.truth(frame, classes), **given)
    about = fitted.manifest(classes)
    rows = fitted.rows_of(later, about)
    asked = proof.ask(fitted.original(model, about), rows, are_real=True)
    assert proof.compare(asked, fitted.graph(model, about, tmp_path), 1e-5).fault == ""
    read = estimators.xgboost if name == "xgboost" else estimators.lightgbm
    assert len(read(model).trees) < 40


def test_positive_logits_are_no_probabilities(tmp_path: Path) -> None:
    """All leaves of these trees are positive, which ONNX Runtime reads in its own way."""
    frame = fitted.numbers(60)
    target = np.r_[np.ones(58, int), np.zeros(2, int)]
    model = xgboost.XGBClassifier(n_estimators=1, base_score=0.5, n_jobs=1).fit(frame, target)
    leaves = np.concatenate(
        [tree.weights[tree.left < 0] for tree in estimators.xgboost(model).trees]
    )
    assert (leaves > 0).all()
    about = fitted.manifest((0, 1))
    asked = proof.ask(fitted.original(model, about), fitted.rows_of(frame, about), are_real=True)
    assert proof.compare(asked, fitted.graph(model, about, tmp_path), 1e-5).fault == ""


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (lambda: xgboost.XGBRegressor(booster="gblinear", n_estimators=2), "gblinear"),
        (lambda: xgboost.XGBRegressor(n_estimators=2, missing=-1.0), "missing"),
        (
            lambda: GradientBoostingRegressor(n_estimators=2, init=LinearRegression()),
            "another estimator",
        ),
        (
            lambda: lightgbm.LGBMRegressor(n_estimators=2, verbose=-1, zero_as_missing=True),
            "zero as missing",
        ),
    ],
)
def test_what_a_graph_cannot_be_is_said(model: Any, why: str) -> None:
    frame = fitted.numbers()
    readers = {
        "XGBRegressor": estimators.xgboost,
        "GradientBoostingRegressor": estimators.gradient_boosting,
        "LGBMRegressor": estimators.lightgbm,
    }
    ready = model().fit(frame, fitted.truth(frame, ()))

    def read() -> Ensemble:
        return readers[type(ready).__name__](ready)

    with pytest.raises(Unconvertible, match=why):
        read()


def test_edges_are_neighbouring_numbers_where_a_tree_jumps(tmp_path: Path) -> None:
    frame = fitted.numbers()
    model = DecisionTreeClassifier(max_depth=3, random_state=0)
    model.fit(frame, fitted.truth(frame, (0, 1)))
    about = fitted.manifest((0, 1))
    runtime = fitted.original(model, about)
    ask = proof.numbers_of(runtime)
    pairs = variations.edges(about, fitted.rows_of(frame, about), ask)
    jumps = 0
    for low, high in zip(pairs[::2], pairs[1::2], strict=True):
        if ask([low]) != ask([high]):
            place = next(at for at in range(fitted.WIDTH) if low[at] != high[at])
            assert math.nextafter(float(low[place] or 0.0), math.inf) == high[place]
            jumps += 1
    assert jumps > 10
